/* SPDX-License-Identifier: MIT */
/*
 * Threads of one process that exchange blocks, come and go, fork, and free
 * twice. Each case ends with nothing allocated: the threads flush what they
 * cache when they end, the first one by hakmem_trim.
 */
#include "tests/support/run.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/shm/atomic.h"
#include "tests/stress/mailbox.h"
#include "tests/stress/party.h"
#include "tests/support/daemon.h"
#include "tests/support/forks.h"
#include "tests/support/process.h"

#define THREADS_MAX 8u
#define OPS	    UINT64_C(1000000) /* of all threads together */

static struct hakt_daemon hakd;

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd, HAKT_LIST("--limit", "1G", "--log-level", "warn"));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakmem_detach();
	return hakt_daemon_stop_empty(&hakd);
}

static struct hakmem_stats stats_now(void)
{
	struct hakmem_stats stats = {0};

	assert_int_equal(hakmem_stats(&stats, sizeof(stats)), 0);
	return stats;
}

static void assert_nothing_is_left(uint64_t refused)
{
	struct hakt_status status;

	assert_int_equal(hakmem_trim(), 0);
	assert_int_equal(stats_now().live_blocks, 0);
	assert_int_equal(stats_now().refused_frees, refused);
	status = hakt_daemon_status(&hakd);
	assert_int_equal(status.live_blocks, 0);
	assert_int_equal(status.granted_superslabs, 0); /* trim gives back all */
	assert_int_equal(status.anomalies, 0);
}

/* An exchange: parties in threads, messages in mailboxes. */

static struct hakt_mailbox mailboxes[THREADS_MAX];
static pthread_barrier_t all_have_sent;
static uint64_t ops_each;

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

	while (party->n_ops < ops_each)
		hakt_party_step(party);
	hakt_party_free_all(party);
	pthread_barrier_wait(&all_have_sent);
	hakt_party_serve(party);
	return NULL;
}

static void exchange(unsigned n)
{
	static struct hakt_party parties[THREADS_MAX];
	pthread_t threads[THREADS_MAX];
	uint64_t seed = hakt_seed();

	ops_each = hakt_ops(OPS) / n;
	pthread_barrier_init(&all_have_sent, NULL, n);
	for (unsigned i = 0; i < n; i++)
		hakt_mailbox_init(&mailboxes[i]);
	for (unsigned i = 0; i < n; i++) {
		parties[i] = (struct hakt_party){.self = i,
						 .n = n,
						 .random = seed + i,
						 .send = send_batch,
						 .receive = receive_batch,
						 .context = &mailboxes[i]};
		assert_int_equal(pthread_create(&threads[i], NULL, run_party, &parties[i]), 0);
	}
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < n; i++)
		hakt_mailbox_deinit(&mailboxes[i]);
	pthread_barrier_destroy(&all_have_sent);
	assert_nothing_is_left(0);
}

static void test_two_threads_exchange_blocks(void **state)
{
	(void)state;
	exchange(2);
}

static void test_eight_threads_exchange_blocks(void **state)
{
	(void)state;
	exchange(8);
}

/* Threads that leave blocks behind. */

#define LEFT_CLASSES 4u /* of block sizes that a short thread makes */
#define LEFT_BLOCKS  8u /* of each */

struct left {
	unsigned char *blocks[LEFT_CLASSES][LEFT_BLOCKS];
};

static void *leave_blocks(void *argument)
{
	struct left *left = argument;

	for (unsigned c = 0; c < LEFT_CLASSES; c++) {
		for (unsigned i = 0; i < LEFT_BLOCKS; i++) {
			size_t size = (size_t)100 << (2 * c);

			hakmem_free(left->blocks[c][i]); /* of a thread that has ended */
			left->blocks[c][i] = hakmem_malloc(size);
			if (!left->blocks[c][i])
				hakt_die("no block of %zu", size);
			memset(left->blocks[c][i], (int)(c * LEFT_BLOCKS + i), size);
		}
	}
	return NULL;
}

static void check_left(const struct left *left)
{
	for (unsigned c = 0; c < LEFT_CLASSES; c++)
		for (unsigned i = 0; i < LEFT_BLOCKS; i++)
			for (size_t k = 0; k < (size_t)100 << (2 * c); k++)
				assert_int_equal(left->blocks[c][i][k], c * LEFT_BLOCKS + i);
}

