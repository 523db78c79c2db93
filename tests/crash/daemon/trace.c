/* SPDX-License-Identifier: MIT */
/*
 * Breakpoints are int3 in the daemon's own copy of its text, written by /proc/PID/mem. The
 * functions are found in the symbol table of its program. A thread that comes by a breakpoint
 * while another is stepped waits until that window has been left.
 */
#include "tests/crash/daemon/trace.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define INT3	     0xccu
#define WINDOW_MAX   200000u /* steps: then it has got lost */
#define HANG_SECONDS 10
#define THREADS_MAX  16u
#define OPTIONS	     (PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL)

/*
 * What the loop does and what workers do; functions that others here call are part of these, and
 * only entered by themselves from elsewhere.
 */
const struct hakt_place hakt_places[] = {
	/* attach */
	{"hakd_backing_prepare_area", NULL},
	{"hakd_liveness_watch", NULL},
	{"hakd_liveness_start_time", "hakd_realm_count_client"}, /* the holder's words */
	/* refill */
	{"hakd_backing_grant", NULL},
	{"hakd_pool_grant", NULL},
	{"hakd_pool_extend", NULL},
	{"hakd_orphans_take", NULL},
	{"hakd_pool_inherit", NULL},
	{"hakd_backing_fill", NULL},
	/* give back */
	{"hakd_pool_begin_collect", NULL},
	{"hakd_pool_begin_collect_end", NULL},
	{"run_reset", NULL},
	{"end_reset", NULL},
	{"run_zero_tags", NULL},
	{"end_runs", NULL},
	/* a death */
	{"hakd_collect_client", NULL},
	{"run_own", NULL},
	{"hak_scan_held", NULL},
	{"end_scans", NULL},
	/* orphans */
	{"run_look", NULL},
	{"end_look", NULL},
	/* roots */
	{"hak_roots_publish", NULL},
	{"hak_roots_withdraw", NULL},
	/* pools */
	{"hakd_keeper_store_pool", NULL},
	{"hakd_shown_file_name", NULL},
	{"hakd_realm_tell_end", NULL},
	{"hakd_realm_delete", NULL},
	/* a start */
	{"hakd_backing_punch", NULL},
	{"hakd_backing_zero_tags", NULL},
	{"hak_roots_resume", NULL},
	{"hakd_liveness_resume", NULL},
	{"hakd_orphans_add", NULL},
};
const unsigned hakt_n_places = sizeof(hakt_places) / sizeof(hakt_places[0]);

_Static_assert(sizeof(hakt_places) / sizeof(hakt_places[0]) <= HAKT_PLACES_MAX, "");

static uint64_t from[HAKT_PLACES_MAX], until[HAKT_PLACES_MAX]; /* in the file */
static uint64_t bias;
static int memory_fd = -1;
static uint8_t code[HAKT_PLACES_MAX]; /* what the breakpoints replace */
static bool is_set[HAKT_PLACES_MAX];
static struct stop { /* at breakpoints, until a window has been left */
	pid_t tid;
	int status;
} waiting[THREADS_MAX];
static unsigned n_waiting;

static void give_up(const char *what)
{
	fprintf(stderr, "crash-daemon: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void find_symbols(const char *file)
{
	const Elf64_Ehdr *header = (const void *)file;
	const Elf64_Shdr *sections = (const void *)(file + header->e_shoff);

	for (unsigned s = 0; s < header->e_shnum; s++) {
		const Elf64_Sym *symbols = (const void *)(file + sections[s].sh_offset);
		const char *names = file + sections[sections[s].sh_link].sh_offset;

		for (size_t i = 0; sections[s].sh_type == SHT_SYMTAB &&
				   i < sections[s].sh_size / sizeof(*symbols);
		     i++)
			for (unsigned p = 0; p < hakt_n_places; p++) {
				const char *name = names + symbols[i].st_name;

				if (strcmp(name, hakt_places[p].from) == 0)
					from[p] = symbols[i].st_value;
				if (hakt_places[p].until && strcmp(name, hakt_places[p].until) == 0)
					until[p] = symbols[i].st_value;
			}
	}
	for (unsigned p = 0; p < hakt_n_places; p++)
		if (from[p] == 0 || (hakt_places[p].until && until[p] == 0)) {
			fprintf(stderr, "crash-daemon: hakmemd has no %s\n", hakt_places[p].from);
			exit(2);
		}
}

static void read_symbols(pid_t pid)
{
	char path[64];
	struct stat st;
	void *file;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		give_up(path);
	file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file == MAP_FAILED)
		give_up(path);
	find_symbols(file);
	munmap(file, (size_t)st.st_size);
	close(fd);
}

/* Where its program begins: the first mapping, which is of it at this time. */
static void read_bias(pid_t pid)
{
	char path[64];
	unsigned long long at = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	if (!maps || fscanf(maps, "%llx-", &at) != 1)
		give_up(path);
	fclose(maps);
	bias = at;
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	if (memory_fd >= 0)
		close(memory_fd);
	memory_fd = open(path, O_RDWR | O_CLOEXEC);
	if (memory_fd < 0)
		give_up(path);
}

static void write_code(uint64_t at, uint8_t byte)
{
	if (pwrite(memory_fd, &byte, 1, (off_t)at) != 1)
		give_up("/proc/PID/mem");
}

static uint64_t read_word(uint64_t at)
{
	uint64_t word = 0;

	if (pread(memory_fd, &word, sizeof(word), (off_t)at) < 2)
		give_up("/proc/PID/mem");
	return word;
}

static void set_breakpoint(unsigned p)
{
	code[p] = (uint8_t)read_word(bias + from[p]);
	is_set[p] = true;
	write_code(bias + from[p], INT3);
}

static struct user_regs_struct registers(pid_t tid)
{
	struct user_regs_struct r;

	if (ptrace(PTRACE_GETREGS, tid, NULL, &r) != 0)
		give_up("PTRACE_GETREGS");
	return r;
}

static void set_pc(pid_t tid, uint64_t pc)
{
	if (ptrace(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, rip), pc) != 0)
		give_up("PTRACE_POKEUSER");
}

