/* SPDX-License-Identifier: MIT */
/*
 * Many of everything: client processes, threads, blocks, bytes. The sanitizers
 * get a part of each. Descriptors: whoever starts the daemon here has a soft
 * limit that would not do for it, and whoever forks the clients has one that
 * is lower still.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/shm/atomic.h"
#include "tests/stress/mailbox.h"
#include "tests/stress/party.h"
#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

#define GIB UINT64_C(1073741824)
#define MIB UINT64_C(1048576)

#define CLIENTS	 (1000u / (HAKT_SLOWNESS > 1 ? 10 : 1))
#define THREADS	 (256u / HAKT_SLOWNESS)
#define OPS_EACH 2000u
#define BLOCKS	 (10000000u / (HAKT_SLOWNESS > 1 ? 10 : 1))

#define DAEMON_FILES  1024u /* of who starts the daemon: it needs three a client */
#define CLIENTS_FILES 32u   /* of who forks the clients */

static struct hakt_daemon hakd;

/* So much memory is free, and 2 GiB for everybody else; or the case is skipped. */
static void need_memory(uint64_t bytes)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	fclose(file);
	if (kib * 1024 >= bytes + 2 * GIB)
		return;
	print_message("# %llu MiB and 2 GiB are needed, %llu MiB are available\n",
		      (unsigned long long)(bytes / MIB), kib / 1024);
	skip();
}

static void limit_files(rlim_t n)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		hakt_die("getrlimit: %s", strerror(errno));
	files.rlim_cur = n < files.rlim_max ? n : files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0)
		hakt_die("setrlimit: %s", strerror(errno));
}

static void start_daemon(const char *limit)
{
	const char *const options[] = {"--limit",     limit,  "--keep", "1",
				       "--log-level", "warn", NULL};

	limit_files(DAEMON_FILES);
	hakt_daemon_start(&hakd, options);
}

static void stop_daemon(void)
{
	hakmem_detach();
	hakt_daemon_stop_empty(&hakd);
}

static int detach(void **state)
{
	(void)state;
	hakmem_detach();
	return 0;
}

static void assert_nothing_is_left(void)
{
	struct hakmem_stats stats;
	struct hakt_status status;

	assert_int_equal(hakmem_trim(), 0);
	assert_int_equal(hakmem_stats(&stats, sizeof(stats)), 0);
	assert_int_equal(stats.live_blocks, 0);
	assert_int_equal(stats.refused_frees, 0);
	status = hakt_daemon_status(&hakd);
	assert_int_equal(status.live_blocks, 0);
	assert_int_equal(status.granted_superslabs, 0);
	assert_int_equal(status.anomalies, 0);
}

/* A thousand processes. */

struct crowd {
	hak_u32 n_attached;
	hak_u32 n_failed;
	hak_u32 error; /* errno of one that failed */
	pid_t pids[1000];
	hakmem_ref_t refs[1000];
};

enum { LEFT_BY_KILL, LEFT_BY_DETACH, LEFT_BY_EXIT, WAYS_TO_LEAVE };

/* Every second one is killed, the others detach or just end. */
static unsigned way_to_leave(unsigned i)
{
	return i % 2 == 0 ? LEFT_BY_KILL : i % 4 == 1 ? LEFT_BY_DETACH : LEFT_BY_EXIT;
}

static void be_client(struct crowd *crowd, unsigned i, int until)
{
	uint64_t *block = hakmem_malloc(13 * sizeof(*block));
	char byte;

	if (block) {
		block[0] = i;
		block[12] = ~(uint64_t)i;
		crowd->refs[i] = hakmem_ref(block);
	}
	if (!block || crowd->refs[i] == 0) { /* relaxed: only counted and shown */
		hak_store_relaxed(&crowd->error, (uint32_t)errno);
		hak_add_relaxed(&crowd->n_failed, 1);
	}
	/* Relaxed: the daemon's answers come after it, and so does what the parent reads. */
	hak_add_relaxed(&crowd->n_attached, 1);
	if (read(until, &byte, 1) != 0)
		_exit(1);
	if (way_to_leave(i) == LEFT_BY_DETACH && hakmem_detach() != 0)
		hak_add_relaxed(&crowd->n_failed, 1);
	_exit(0);
}

