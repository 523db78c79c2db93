/* SPDX-License-Identifier: MIT */
/*
 * A block is full of what its seed says at its begin and its end. A client knows its blocks by
 * private memory. What it is told to publish or to withdraw it does, whichever daemon answers.
 */
#include "tests/crash/daemon/actor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/process.h"

#define BLOCKS 512u
#define MIB    (UINT64_C(1) << 20)
#define EDGE   32u

struct hakt_stage *hakt_stage;

static enum hakt_who self;
static uint64_t next_seed;
static struct block {
	unsigned char *at;
	uint64_t bytes, seed;
} blocks[BLOCKS];
static unsigned n_blocks;
static struct hakmem_pool *lab;

static void doze(void)
{
	const struct timespec nap = {.tv_nsec = 20000};

	nanosleep(&nap, NULL);
}

static struct hakt_actor *me(void)
{
	return &hakt_stage->actors[self];
}

/* Relaxed: a count that only we write. */
static void count(hak_u32 *word)
{
	hak_store_relaxed(word, hak_load_relaxed(word) + 1);
}

static void fill(const struct block *b)
{
	memset(b->at, (int)(b->seed & 0xff), EDGE);
	memset(b->at + b->bytes - EDGE, (int)(b->seed >> 8 & 0xff), EDGE);
}

static void verify(const struct block *b)
{
	for (unsigned i = 0; i < EDGE; i++)
		if (b->at[i] != (b->seed & 0xff) ||
		    b->at[b->bytes - EDGE + i] != (b->seed >> 8 & 0xff)) {
			count(&me()->broken);
			return;
		}
}

static void add(void *at, uint64_t bytes)
{
	if (!at || n_blocks == BLOCKS)
		return;
	blocks[n_blocks] = (struct block){at, bytes, ++next_seed * 2654435761u};
	fill(&blocks[n_blocks++]);
}

static void allocate(unsigned n, uint64_t bytes)
{
	for (unsigned i = 0; i < n; i++)
		add(hakmem_malloc(bytes), bytes);
}

static void resize(uint64_t bytes)
{
	struct block *b = n_blocks > 0 ? &blocks[n_blocks - 1] : NULL;
	void *moved = b ? hakmem_realloc(b->at, bytes) : NULL;

	if (!moved)
		return;
	b->at = moved;
	if (memcmp(b->at, (unsigned char[1]){b->seed & 0xff}, 1) != 0)
		count(&me()->broken);
	b->bytes = bytes;
	fill(b);
}

static void free_all(void)
{
	while (n_blocks > 0) {
		verify(&blocks[--n_blocks]);
		hakmem_free(blocks[n_blocks].at);
	}
	hakmem_trim();
}

static void give(unsigned n)
{
	hakt_stage->n_given = 0;
	for (unsigned i = n_blocks - n; i < n_blocks; i++)
		hakt_stage->given[hakt_stage->n_given++] = (struct hakt_given){
			hakmem_ref(blocks[i].at), blocks[i].bytes, blocks[i].seed};
}

static void take(void)
{
	for (unsigned i = 0; i < hakt_stage->n_given; i++) {
		const struct hakt_given *g = &hakt_stage->given[i];
		void *at;

		if (hakmem_take(g->ref, &at) != 0) {
			count(&me()->broken);
			continue;
		}
		blocks[n_blocks] = (struct block){at, g->bytes, g->seed};
		verify(&blocks[n_blocks++]);
	}
	hakt_stage->n_given = 0;
}

static void publish(unsigned n)
{
	hakmem_ref_t refs[HAKT_GIVEN];

	give(n);
	for (unsigned i = 0; i < n; i++)
		refs[i] = hakt_stage->given[i].ref;
	if (hakmem_root_publish_list("things", refs, n) != 0)
		count(&me()->broken);
	n_blocks -= n;
}

static void withdraw(void)
{
	hakmem_ref_t ref;
	int r = hakmem_root_withdraw("things", &ref);

	if (r != 0 && (r != -ENOENT || self != HAKT_C)) /* C only looks that none is left */
		count(&me()->broken);
}

static void administer(const char *const *arguments)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (!freopen("/dev/null", "w", stdout))
			_exit(126);
		execv(HAKT_HAKMEMCTL, (char *const *)(uintptr_t)arguments);
		_exit(127);
	}
	hakt_stage->exit_code = -1;
	if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status))
		hakt_stage->exit_code = WEXITSTATUS(status);
}

static void open_lab(void)
{
	if (hakmem_pool_open("lab", NULL, &lab) == 0)
		add(hakmem_malloc_in(lab, 100), 100);
}

/* More than what it keeps of lab. */
static void grow_lab(void)
{
	void *at = lab ? hakmem_malloc_in(lab, 2 * MIB) : NULL;

	hakt_stage->grown = !lab ? ENOENT : at ? 0 : errno;
	hakmem_free(at);
}

