/* SPDX-License-Identifier: MIT */
/* libhakmem_malloc.so as processes live: threads, forks, early and late calls, foreign blocks. */
#include "tests/support/run.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

/* The C library's allocator, which other callers of its own names use. */
extern void *__libc_malloc(size_t size);

static void use_many(unsigned n)
{
	void *blocks[64] = {0};

	for (unsigned i = 0; i < n; i++) {
		size_t size = i % 97 == 0 ? 100000 + i : (size_t)1 << i % 15;

		free(blocks[i % 64]);
		blocks[i % 64] = malloc(size);
		HAKT_EXPECT(blocks[i % 64]);
		memset(blocks[i % 64], (int)i, size);
	}
	for (unsigned i = 0; i < 64; i++)
		free(blocks[i]);
}

/* Blocks on their way between threads; each says its size at its begin. */
#define PLACES 512
static size_t *places[PLACES];

static void *exchange(void *seed)
{
	uint64_t random = (uintptr_t)seed * 2654435761u + 1;

	for (unsigned i = 0; i < 3000; i++) {
		random ^= random << 13, random ^= random >> 7, random ^= random << 17;

		size_t size = sizeof(size_t) + (random >> 8) % (i % 50 == 0 ? 300000 : 2000);
		size_t *block = malloc(size);

		memset(block, (int)size, size);
		*block = size;
		block = __atomic_exchange_n(&places[random % PLACES], block, __ATOMIC_ACQ_REL);
		if (!block)
			continue;
		size = *block;
		for (size_t k = sizeof(size); k < size; k++)
			HAKT_EXPECT(((unsigned char *)block)[k] == (unsigned char)size);
		if (i % 3 == 0)
			block = realloc(block, size * 2);
		HAKT_EXPECT(block && *block == size);
		free(block);
	}
	return NULL;
}

static void test_blocks_cross_threads_that_come_and_go(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 40; round++) {
		pthread_t threads[6];

		for (uintptr_t i = 0; i < 6; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, exchange,
							(void *)(round * 6 + i)),
					 0);
		for (unsigned i = 0; i < 6; i++)
			pthread_join(threads[i], NULL);
	}
	for (unsigned i = 0; i < PLACES; i++)
		free(places[i]);
}

static pthread_key_t keys[3];

static void destroy(void *block)
{
	static _Thread_local unsigned times;

	free(block);
	use_many(100);
	if (times++ < 9) /* more often than the C library calls it */
		pthread_setspecific(keys[times % 3], malloc(times * 50));
}

static void *run_with_keys(void *unused)
{
	for (unsigned i = 0; i < 3; i++)
		pthread_setspecific(keys[i], malloc(100));
	/* Buffers that the C library frees after all destructors. */
	assert_non_null(strsignal(SIGRTMAX + 100));
	assert_non_null(strerror(123456));
	return unused;
}

static void test_destructors_of_threads_may_allocate(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_key_create(&keys[i], destroy), 0);
	for (unsigned i = 0; i < 2000; i++) {
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, run_with_keys, NULL), 0);
		pthread_join(thread, NULL);
	}
	for (unsigned i = 0; i < 3; i++)
		pthread_key_delete(keys[i]);
}

static void *use_strerror(void *unused)
{
	return strerror(123456) ? unused : NULL;
}

static void test_threads_without_end_can_allocate(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 70000; i++) { /* more than there are states for threads */
		pthread_t thread;
		void *result;

		assert_int_equal(pthread_create(&thread, NULL, use_strerror, state), 0);
		assert_int_equal(pthread_join(thread, &result), 0);
		assert_ptr_equal(result, state);
	}
}

static bool is_over;

static void *use_until_over(void *unused)
{
	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED))
		use_many(500);
	return unused;
}