/* Forks all clients and waits for their ends; its own limit of files is low. */
static void run_crowd(struct crowd *crowd, int until)
{
	pid_t self = getpid();
	int status;

	limit_files(CLIENTS_FILES);
	for (unsigned i = 0; i < CLIENTS; i++) {
		pid_t pid = fork();

		if (pid < 0)
			hakt_die("fork of client %u: %s", i, strerror(errno));
		if (pid == 0) {
			hakt_process_die_with(self);
			be_client(crowd, i, until);
		}
		crowd->pids[i] = pid;
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		bool should_die = way_to_leave(i) == LEFT_BY_KILL;

		if (waitpid(crowd->pids[i], &status, 0) < 0)
			hakt_die("wait for client %u: %s", i, strerror(errno));
		if (should_die ? !WIFSIGNALED(status) : status != 0)
			hak_add_relaxed(&crowd->n_failed, 1);
	}
	_exit(0);
}

static void check_blocks_of(const struct crowd *crowd)
{
	assert_int_equal(hakmem_attach(NULL), 0);
	for (unsigned i = 0; i < CLIENTS; i++) {
		const uint64_t *block = hakmem_ptr(crowd->refs[i]);

		assert_non_null(block);
		assert_int_equal(block[0], i);
		assert_int_equal(block[12], ~(uint64_t)i);
	}
	assert_int_equal(hakt_daemon_status(&hakd).clients, CLIENTS + 1);
	assert_int_equal(hakmem_detach(), 0);
}

/* Each one once, with what it holds. */
static void check_list_of(const struct crowd *crowd)
{
	json_t *json = hakt_ctl(hakd.socket, "clients");
	json_t *clients = json_object_get(json, "clients");

	assert_int_equal(json_array_size(clients), CLIENTS);
	for (unsigned i = 0; i < CLIENTS; i++) {
		unsigned n = 0;

		for (unsigned k = 0; k < CLIENTS; k++) {
			json_t *client = json_array_get(clients, k);

			if (json_integer_value(json_object_get(client, "pid")) != crowd->pids[i])
				continue;
			n++;
			assert_true(json_integer_value(json_object_get(client, "live_blocks")) > 0);
		}
		assert_int_equal(n, 1);
	}
	json_decref(json);
}

static void wait_for(const hak_u32 *count, uint32_t wanted, const char *what)
{
	for (unsigned i = 0; hak_load_relaxed(count) < wanted; i++) { /* only counted */
		if (i == 10000)
			fail_msg("%u of %u %s after 100 s", hak_load_relaxed(count), wanted, what);
		usleep(10000);
	}
}