static void test_slabs_of_ended_threads_are_adopted(void **state)
{
	/* Without adoption each thread would need slots of its own: more than a SuperSlab
	 * for eight threads. */
	enum { AT_ONCE = 4, ROUNDS = 75 };
	static struct left left[AT_ONCE];

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		pthread_t threads[AT_ONCE];

		for (unsigned i = 0; i < AT_ONCE; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, leave_blocks, &left[i]),
					 0);
		for (unsigned i = 0; i < AT_ONCE; i++)
			pthread_join(threads[i], NULL);
		for (unsigned i = 0; i < AT_ONCE; i++)
			check_left(&left[i]);
	}
	assert_in_range(stats_now().superslabs, 1, 4);
	for (unsigned i = 0; i < AT_ONCE; i++)
		for (unsigned c = 0; c < LEFT_CLASSES; c++)
			for (unsigned k = 0; k < LEFT_BLOCKS; k++)
				hakmem_free(left[i].blocks[c][k]);
	assert_nothing_is_left(0);
}

/* One makes, one frees, one trims and counts. */

static hak_u32 is_done;

static void *produce(void *argument)
{
	uint64_t n_ops = hakt_ops(OPS / 2);

	(void)argument;
	for (uint64_t i = 0; i < n_ops; i += HAKT_BATCH_MAX) {
		struct hakt_item batch[HAKT_BATCH_MAX];

		for (unsigned k = 0; k < HAKT_BATCH_MAX; k++) {
			size_t size = 16 + (i + k) % 3000;
			uint64_t *block = hakmem_malloc(size);

			if (!block)
				hakt_die("no block of %zu", size);
			*block = i + k;
			batch[k] = (struct hakt_item){.ref = hakmem_ref(block), .serial = i + k};
		}
		while (!hakt_mailbox_put(&mailboxes[0], batch, HAKT_BATCH_MAX))
			sched_yield();
	}
	hak_store_release(&is_done, 1); /* a consumer that sees it sees the last message */
	return NULL;
}

static void *consume(void *argument)
{
	struct hakt_item batch[HAKT_BATCH_MAX];

	(void)argument;
	for (;;) {
		uint32_t was_done = hak_load_acquire(&is_done);
		unsigned n = hakt_mailbox_get(&mailboxes[0], batch);

		for (unsigned i = 0; i < n; i++) {
			uint64_t *block = hakmem_ptr(batch[i].ref);

			if (!block || *block != batch[i].serial)
				hakt_die("block %llu is wrong",
					 (unsigned long long)batch[i].serial);
			hakmem_free(block);
		}
		if (n == 0 && was_done)
			return NULL;
		if (n == 0)
			sched_yield();
	}
}

static void test_a_producer_reuses_what_a_consumer_frees_beside_trim_and_stats(void **state)
{
	pthread_t producer, consumer;
	uint64_t most = 0;

	(void)state;
	hak_store_relaxed(&is_done, 0); /* no thread has been started */
	hakt_mailbox_init(&mailboxes[0]);
	assert_int_equal(pthread_create(&producer, NULL, produce, NULL), 0);
	assert_int_equal(pthread_create(&consumer, NULL, consume, NULL), 0);
	while (!hak_load_acquire(&is_done)) {
		uint64_t n = hakmem_trim() == 0 ? stats_now().superslabs : 0;

		most = n > most ? n : most;
	}
	pthread_join(producer, NULL);
	pthread_join(consumer, NULL);
	hakt_mailbox_deinit(&mailboxes[0]);
	/* In flight are a few hundred KiB; never reusing them would take hundreds of SuperSlabs. */
	assert_in_range(most, 0, 16);
	assert_nothing_is_left(0);
}

/* Forks while others are at work. */