static int fork_and_wait(unsigned depth, void **blocks, unsigned n)
{
	pid_t pid = fork();
	pthread_t thread;
	int status = -1;

	if (pid != 0) {
		HAKT_EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid);
		return status;
	}
	alarm(60);
	use_many(3000);
	for (unsigned i = 0; i < n; i++) {
		HAKT_EXPECT(*(unsigned *)blocks[i] == i);
		blocks[i] = realloc(blocks[i], i * 37 % 5000 + 8);
		HAKT_EXPECT(*(unsigned *)blocks[i] == i);
	}
	__atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
	HAKT_EXPECT(pthread_create(&thread, NULL, use_until_over, NULL) == 0);
	HAKT_EXPECT(pthread_join(thread, NULL) == 0);
	if (depth > 0)
		HAKT_EXPECT(fork_and_wait(depth - 1, blocks, n) == 0);
	for (unsigned i = 0; i < n; i++)
		free(blocks[i]);
	use_many(3000);
	HAKT_EXPECT(malloc_trim(0) >= 0);
	exit(0);
}

static int fork_among_threads(const void *context)
{
	enum { N = 2000 };
	void *blocks[N];
	pthread_t threads[4];

	(void)context;
	for (unsigned i = 0; i < N; i++) {
		blocks[i] = malloc(i % 100 == 0 ? 70000 + i * 100 : 4 + i);
		*(unsigned *)blocks[i] = i;
	}
	for (unsigned i = 0; i < 4; i++)
		HAKT_EXPECT(pthread_create(&threads[i], NULL, use_until_over, NULL) == 0);
	for (unsigned i = 0; i < 60; i++)
		HAKT_EXPECT(fork_and_wait(i % 3, blocks, N) == 0);
	__atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < N; i++)
		HAKT_EXPECT(*(unsigned *)blocks[i] == i);
	return 0;
}

static void test_children_of_a_threaded_program_go_on_with_its_blocks(void **state)
{
	(void)state;
	hakt_process_run_child(fork_among_threads, NULL);
}

static void *at_exit_block;

static void free_at_exit(void)
{
	free(at_exit_block);
	use_many(1000);
	hakt_child_say("freed");
}

static void exit_on(int signal)
{
	(void)signal;
	exit(3);
}

static int wait_for_signal(const void *context)
{
	pthread_t thread;

	(void)context;
	at_exit_block = malloc(1000);
	HAKT_EXPECT(atexit(free_at_exit) == 0 && signal(SIGTERM, exit_on) != SIG_ERR);
	HAKT_EXPECT(pthread_create(&thread, NULL, use_until_over, NULL) == 0);
	usleep(10000);
	raise(SIGTERM); /* while the other thread goes on */
	return 0;
}

static void test_exit_by_a_signal_frees_while_threads_run(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		struct hakt_process process = {0};

		hakt_process_fork(&process, wait_for_signal, NULL);
		hakt_process_wait(&process);
		assert_int_equal(process.exit_code, 3);
		assert_string_equal(hakt_process_output(&process, 1), "freed\n");
		assert_string_equal(hakt_process_output(&process, 2), "");
		hakt_process_end(&process);
	}
}

/* A shell with pipes and forks, after these settings. */
static void run_shell(const char *const *environment)
{
	struct hakt_process process = {.environment = environment};

	hakt_process_run(&process, HAKT_LIST("/bin/bash", "-c",
					     "(echo a; echo b | (read x; echo $x)) | sort; "
					     "for i in 1 2 3; do (echo $i) & done; wait"));
	assert_int_equal(process.exit_code, 0);
	assert_non_null(strstr(hakt_process_output(&process, 1), "a\nb\n"));
	assert_non_null(strstr(hakt_process_output(&process, 2), "early: done\n"));
	assert_null(strstr(hakt_process_output(&process, 2), "hakmem"));
	hakt_process_end(&process);
}

static void test_constructors_and_fork_handlers_of_other_libraries_may_allocate(void **state)
{
	(void)state;
	run_shell(HAKT_LIST("LD_PRELOAD=" HAKT_HAKMEM_MALLOC ":" HAKT_HAKT_EARLY));
	run_shell(HAKT_LIST("LD_PRELOAD=" HAKT_HAKT_EARLY ":" HAKT_HAKMEM_MALLOC));
}