static void test_a_thousand_processes_are_attached_at_once(void **state)
{
	struct crowd *crowd;
	int until[2], status;
	struct rlimit files;
	pid_t pid, self = getpid();

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	if (files.rlim_max < 3 * CLIENTS + 64) {
		print_message("# the hard limit of open files is %llu\n",
			      (unsigned long long)files.rlim_max);
		skip();
	}
	need_memory(CLIENTS * 4 * MIB);
	start_daemon("8G");
	crowd = mmap(NULL, sizeof(*crowd), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	assert_true(crowd != MAP_FAILED);
	assert_int_equal(pipe(until), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		hakt_process_die_with(self);
		close(until[1]);
		run_crowd(crowd, until[0]);
	}
	close(until[0]);
	wait_for(&crowd->n_attached, CLIENTS, "clients are attached");
	if (hak_load_relaxed(&crowd->n_failed) > 0) /* as above */
		fail_msg("%u clients got no block: %s", hak_load_relaxed(&crowd->n_failed),
			 strerror((int)hak_load_relaxed(&crowd->error)));
	assert_int_equal(hakt_daemon_status(&hakd).clients, CLIENTS);
	assert_int_equal(hakt_daemon_status(&hakd).anomalies, 0);
	check_blocks_of(crowd);
	check_list_of(crowd);
	for (unsigned i = 0; i < CLIENTS; i++)
		if (way_to_leave(i) == LEFT_BY_KILL)
			assert_int_equal(kill(crowd->pids[i], SIGKILL), 0);
	close(until[1]); /* the others */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(hak_load_relaxed(&crowd->n_failed), 0);
	hakt_daemon_wait_empty(&hakd);
	munmap(crowd, sizeof(*crowd));
	stop_daemon();
}

/* Many threads. */

static struct hakt_mailbox mailboxes[THREADS];
static struct hakt_party parties[THREADS];
static pthread_barrier_t all_are_there, all_have_sent;

static bool send_batch(void *context, unsigned to, const struct hakt_item *batch, unsigned n)
{
	(void)context;
	return hakt_mailbox_put(&mailboxes[to], batch, n);
}

static unsigned receive_batch(void *context, struct hakt_item *batch)
{
	return hakt_mailbox_get(context, batch);
}

static void *run_party(void *argument)
{
	struct hakt_party *party = argument;

	pthread_barrier_wait(&all_are_there);
	while (party->n_ops < OPS_EACH)
		hakt_party_step(party);
	hakt_party_free_all(party);
	pthread_barrier_wait(&all_have_sent);
	hakt_party_serve(party);
	return NULL;
}

static void test_many_threads_of_a_process_allocate_exchange_and_end(void **state)
{
	static pthread_t threads[THREADS];
	uint64_t seed = hakt_seed();

	(void)state;
	need_memory(4 * GIB);
	start_daemon("4G");
	pthread_barrier_init(&all_are_there, NULL, THREADS);
	pthread_barrier_init(&all_have_sent, NULL, THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		hakt_mailbox_init(&mailboxes[i]);
		parties[i] = (struct hakt_party){.self = i,
						 .n = THREADS,
						 .random = seed + i,
						 .send = send_batch,
						 .receive = receive_batch,
						 .context = &mailboxes[i]};
	}
	for (unsigned round = 0; round < 2; round++) { /* the second gets the states of the first */
		for (unsigned i = 0; i < THREADS; i++) {
			parties[i].n_ops = 0;
			assert_int_equal(pthread_create(&threads[i], NULL, run_party, &parties[i]),
					 0);
		}
		for (unsigned i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		assert_nothing_is_left();
	}
	stop_daemon();
}

/* Many blocks. */

static size_t size_of_block(uint64_t i)
{
	return 16 + i * 7 % 49; /* 16 to 64 */
}

/* The first and the last 8 bytes; in the smallest blocks they meet. */
static void write_block(unsigned char *block, uint64_t i)
{
	uint64_t last = ~i;

	memcpy(block, &i, 8);
	memcpy(block + size_of_block(i) - 8, &last, 8);
}

static bool is_written(const unsigned char *block, uint64_t i)
{
	uint64_t first, last;

	memcpy(&first, block, 8);
	memcpy(&last, block + size_of_block(i) - 8, 8);
	return first == i && last == ~i;
}

static void test_ten_million_blocks_live_at_once(void **state)
{
	unsigned char **blocks;
	uint64_t n_wrong = 0;
	struct hakt_status status;

	(void)state;
	need_memory(2 * GIB);
	start_daemon("2G");
	blocks = malloc(BLOCKS * sizeof(*blocks));
	assert_non_null(blocks);
	for (uint64_t i = 0; i < BLOCKS; i++) {
		blocks[i] = hakmem_malloc(size_of_block(i));
		if (!blocks[i])
			fail_msg("block %llu: %s", (unsigned long long)i, strerror(errno));
		write_block(blocks[i], i);
	}
	status = hakt_daemon_status(&hakd);
	assert_true(status.live_blocks >= BLOCKS);
	assert_int_equal(status.anomalies, 0);
	for (uint64_t i = 0; i < BLOCKS; i++)
		n_wrong += !is_written(blocks[i], i);
	assert_int_equal(n_wrong, 0);
	/* Half of them from the end, the other half in steps that go all over the heap. */
	for (uint64_t i = BLOCKS; i-- > BLOCKS / 2;)
		hakmem_free(blocks[i]);
	for (uint64_t i = 0, at = 0; i < BLOCKS / 2; i++) {
		at = (at + 1000003) % (BLOCKS / 2); /* a prime */
		n_wrong += !is_written(blocks[at], at);
		hakmem_free(blocks[at]);
	}
	assert_int_equal(n_wrong, 0);
	free(blocks);
	assert_nothing_is_left();
	stop_daemon();
}

/* Many bytes. */

static void fill_pool(uint64_t limit, size_t size, void **blocks, uint64_t *n)
{
	for (;;) {
		uint64_t *block = hakmem_malloc(size);

		if (!block)
			break;
		assert_true(*n < limit / size + 100000);
		for (size_t at = 0; at < size / 8; at += 512) /* every page */
			block[at] = *n;
		blocks[(*n)++] = block;
	}
	assert_int_equal(errno, ENOMEM);
}

static void test_a_pool_is_used_up_to_its_limit(void **state)
{
	const char *full = getenv("HAKT_FULL");
	uint64_t limit = full && *full == '1' ? 16 * GIB : HAKT_SLOWNESS > 1 ? GIB : 4 * GIB;
	uint64_t n_large, n = 0;
	struct hakmem_stats stats;
	struct hakt_status status;
	char text[32];
	void **blocks;

	(void)state;
	need_memory(limit + limit / 32);
	snprintf(text, sizeof(text), "%lluM", (unsigned long long)(limit / MIB));
	start_daemon(text);
	blocks = malloc((limit / MIB + 200000) * sizeof(*blocks));
	assert_non_null(blocks);
	fill_pool(limit, MIB, blocks, &n);
	n_large = n;
	assert_int_equal(n, limit / MIB); /* two a SuperSlab, to the last byte */
	assert_null(hakmem_malloc(64));
	assert_int_equal(errno, ENOMEM);
	assert_int_equal(hakmem_stats(&stats, sizeof(stats)), 0);
	assert_int_equal(stats.live_bytes, limit);
	status = hakt_daemon_status(&hakd);
	assert_int_equal(status.granted_superslabs * stats.superslab_bytes, limit);
	assert_int_equal(status.live_blocks, n);
	assert_int_equal(status.anomalies, 0);
	assert_true(status.resident_bytes >= limit);
	/* What one gives up small ones get. */
	hakmem_free(blocks[--n]);
	fill_pool(limit, 4096, blocks, &n);
	assert_true(n >= n_large + 200);
	assert_int_equal(hakt_daemon_status(&hakd).granted_superslabs * stats.superslab_bytes,
			 limit);
	for (uint64_t i = 0; i < n; i++) {
		size_t size = i < n_large - 1 ? MIB : 4096;

		for (size_t at = 0; at < size / 8; at += 512)
			if (((uint64_t *)blocks[i])[at] != i)
				fail_msg("block %llu at %zu", (unsigned long long)i, at);
		hakmem_free(blocks[i]);
	}
	free(blocks);
	assert_nothing_is_left();
	/* What the daemon keeps for the next grants goes too, but for a bounded rest. */
	hakt_daemon_wait_resident(&hakd, limit / 32 + 64 * MIB);
	stop_daemon();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_teardown(test_a_thousand_processes_are_attached_at_once, detach),
	cmocka_unit_test_teardown(test_many_threads_of_a_process_allocate_exchange_and_end, detach),
	cmocka_unit_test_teardown(test_ten_million_blocks_live_at_once, detach),
	cmocka_unit_test_teardown(test_a_pool_is_used_up_to_its_limit, detach),
};

HAKT_MAIN(tests, NULL, NULL)