static void *churn(void *argument)
{
	uint64_t random = (uintptr_t)argument;
	unsigned char *blocks[64] = {0};

	while (!hak_load_acquire(&is_done)) {
		unsigned i = (unsigned)(hakt_random(&random) % 64);
		size_t size = 1 + hakt_random(&random) % (i ? 5000 : 200000);

		hakmem_free(blocks[i]);
		blocks[i] = hakmem_malloc(size);
		if (!blocks[i])
			hakt_die("no block of %zu", size);
		blocks[i][0] = blocks[i][size - 1] = (unsigned char)i;
	}
	for (unsigned i = 0; i < 64; i++)
		hakmem_free(blocks[i]);
	return NULL;
}

/* In the child of a fork: 0 if all is well. */
static int allocate_as_child(const char *inherited)
{
	char *blocks[100];

	if (strcmp(inherited, "of the parent") != 0)
		return 2;
	for (unsigned i = 0; i < 100; i++) {
		blocks[i] = hakmem_malloc(1 + i * i * 10);
		if (!blocks[i])
			return 3;
		memset(blocks[i], (int)i, 1 + i * i * 10);
	}
	for (unsigned i = 0; i < 100; i++) {
		if (blocks[i][i * i * 10] != (char)i)
			return 4;
		hakmem_free(blocks[i]);
	}
	return hakmem_detach() == 0 ? 0 : 5;
}

static void test_a_child_of_a_fork_beside_busy_threads_allocates(void **state)
{
	enum { FORKS = 20 };
	pthread_t threads[3];
	char *inherited = hakmem_malloc(100);

	(void)state;
	HAKT_SKIP_WITHOUT_FORKS();
	strcpy(inherited, "of the parent");
	hak_store_relaxed(&is_done, 0); /* no thread has been started */
	for (uintptr_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)i), 0);
	for (unsigned i = 0; i < FORKS; i++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (pid == 0)
			_exit(allocate_as_child(inherited));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
		assert_string_equal(inherited, "of the parent");
	}
	hak_store_release(&is_done, 1);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	hakmem_free(inherited);
	for (unsigned i = 0; i < 1000 && hakt_daemon_status(&hakd).clients > 1; i++)
		usleep(10000);
	assert_nothing_is_left(0);
}

/* Frees by two threads at once. */

#define TWICE_ROUNDS (1000u / HAKT_SLOWNESS)

static pthread_barrier_t at_once;
static void *to_free;

static void *free_in_rounds(void *argument)
{
	(void)argument;
	for (unsigned round = 0; round < TWICE_ROUNDS; round++) {
		pthread_barrier_wait(&at_once); /* there is a block */
		hakmem_free(to_free);
		hakmem_trim(); /* what is cached is freed, and noticed */
		pthread_barrier_wait(&at_once);
	}
	return NULL;
}

static void free_twice_at_once(size_t size)
{
	pthread_t threads[2];
	uint64_t before;

	assert_int_equal(hakmem_trim(), 0); /* attaches */
	before = stats_now().refused_frees;
	pthread_barrier_init(&at_once, NULL, 3);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, free_in_rounds, NULL), 0);
	for (unsigned round = 0; round < TWICE_ROUNDS; round++) {
		to_free = hakmem_malloc(size);
		assert_non_null(to_free);
		pthread_barrier_wait(&at_once);
		pthread_barrier_wait(&at_once);
		assert_int_equal(stats_now().refused_frees - before, round + 1);
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&at_once);
	assert_nothing_is_left(before + TWICE_ROUNDS);
}

static void test_one_of_two_frees_of_a_block_at_once_is_refused(void **state)
{
	(void)state;
	free_twice_at_once(100);
}

static void test_one_of_two_frees_of_a_span_at_once_is_refused(void **state)
{
	(void)state;
	free_twice_at_once(100000);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_two_threads_exchange_blocks),
	cmocka_unit_test(test_eight_threads_exchange_blocks),
	cmocka_unit_test(test_slabs_of_ended_threads_are_adopted),
	cmocka_unit_test(test_a_producer_reuses_what_a_consumer_frees_beside_trim_and_stats),
	cmocka_unit_test(test_a_child_of_a_fork_beside_busy_threads_allocates),
	cmocka_unit_test(test_one_of_two_frees_of_a_block_at_once_is_refused),
	cmocka_unit_test(test_one_of_two_frees_of_a_span_at_once_is_refused),
};

HAKT_MAIN(tests, start, stop)
