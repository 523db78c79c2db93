/* SPDX-License-Identifier: MIT */
/* Huge pages for a memfd, and doing without. */
#include "tests/support/run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/mem/huge.h"

enum { N = 40 };

static struct hakd_huge huge;
static char *memory; /* N pieces of a memfd */
static int fd;

static int prepare(void **state)
{
	char *room = mmap(NULL, (N + 1) * HAKD_HUGE_BYTES, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)state;
	assert_true(room != MAP_FAILED);
	room += -(uintptr_t)room & (HAKD_HUGE_BYTES - 1);
	huge = (struct hakd_huge){0};
	fd = memfd_create("pieces", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, N * HAKD_HUGE_BYTES), 0);
	memory = mmap(room, N * HAKD_HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		      0);
	assert_ptr_equal(memory, room);
	return 0;
}

static int clean_up(void **state)
{
	(void)state;
	prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
	munmap(memory, N * HAKD_HUGE_BYTES);
	return close(fd);
}

static int try_piece(unsigned i)
{
	return hakd_huge_try(&huge, fd, memory + i * HAKD_HUGE_BYTES, i * HAKD_HUGE_BYTES);
}

static uint64_t backed_bytes(void)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static const char *text(void)
{
	static char buffer[96];

	return hakd_huge_text(&huge, buffer);
}

static void test_what_was_not_tried_is_not_claimed(void **state)
{
	(void)state;
	assert_string_equal(text(), "none: not tried yet");
}

static void test_a_piece_is_backed_whole_and_zero_or_it_says_no(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		uint64_t before = backed_bytes();
		int r = try_piece(i);

		assert_true(r == 0 || r == -EAGAIN);
		if (r < 0) {
			assert_memory_equal(text(), "none: ", 6);
			continue;
		}
		assert_true(!strcmp(text(), "collapse") || !strcmp(text(), "advise"));
		assert_int_equal(backed_bytes() - before, HAKD_HUGE_BYTES);
		for (unsigned at = 0; at < HAKD_HUGE_BYTES; at++)
			if (memory[i * HAKD_HUGE_BYTES + at])
				fail_msg("byte %u of piece %u is not 0", at, i);
	}
}

static void test_what_the_kernel_refuses_is_said_and_asked_for_ever_less_often(void **state)
{
	unsigned tries = 0;

	(void)state;
	assert_int_equal(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
	for (unsigned i = 0; i < N; i++) {
		uint32_t before = huge.failures;

		assert_int_equal(try_piece(i), -EAGAIN);
		tries += huge.failures != before;
	}
	assert_string_equal(text(), "none: the kernel or its settings refuse them");
	assert_int_equal(tries, 6); /* pieces 0, 2, 5, 10, 19, 36 */
}

static void test_a_later_try_succeeds_after_failures(void **state)
{
	(void)state;
	if (try_piece(0) < 0)
		skip(); /* a machine without any */
	assert_int_equal(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
	assert_int_equal(try_piece(1), -EAGAIN);
	assert_int_equal(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0), 0);
	assert_int_equal(try_piece(2), -EAGAIN); /* left out */
	assert_memory_equal(text(), "none: ", 6);
	assert_int_equal(try_piece(3), 0);
	assert_memory_not_equal(text(), "none: ", 6);
	assert_int_equal(huge.failures, 0);
}

static void test_a_file_that_cannot_have_pages_is_a_refusal_and_no_signal(void **state)
{
	(void)state;
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1); /* memory is mapped */
	close(fd);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(try_piece(0), -EAGAIN);
	assert_memory_equal(text(), "none: ", 6);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_what_was_not_tried_is_not_claimed, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_a_piece_is_backed_whole_and_zero_or_it_says_no,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(
		test_what_the_kernel_refuses_is_said_and_asked_for_ever_less_often, prepare,
		clean_up),
	cmocka_unit_test_setup_teardown(test_a_later_try_succeeds_after_failures, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(
		test_a_file_that_cannot_have_pages_is_a_refusal_and_no_signal, prepare, clean_up),
};

HAKT_MAIN(tests, NULL, NULL)
