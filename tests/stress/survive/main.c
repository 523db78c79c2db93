/* SPDX-License-Identifier: MIT */
/*
 * survive [--kills N] [--upgrades N --upgrade COMMAND] [--workers N]: clients work (worker.h) with
 * the daemon at HAKMEM_SOCKET while that is killed, as soon as it answers again, and is
 * upgraded by a shell's command that ends with 0, after which another one is to answer. Who
 * keeps the daemon's pool, and starts the next, is the caller's. Last lines:
 *   stalls: of each daemon's time, the longest allocation of all workers, as percentiles
 *   kills=N upgrades=N calls=N taken=N failed=N wrong=N ended=N leaked=N anomalies=N
 * ended: workers that were not told to, or that are not in the slot any more that they were given first.
 * leaked: SuperSlabs that a worker has without knowing it, when all have freed everything; then blocks,
 * SuperSlabs and clients that are left when all have detached. 0 if the last five are 0 and there was work.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/stress/survive/worker.h"
#include "tests/support/ctl.h"

#define PATIENCE_MS 60000u
#define EMPTY_MS    20000u

struct survive {
	struct survive_table *table;
	const char *socket;
	const char *upgrade;
	unsigned n_kills, n_upgrades;
	unsigned n_done; /* daemons that have come */
	pid_t pids[SURVIVE_WORKERS_MAX];
	uint64_t slots[SURVIVE_WORKERS_MAX]; /* of the registry, and their generations */
	uint64_t *stalls;		     /* ns, one a daemon */
	uint64_t ended, lost, leaked, anomalies;
};

static void pause_ms(unsigned ms)
{
	const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&pause, NULL);
}

static void start_workers(struct survive *s)
{
	for (unsigned i = 0; i < s->table->n_workers; i++) {
		fflush(NULL);
		s->pids[i] = fork();
		if (s->pids[i] != 0)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(survive_work(s->table, i));
	}
}

/* Nobody ends before all were told to leave. */
static void look_after_workers(struct survive *s)
{
	bool may_end = hak_load_relaxed(&s->table->phase) == SURVIVE_LEAVE;

	for (unsigned i = 0; i < s->table->n_workers; i++) {
		int status;

		if (s->pids[i] <= 0 || waitpid(s->pids[i], &status, WNOHANG) == 0)
			continue;
		s->pids[i] = -1;
		if (may_end && status == 0)
			continue;
		fprintf(stderr, "survive: worker %u has ended, status %#x\n", i, (unsigned)status);
		s->ended++;
	}
}

/* What the daemon says of a worker; NULL: it knows no such client. */
static json_t *find_client(const struct survive *s, json_t *clients, unsigned i)
{
	size_t k;
	json_t *client;

	json_array_foreach(json_object_get(clients, "clients"), k, client)
	{
		if (hakt_json_number(client, "pid") == s->pids[i])
			return client;
	}
	return NULL;
}

static uint64_t slot_of(json_t *client)
{
	return client ? (uint64_t)hakt_json_number(client, "holder") << 32 |
				(uint64_t)hakt_json_number(client, "generation")
		      : 0;
}

/* Once all are attached. */
static void note_slots(struct survive *s)
{
	unsigned n = 0;

	for (unsigned ms = 0; n < s->table->n_workers && ms < PATIENCE_MS; ms += 10) {
		json_t *clients = hakt_ctl(s->socket, "clients");

		n = 0;
		for (unsigned i = 0; i < s->table->n_workers; i++) {
			s->slots[i] = slot_of(find_client(s, clients, i));
			n += s->slots[i] != 0;
		}
		json_decref(clients);
		pause_ms(10);
	}
}

/* All have freed everything: SuperSlabs that they have by the registry, and don't know of. */
static uint64_t count_lost(struct survive *s)
{
	json_t *clients = hakt_ctl(s->socket, "clients");
	uint64_t n = 0;

	for (unsigned i = 0; i < s->table->n_workers; i++) {
		uint64_t known = hak_load_relaxed(&s->table->shares[i].superslabs);
		json_t *client = find_client(s, clients, i);
		uint64_t granted = client ? (uint64_t)hakt_json_number(client, "granted_superslabs")
					  : 0;

		n += known > granted ? known - granted : granted - known;
	}
	json_decref(clients);
	return n;
}