static unsigned place_at(uint64_t pc)
{
	for (unsigned p = 0; p < hakt_n_places; p++)
		if (is_set[p] && bias + from[p] == pc)
			return p;
	return hakt_n_places;
}

void hakt_trace_enter(void *context)
{
	(void)context;
	setenv("UV_THREADPOOL_SIZE", "1", 1);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		_exit(126);
}

static void on_alarm(int number)
{
	(void)number; /* it only ends a wait */
}

void hakt_trace_init(struct hakt_trace *t, pid_t pid)
{
	struct sigaction action = {.sa_handler = on_alarm};
	int status;

	sigaction(SIGALRM, &action, NULL);
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(uintptr_t)OPTIONS) != 0)
		give_up("tracing hakmemd");
	t->pid = pid;
	n_waiting = 0;
	if (from[0] == 0)
		read_symbols(pid);
	read_bias(pid);
	for (unsigned p = 0; p < hakt_n_places; p++) {
		is_set[p] = false;
		if (!t->target || t->target->place == p)
			set_breakpoint(p);
	}
	if (ptrace(PTRACE_CONT, pid, NULL, NULL) != 0)
		give_up("PTRACE_CONT");
}

/* It is killed: all that is left of it is reaped, its threads first. */
static void reap(struct hakt_trace *t)
{
	int status;

	for (;;) {
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0 && errno != EINTR)
			give_up("waitpid");
		if (pid == t->pid && !WIFSTOPPED(status))
			break;
		if (pid > 0 && !WIFSTOPPED(status) && t->on_child)
			t->on_child(pid);
	}
	t->pid = 0;
	n_waiting = 0;
}

void hakt_trace_kill(struct hakt_trace *t)
{
	if (t->pid == 0)
		return;
	kill(t->pid, SIGKILL);
	reap(t);
}

static void stop_here(struct hakt_trace *t)
{
	t->is_killed = true;
	hakt_trace_kill(t);
}

static void go_on(pid_t tid, int number)
{
	/* It may have been killed meanwhile. */
	(void)ptrace(PTRACE_CONT, tid, NULL, (void *)(uintptr_t)number);
}

/* It has ended, and not by us. */
static void lose(struct hakt_trace *t, int status)
{
	fprintf(stderr, "crash-daemon: hakmemd has ended, status %x\n", (unsigned)status);
	t->pid = 0;
	t->is_lost = true;
}

/* What else happens while one thread is stepped. */
static void on_other(struct hakt_trace *t, pid_t pid, int status)
{
	bool is_breakpoint = WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP && status >> 16 == 0;

	if (is_breakpoint && n_waiting < THREADS_MAX)
		waiting[n_waiting++] = (struct stop){pid, status};
	else if (WIFSTOPPED(status)) /* one that begins, too: the stepped one may wait for it */
		go_on(pid, WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == SIGSTOP
				   ? 0
				   : WSTOPSIG(status));
	else if (pid == t->pid)
		lose(t, status);
	else if (t->on_child)
		t->on_child(pid);
}

