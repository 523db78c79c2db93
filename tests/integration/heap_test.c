/* SPDX-License-Identifier: MIT */
/* The library against a real daemon: allocation, several processes, death. */
#include "tests/support/run.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

static struct hakt_daemon hakd;

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd, HAKT_LIST("--limit", "256M", "--log-level", "warn"));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakmem_detach();
	return hakt_daemon_stop_empty(&hakd);
}

static void test_blocks_of_all_sizes_keep_their_contents(void **state)
{
	enum { N = 600 };
	unsigned char *blocks[N];
	size_t size = 0;

	(void)state;
	for (unsigned i = 0; i < N; i++, size = size * 33 / 32 + 1) {
		if (size > 6000000)
			size = i;
		blocks[i] = hakmem_malloc(size);
		assert_non_null(blocks[i]);
		assert_int_equal((uintptr_t)blocks[i] % 16, 0);
		assert_true(hakmem_usable_size(blocks[i]) >= size);
		memset(blocks[i], (int)i, size < 64 ? size : 64);
		assert_ptr_equal(hakmem_ptr(hakmem_ref(blocks[i])), blocks[i]);
		if (i % 3 == 0) {
			hakmem_free(blocks[i]);
			blocks[i] = NULL;
		}
	}
	for (unsigned i = 0; i < N; i++) {
		if (blocks[i] && hakmem_usable_size(blocks[i]) >= 1 && i > 0)
			assert_int_equal(blocks[i][0], (unsigned char)i);
		hakmem_free(blocks[i]);
	}
	assert_int_equal(hakmem_trim(), 0);
	assert_int_equal(hakt_daemon_status(&hakd).live_blocks, 0);
	assert_int_equal(hakt_daemon_status(&hakd).granted_superslabs, 0);
}

static void test_alignments_up_to_2_mib_hold(void **state)
{
	(void)state;
	for (size_t alignment = 1; alignment <= 1u << 21; alignment *= 2) {
		for (size_t size = 1; size < 3000000; size = size * 5 + 3) {
			void *block = hakmem_aligned_alloc(alignment, size);

			assert_non_null(block);
			assert_int_equal((uintptr_t)block % alignment, 0);
			hakmem_free(block);
		}
	}
	assert_null(hakmem_aligned_alloc(48, 1));
	assert_int_equal(errno, EINVAL);
}

static void test_the_limit_is_ENOMEM_and_not_a_signal(void **state)
{
	enum { N = 1000 };
	static char *blocks[N];
	unsigned n = 0;

	(void)state;
	assert_null(hakmem_malloc(SIZE_MAX / 2));
	assert_int_equal(errno, ENOMEM);
	while (n < N && (blocks[n] = hakmem_malloc(1000000)))
		memset(blocks[n++], 1, 1000000);
	assert_int_equal(errno, ENOMEM);
	assert_true(n > 50 && n < N);
	while (n > 0)
		hakmem_free(blocks[--n]);
	blocks[0] = hakmem_malloc(100000000);
	assert_non_null(blocks[0]);
	hakmem_free(blocks[0]);
}

static void test_frees_of_what_is_no_block_are_refused(void **state)
{
	struct hakmem_stats before, after;
	char *block = hakmem_malloc(100);
	int local;

	(void)state;
	assert_int_equal(hakmem_stats(&before, sizeof(before)), 0);
	hakmem_free(&local);
	hakmem_free(block + 16);
	hakmem_free(block);
	hakmem_free(block);
	assert_int_equal(hakmem_stats(&after, sizeof(after)), 0);
	assert_int_equal(after.refused_frees - before.refused_frees, 3);
}

static void test_a_child_shares_the_heap_and_its_death_gives_all_back(void **state)
{
	int ends[2];
	hakmem_ref_t ref;
	int status;
	char *block = hakmem_malloc(1000), *theirs;
	pid_t pid;

	(void)state;
	strcpy(block, "from the parent");
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		char *mine = hakmem_malloc(300000); /* a client of its own from here on */
		if (!mine || strcmp(block, "from the parent"))
			_exit(1);
		strcpy(mine, "from the child");
		ref = hakmem_ref(mine);
		hakmem_free(block); /* its parent's */
		hakmem_trim();
		if (write(ends[1], &ref, sizeof(ref)) != sizeof(ref))
			_exit(2);
		pause();
	}
	assert_int_equal(read(ends[0], &ref, sizeof(ref)), sizeof(ref));
	theirs = hakmem_ptr(ref);
	assert_non_null(theirs);
	assert_string_equal(theirs, "from the child");
	assert_int_equal(hakt_daemon_status(&hakd).clients, 2);
	assert_int_equal(hakmem_usable_size(block) > 0, 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	for (unsigned i = 0; i < 1000 && hakt_daemon_status(&hakd).clients > 1; i++)
		usleep(10000);
	assert_int_equal(hakt_daemon_status(&hakd).clients, 1);
	assert_null(hakmem_ptr(ref)); /* went with its owner */
	assert_int_equal(errno, ESTALE);
	assert_int_equal(hakt_daemon_status(&hakd).anomalies, 0);
	close(ends[0]);
	close(ends[1]);
}

static int empty(void **state)
{
	(void)state;
	hakmem_detach();
	hakt_daemon_wait_empty(&hakd);
	return 0;
}

static uint64_t n_superslabs(void)
{
	struct hakmem_stats stats;

	assert_int_equal(hakmem_stats(&stats, sizeof(stats)), 0);
	return stats.superslabs;
}

static void test_spans_of_any_length_fill_a_superslab(void **state)
{
	enum { SLOTS = 32 };

	(void)state;
	for (size_t n = 17; n < SLOTS; n++) {
		void *rest = hakmem_malloc((SLOTS - n) << 16), *span;

		assert_non_null(rest);
		assert_int_equal(n_superslabs(), 1);
		span = hakmem_malloc(n << 16);
		assert_non_null(span);
		assert_int_equal((uintptr_t)span >> 21, (uintptr_t)rest >> 21);
		assert_int_equal(hakmem_detach(), 0);
	}
}

static void test_the_next_superslab_is_asked_for_when_little_is_left(void **state)
{
	(void)state;
	assert_non_null(hakmem_malloc(15 << 16));
	assert_int_equal(hakt_daemon_status(&hakd).granted_superslabs, 1);
	assert_non_null(hakmem_malloc(2 << 16)); /* more than half is used */
	for (unsigned i = 0; i < 3000 && hakt_daemon_status(&hakd).granted_superslabs < 2; i++)
		usleep(10000);
	assert_int_equal(hakt_daemon_status(&hakd).granted_superslabs, 2);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_blocks_of_all_sizes_keep_their_contents),
	cmocka_unit_test(test_alignments_up_to_2_mib_hold),
	cmocka_unit_test(test_the_limit_is_ENOMEM_and_not_a_signal),
	cmocka_unit_test(test_frees_of_what_is_no_block_are_refused),
	cmocka_unit_test(test_a_child_shares_the_heap_and_its_death_gives_all_back),
	cmocka_unit_test_setup(test_spans_of_any_length_fill_a_superslab, empty),
	cmocka_unit_test_setup(test_the_next_superslab_is_asked_for_when_little_is_left, empty),
};

HAKT_MAIN(tests, start, stop)