/* A look may fall between what a worker has and tells; three in a row don't. */
static void expect_nothing_lost(struct survive *s)
{
	unsigned n_good = 0;

	for (unsigned ms = 0; n_good < 3 && ms < EMPTY_MS; ms += 50) {
		s->lost = count_lost(s);
		n_good = s->lost == 0 ? n_good + 1 : 0;
		pause_ms(50);
	}
	if (n_good < 3)
		fprintf(stderr, "survive: workers have %llu SuperSlabs that they don't know of\n",
			(unsigned long long)s->lost);
}

static void expect_same_slots(struct survive *s)
{
	json_t *clients = hakt_ctl(s->socket, "clients");

	for (unsigned i = 0; i < s->table->n_workers; i++) {
		if (s->slots[i] != 0 && slot_of(find_client(s, clients, i)) == s->slots[i])
			continue;
		fprintf(stderr, "survive: worker %u is not the client any more that it was\n", i);
		s->ended++;
	}
	json_decref(clients);
}

/* The longest allocation since the last time that this was asked. */
static uint64_t take_longest(struct survive *s)
{
	uint64_t longest = 0;

	for (unsigned i = 0; i < s->table->n_workers; i++) {
		uint64_t ns = hak_load_relaxed(&s->table->shares[i].longest_ns);

		hak_store_relaxed(&s->table->shares[i].longest_ns, 0);
		longest = ns > longest ? ns : longest;
	}
	return longest;
}

static uint64_t sum(const struct survive *s, size_t offset)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < s->table->n_workers; i++)
		n += hak_load_relaxed((hak_u64 *)(void *)((char *)&s->table->shares[i] + offset));
	return n;
}
#define SUM(s, member) sum((s), offsetof(struct survive_share, member))

/* Waits for a daemon that is another one. */
static pid_t next_daemon(struct survive *s, pid_t pid)
{
	for (unsigned ms = 0; ms < PATIENCE_MS; ms++) {
		pid_t next = kill(pid, 0) == 0 ? pid : (pid_t)hakt_ctl_status(s->socket, "pid");

		if (next != pid)
			return next;
		pause_ms(1);
	}
	fprintf(stderr, "survive: no daemon has come after %d\n", (int)pid);
	exit(1);
}

static void show_progress(const struct survive *s)
{
	if (isatty(STDOUT_FILENO)) {
		printf("\r%u of %u daemons, %llu allocations, %llu failed", s->n_done,
		       s->n_kills + s->n_upgrades, (unsigned long long)SUM(s, n_calls),
		       (unsigned long long)SUM(s, n_failed));
		fflush(stdout);
	}
}

/* Upgrades are spread among the kills. */
static void run_daemons(struct survive *s)
{
	unsigned all = s->n_kills + s->n_upgrades, kills = 0, upgrades = 0;
	pid_t pid = (pid_t)hakt_ctl_status(s->socket, "pid");

	note_slots(s);
	pause_ms(200); /* for the workers to get going */
	take_longest(s);
	for (; s->n_done < all && s->ended == 0; s->n_done++) {
		if ((uint64_t)upgrades * s->n_kills < (uint64_t)kills * s->n_upgrades ||
		    kills == s->n_kills) {
			int status = system(s->upgrade);

			if (status != 0) {
				fprintf(stderr, "survive: the upgrade ended with %#x\n",
					(unsigned)status);
				exit(1);
			}
			upgrades++;
		} else {
			kill(pid, SIGKILL);
			kills++;
		}
		pid = next_daemon(s, pid);
		s->stalls[s->n_done] = take_longest(s);
		look_after_workers(s);
		show_progress(s);
	}
	if (isatty(STDOUT_FILENO))
		puts("");
}

static bool are_done(const struct survive *s, uint64_t phase)
{
	for (unsigned i = 0; i < s->table->n_workers; i++)
		if (hak_load_acquire(&s->table->shares[i].done) < phase)
			return false;
	return true;
}

/* All free everything, then all leave. */
static void end_workers(struct survive *s)
{
	for (uint64_t phase = SURVIVE_FREE; phase <= SURVIVE_LEAVE; phase++) {
		unsigned ms = 0;

		hak_store_relaxed(&s->table->phase, phase);
		for (; !are_done(s, phase) && ms < PATIENCE_MS && s->ended == 0; ms++) {
			pause_ms(1);
			look_after_workers(s);
		}
		if (s->ended == 0 && !are_done(s, phase)) {
			fprintf(stderr, "survive: workers hang\n");
			s->ended++;
		}
		if (phase == SURVIVE_FREE && s->ended == 0) {
			expect_nothing_lost(s);
			expect_same_slots(s);
		}
	}
	for (unsigned i = 0; i < s->table->n_workers; i++) {
		bool is_killed = s->ended > 0; /* it would wait for those who have ended */
		int status = 0;

		if (s->pids[i] <= 0)
			continue;
		if (is_killed)
			kill(s->pids[i], SIGKILL);
		if ((waitpid(s->pids[i], &status, 0) < 0 || status != 0) && !is_killed)
			s->ended++;
	}
}