/* Waits for one thread; false: it is gone, or hangs. */
static bool wait_thread(struct hakt_trace *t, pid_t tid, int *ret_status)
{
	alarm(HANG_SECONDS);
	for (;;) {
		pid_t pid = waitpid(-1, ret_status, __WALL);

		if (pid == tid && WIFSTOPPED(*ret_status))
			break;
		if (pid < 0)
			t->is_hung = true;
		else
			on_other(t, pid, *ret_status);
		if (pid < 0 || pid == tid || t->is_lost)
			return false;
	}
	alarm(0);
	return true;
}

/* One instruction of a thread that is at pc. */
static bool step(struct hakt_trace *t, pid_t tid, uint64_t pc)
{
	unsigned p = place_at(pc);
	int status, number = 0;

	if (p < hakt_n_places)
		write_code(pc, code[p]);
	do {
		if (ptrace(PTRACE_SINGLESTEP, tid, NULL, (void *)(uintptr_t)number) != 0 ||
		    !wait_thread(t, tid, &status))
			return false;
		number = WSTOPSIG(status);
	} while (number != SIGTRAP);
	if (p < hakt_n_places)
		write_code(pc, INT3);
	return true;
}

/* Runs a thread to an address that no other comes by, or that others pass. */
static bool run_to(struct hakt_trace *t, pid_t tid, uint64_t pc)
{
	uint8_t before = (uint8_t)read_word(pc);
	int status;

	write_code(pc, INT3);
	if (ptrace(PTRACE_CONT, tid, NULL, NULL) != 0 || !wait_thread(t, tid, &status))
		return false;
	write_code(pc, before);
	set_pc(tid, pc);
	return registers(tid).rip == pc;
}

/* Steps a window; false: the daemon is dead, killed at the target or otherwise. */
static bool walk(struct hakt_trace *t, pid_t tid, unsigned p)
{
	struct user_regs_struct r = registers(tid);
	uint64_t stack = r.rsp, pc = bias + from[p], end = 0;
	bool is_target = t->target && t->hits[p] == t->target->hit;
	uint32_t n = 0;

	if (hakt_places[p].until) {
		end = bias + until[p];
		if (!step(t, tid, pc) || !run_to(t, tid, read_word(stack)))
			return false;
		pc = registers(tid).rip;
	}
	if (is_target && t->on_target)
		t->on_target();
	for (;;) {
		unsigned nested;
		bool is_call = (read_word(pc) & 0xffff) == 0x050f;

		if (is_target && n == t->target->step) {
			stop_here(t);
			return false;
		}
		if (!t->target)
			t->on_step(p, t->hits[p], n, is_call);
		if (!step(t, tid, pc))
			return false;
		r = registers(tid);
		if (r.rip == pc) /* a repeat prefix */
			continue;
		pc = r.rip;
		if (++n > WINDOW_MAX || (end ? pc == end : r.rsp > stack))
			return true;
		nested = place_at(pc);
		t->hits[nested < hakt_n_places ? nested : p] += nested < hakt_n_places;
	}
}

static void on_stop(struct hakt_trace *t, pid_t tid, int status)
{
	int number = WSTOPSIG(status);
	struct user_regs_struct r;
	unsigned p;

	if (number != SIGTRAP || status >> 16 != 0) {
		go_on(tid, number == SIGTRAP || number == SIGSTOP ? 0 : number);
		return;
	}
	r = registers(tid);
	p = place_at(r.rip - 1);
	if (p == hakt_n_places) {
		go_on(tid, 0);
		return;
	}
	set_pc(tid, r.rip - 1);
	t->hits[p] += t->is_counting;
	if (!t->is_counting || (t->target && t->hits[p] != t->target->hit)) {
		if (step(t, tid, r.rip - 1))
			go_on(tid, 0);
		return;
	}
	if (walk(t, tid, p))
		go_on(tid, 0);
}

bool hakt_trace_is_allowed(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

void hakt_trace_pump(struct hakt_trace *t)
{
	const struct timespec moment = {.tv_nsec = 200000};
	siginfo_t what = {0};
	sigset_t child;
	int status;

	if (n_waiting > 0 && t->pid != 0) {
		struct stop stop = waiting[0];

		memmove(&waiting[0], &waiting[1], --n_waiting * sizeof(stop));
		on_stop(t, stop.tid, stop.status);
		return;
	}
	if (waitid(P_ALL, 0, &what, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL) == 0 &&
	    what.si_pid != 0) {
		pid_t pid = waitpid(what.si_pid, &status, __WALL | WNOHANG);

		if (pid > 0 && WIFSTOPPED(status)) {
			on_stop(t, pid, status);
			return;
		}
		if (pid > 0 && pid == t->pid)
			lose(t, status);
		else if (pid > 0 && t->on_child)
			t->on_child(pid);
		return;
	}
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigtimedwait(&child, NULL, &moment);
}