static int pass_pool_blocks(const void *context)
{
	char *block = hakmem_malloc(100), *other = hakmem_malloc(5000), *own = malloc(100);
	struct hakmem_stats before, after;

	(void)context;
	HAKT_EXPECT(block && other && hakmem_contains(block) && !hakmem_contains(own));
	HAKT_EXPECT(malloc_usable_size(block) == hakmem_usable_size(block));
	strcpy(block, "kept");
	block = realloc(block, 30000);
	HAKT_EXPECT(block && hakmem_contains(block) && strcmp(block, "kept") == 0);
	HAKT_EXPECT(malloc_usable_size(block) >= 30000);
	HAKT_EXPECT(hakmem_stats(&before, sizeof(before)) == 0);
	free(block);
	HAKT_EXPECT(realloc(other, 0) == NULL);
	HAKT_EXPECT(hakmem_trim() == 0 && hakmem_stats(&after, sizeof(after)) == 0);
	HAKT_EXPECT(after.refused_frees == 0);
	hakmem_free(own); /* of ours: no block of the pool, which is said */
	free(own);
	return hakmem_detach();
}

static void test_a_block_of_a_shared_pool_goes_back_to_it(void **state)
{
	struct hakt_process process = {0};
	struct hakt_daemon hakd;

	(void)state;
	hakt_daemon_start(&hakd, NULL);
	hakt_process_fork(&process, pass_pool_blocks, NULL);
	hakt_process_wait_done(&process);
	hakt_process_end(&process);
	hakt_daemon_stop_empty(&hakd);
}

static void test_a_block_of_the_C_library_goes_back_to_it(void **state)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
	void *(*next_malloc)(size_t);
	char *block = __libc_malloc(100);
	void *again;

	(void)state;
	assert_non_null(libc);
	*(void **)&next_malloc = dlsym(libc, "malloc");
	assert_true(next_malloc && next_malloc != malloc);
	assert_true(malloc_usable_size(block) >= 100);
	free(block);
	again = __libc_malloc(100);
	assert_ptr_equal(again, block); /* it was free there */
	strcpy(again, "kept");
	block = realloc(again, 3000);
	assert_string_equal(block, "kept");
	assert_true(malloc_usable_size(block) >= 3000);
	assert_null(realloc(block, 0));
	free(next_malloc(50));
	dlclose(libc);
}

static int free_garbage(const void *context)
{
	static char data[64];
	char local[64], *own = malloc(100);
	void *const garbage[] = {local,	  data,	    (void *)16,	 (void *)(uintptr_t)0xdeadbeef0,
				 stdout,  own + 16, (void *)-16, (void *)(uintptr_t)&free_garbage,
				 own + 1, local + 3};

	(void)context;
	for (unsigned i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		hakt_child_say("%p", garbage[i]);
		free(garbage[i]);
		errno = 0;
		HAKT_EXPECT(malloc_usable_size(garbage[i]) == 0);
		HAKT_EXPECT(realloc(garbage[i], 10) == NULL && errno == EINVAL);
	}
	free(own);
	hakt_child_say("%p", (void *)own);
	free(own); /* twice */
	use_many(10000);
	return 0;
}

static void test_garbage_is_reported_with_its_address_and_harms_nothing(void **state)
{
	struct hakt_process process = {0};
	char *line, *rest = NULL;
	unsigned n = 0;

	(void)state;
	hakt_process_fork(&process, free_garbage, NULL);
	hakt_process_wait_done(&process);
	hakt_process_output(&process, 1);
	hakt_process_output(&process, 2);
	for (line = strtok_r(process.output[1], "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest), n++) {
		char expected[64];

		snprintf(expected, sizeof(expected), "free of %s refused", line);
		assert_non_null(strstr(process.output[2], expected));
	}
	assert_int_equal(n, 11);
	hakt_process_end(&process);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_blocks_cross_threads_that_come_and_go),
	cmocka_unit_test(test_destructors_of_threads_may_allocate),
	cmocka_unit_test(test_threads_without_end_can_allocate),
	cmocka_unit_test(test_children_of_a_threaded_program_go_on_with_its_blocks),
	cmocka_unit_test(test_exit_by_a_signal_frees_while_threads_run),
	cmocka_unit_test(test_constructors_and_fork_handlers_of_other_libraries_may_allocate),
	cmocka_unit_test(test_a_block_of_a_shared_pool_goes_back_to_it),
	cmocka_unit_test(test_a_block_of_the_C_library_goes_back_to_it),
	cmocka_unit_test(test_garbage_is_reported_with_its_address_and_harms_nothing),
};

HAKT_MAIN(tests, NULL, NULL)