static void audit(struct survive *s)
{
	static const char *const counts[] = {"live_blocks", "granted_superslabs",
					     "waiting_superslabs", "clients"};
	json_t *check;
	int exit_code;

	for (unsigned ms = 0; ms < EMPTY_MS; ms += 50) {
		s->leaked = s->lost;
		for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
			s->leaked += (uint64_t)hakt_ctl_pool(s->socket, counts[i]);
		if (s->leaked == s->lost)
			break;
		pause_ms(50);
	}
	check = hakt_ctl_judge(s->socket, "check", &exit_code);
	s->anomalies = exit_code == 0 ? 0 : 1 + (uint64_t)hakt_ctl_pool(s->socket, "anomalies");
	json_decref(check);
}

/* What was under way when the last daemon came. */
static void note_last_stall(struct survive *s)
{
	uint64_t longest = take_longest(s);

	if (s->n_done > 0 && longest > s->stalls[s->n_done - 1])
		s->stalls[s->n_done - 1] = longest;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void show_stalls(struct survive *s)
{
	static const unsigned permille[] = {500, 900, 990, 1000};

	printf("waits of allocations:\n");
	for (unsigned i = 9; i < SURVIVE_BUCKETS; i++) {
		uint64_t n = sum(s, offsetof(struct survive_share, waits) + i * sizeof(hak_u64));

		if (n > 0)
			printf("  %8.1f ms and more: %llu\n", (double)(UINT64_C(1) << i) / 1000,
			       (unsigned long long)n);
	}
	if (s->n_done == 0)
		return;
	qsort(s->stalls, s->n_done, sizeof(s->stalls[0]), compare);
	printf("stalls:");
	for (unsigned i = 0; i < sizeof(permille) / sizeof(permille[0]); i++)
		printf(" p%g=%.1f ms", permille[i] / 10.0,
		       (double)s->stalls[(size_t)(s->n_done - 1) * permille[i] / 1000] * 1e-6);
	printf("\n");
}

static int survive(struct survive *s)
{
	uint64_t calls, failed, wrong;

	s->stalls = calloc(s->n_kills + s->n_upgrades + 1, sizeof(s->stalls[0]));
	assert_non_null(s->stalls);
	start_workers(s);
	run_daemons(s);
	end_workers(s);
	note_last_stall(s);
	audit(s);
	show_stalls(s);
	free(s->stalls);
	calls = SUM(s, n_calls);
	failed = SUM(s, n_failed);
	wrong = SUM(s, n_wrong);
	printf("kills=%u upgrades=%u calls=%llu taken=%llu failed=%llu wrong=%llu ended=%llu "
	       "leaked=%llu anomalies=%llu\n",
	       s->n_kills, s->n_upgrades, (unsigned long long)calls,
	       (unsigned long long)SUM(s, n_taken), (unsigned long long)failed,
	       (unsigned long long)wrong, (unsigned long long)s->ended,
	       (unsigned long long)s->leaked, (unsigned long long)s->anomalies);
	return calls > 0 && SUM(s, n_taken) > 0 &&
			       failed + wrong + s->ended + s->leaked + s->anomalies == 0
		       ? 0
		       : 1;
}

int main(int argc, char **argv)
{
	static const struct option known[] = {
		{"kills", required_argument, NULL, 'k'},
		{"upgrades", required_argument, NULL, 'u'},
		{"upgrade", required_argument, NULL, 'c'},
		{"workers", required_argument, NULL, 'w'},
		{0},
	};
	struct survive s = {.socket = getenv("HAKMEM_SOCKET")};
	int c;

	s.table = mmap(NULL, sizeof(*s.table), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	assert_true(s.table != MAP_FAILED);
	s.table->n_workers = 8;
	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 'k')
			s.n_kills = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'u')
			s.n_upgrades = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'c')
			s.upgrade = optarg;
		else if (c == 'w')
			s.table->n_workers = (unsigned)strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (!s.socket || s.table->n_workers - 2 > SURVIVE_WORKERS_MAX - 2 ||
	    (s.n_upgrades > 0 && !s.upgrade))
		return fprintf(stderr,
			       "survive: HAKMEM_SOCKET, 2 to %u workers, and a command "
			       "for upgrades\n",
			       SURVIVE_WORKERS_MAX),
		       2;
	return survive(&s);
}