static void work_as_giver(void)
{
	struct block b = {.bytes = 200};

	/* [order:stage] What the other did to the block before it freed it. */
	if (hak_load_acquire(&hakt_stage->mailbox) != 0)
		return;
	b.at = hakmem_malloc(b.bytes);
	if (!b.at)
		return;
	b.seed = 0x4242;
	fill(&b);
	/* [order:stage] The block is whole. */
	hak_store_release(&hakt_stage->mailbox, hakmem_ref(b.at));
}

static void work_as_taker(void)
{
	uint64_t ref = hak_load_acquire(&hakt_stage->mailbox); /* [order:stage] */
	struct block b = {.bytes = 200, .seed = 0x4242};
	void *at;

	if (ref == 0)
		return;
	if (hakmem_take(ref, &at) != 0) {
		count(&me()->broken);
	} else {
		b.at = at;
		verify(&b);
		hakmem_free(at);
		hak_store_relaxed(&me()->progress, hak_load_relaxed(&me()->progress) + 1);
		if (hak_load_relaxed(&me()->progress) % 32 == 0)
			hakmem_trim(); /* flushes; whether a daemon is there or not */
	}
	hak_store_release(&hakt_stage->mailbox, 0); /* [order:stage] */
}

/* Until there is another command. */
static void work(uint32_t number)
{
	while (hak_load_acquire(&me()->ordered) == number) { /* [order:stage] */
		if (self == HAKT_WORKER_0)
			work_as_giver();
		else
			work_as_taker();
		doze();
	}
}

static void obey(enum hakt_command command, uint32_t argument)
{
	switch (command) {
	case HAKT_ATTACH:
		if (hakmem_attach(NULL) == 0)
			hak_store_release(&me()->attached, 1); /* [order:stage] */
		break;
	case HAKT_SMALL:
		allocate(argument, 60000);
		break;
	case HAKT_TINY:
		allocate(argument, 100);
		break;
	case HAKT_HUGE:
		allocate(1, argument * MIB);
		break;
	case HAKT_RESIZE:
		resize(argument * MIB);
		break;
	case HAKT_FREE_ALL:
		free_all();
		break;
	case HAKT_GIVE:
		give(argument);
		n_blocks -= argument;
		break;
	case HAKT_TAKE:
		take();
		break;
	case HAKT_PUBLISH:
		publish(argument);
		break;
	case HAKT_WITHDRAW:
		withdraw();
		break;
	case HAKT_POOL_CREATE:
		administer(HAKT_LIST("hakmemctl", "pool", "create", "lab", "--limit", "16M",
				     "--capacity", "16M"));
		break;
	case HAKT_POOL_RESET:
		administer(HAKT_LIST("hakmemctl", "pool", "reset", "lab"));
		break;
	case HAKT_POOL_DELETE:
		administer(HAKT_LIST("hakmemctl", "pool", "delete", "lab", "--drain"));
		break;
	case HAKT_POOL_OPEN:
		open_lab();
		break;
	case HAKT_POOL_GROW:
		grow_lab();
		break;
	case HAKT_DETACH:
		n_blocks = 0;
		hak_store_release(&me()->attached, 0); /* [order:stage] */
		hakmem_detach();
		break;
	case HAKT_VERIFY:
		for (unsigned i = 0; i < n_blocks; i++)
			verify(&blocks[i]);
		break;
	case HAKT_WORK:
	case HAKT_REST:
		break;
	}
}

static void act(void)
{
	struct hakt_actor *a = me();

	for (uint32_t done = 0;;) {
		uint32_t number = hak_load_acquire(&a->ordered); /* [order:stage] */

		if (number == done) {
			doze();
			continue;
		}
		done = number;
		obey((enum hakt_command)a->command, a->argument);
		hak_store_release(&a->done, done); /* [order:stage] */
		if (a->command == HAKT_WORK)
			work(number);
	}
}

void hakt_stage_init(void)
{
	hakt_stage = mmap(NULL, sizeof(*hakt_stage), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (hakt_stage == MAP_FAILED) {
		perror("crash-daemon: mmap");
		exit(2);
	}
}

void hakt_stage_clear(void)
{
	memset(hakt_stage, 0, sizeof(*hakt_stage));
}

pid_t hakt_actor_start(enum hakt_who who)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0) {
		perror("crash-daemon: fork");
		exit(2);
	}
	if (pid > 0)
		return pid;
	hakt_process_die_with(parent);
	self = who;
	next_seed = (uint64_t)who << 16;
	if (freopen("/dev/null", "w", stderr) == NULL) /* a daemon that is gone is no news */
		_exit(3);
	act();
	_exit(0);
}

void hakt_actor_order(enum hakt_who who, enum hakt_command command, uint32_t argument)
{
	struct hakt_actor *a = &hakt_stage->actors[who];

	a->command = command;
	a->argument = argument;
	/* [order:stage] With its command. Relaxed: our own count. */
	hak_store_release(&a->ordered, hak_load_relaxed(&a->ordered) + 1);
}

bool hakt_actor_is_done(enum hakt_who who)
{
	const struct hakt_actor *a = &hakt_stage->actors[who];

	/* [order:stage] What it did is there. Relaxed: our own count. */
	return hak_load_acquire(&a->done) == hak_load_relaxed(&a->ordered);
}
