/* SPDX-License-Identifier: MIT */
/* Processes that are attached for reading. */
#include "tests/support/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

static struct hakt_daemon hakd;
static const struct hakmem_options reading = {.read_only = 1};
static hakmem_ref_t named;

/* A list of one block that is published, and says so. */
static int start(void **state)
{
	char *block;

	(void)state;
	hakt_daemon_start(&hakd, HAKT_LIST("--limit", "64M", "--log-level", "warn"));
	block = hakmem_malloc(100000);
	assert_non_null(block);
	strcpy(block, "published");
	named = hakmem_ref(block);
	assert_int_equal(hakmem_root_publish("name", named), 0);
	return 0;
}

static int stop(void **state)
{
	hakmem_ref_t ref;

	(void)state;
	assert_int_equal(hakmem_root_withdraw("name", &ref), 0);
	hakmem_free(hakmem_ptr(ref));
	hakmem_detach();
	return hakt_daemon_stop_empty(&hakd);
}

static char *look(void)
{
	hakmem_ref_t ref;
	char *block;

	HAKT_EXPECT(hakmem_root_lookup("name", &ref) == 0);
	block = hakmem_ptr(ref);
	HAKT_EXPECT(block && strcmp(block, "published") == 0);
	return block;
}

static int read_all(const void *context)
{
	char *lent = (char *)(uintptr_t)context, *block;
	int pid;

	hakmem_detach(); /* what a fork has of its parent */
	HAKT_EXPECT(hakmem_attach(&reading) == 0);
	HAKT_EXPECT(hakmem_attach(&reading) == -EISCONN);
	block = look();
	HAKT_EXPECT(hakmem_is_at_base() == 1);
	HAKT_EXPECT(strcmp(lent, "lent") == 0);
	HAKT_EXPECT(hakmem_owner(lent, &pid) == HAKMEM_OWNER_OTHER && pid == getppid());
	HAKT_EXPECT(hakmem_owner(block, NULL) == HAKMEM_OWNER_ROOT);
	HAKT_EXPECT(hakmem_usable_size(block) >= 100000);
	HAKT_EXPECT(hakmem_contains(block) && !hakmem_contains(&pid));
	HAKT_EXPECT(hakmem_root_lookup("other", &named) == -ENOENT);
	HAKT_EXPECT(!hakmem_ptr(0) && errno == EINVAL);
	hakt_child_say("read");
	hakt_child_wait();
	look();
	HAKT_EXPECT(hakmem_detach() == 0);
	return 0;
}

/* And the daemon does not know it, nor does it need one. */
static void test_a_reader_reads(void **state)
{
	struct hakt_process reader = {0};
	char *lent = hakmem_malloc(100);

	(void)state;
	strcpy(lent, "lent");
	hakt_process_fork(&reader, read_all, lent);
	hakt_process_wait_output(&reader, 1, "read");
	assert_int_equal(hakt_daemon_status(&hakd).clients, 1);
	assert_int_equal(hakt_daemon_counter(&hakd, "readers"), 1);
	assert_int_equal(kill(hakd.pid, SIGSTOP), 0);
	hakt_process_tell(&reader);
	hakt_process_wait_done(&reader);
	assert_int_equal(kill(hakd.pid, SIGCONT), 0);
	hakt_process_end(&reader);
	hakmem_free(lent);
}

static int try_to_write(const void *context)
{
	struct hakmem_stats stats;
	hakmem_ref_t ref = 0;
	void *p;
	char *block;

	(void)context;
	hakmem_detach();
	HAKT_EXPECT(hakmem_attach(&reading) == 0);
	block = look();
	HAKT_EXPECT(!hakmem_malloc(1) && errno == EACCES);
	HAKT_EXPECT(!hakmem_malloc(1 << 20) && errno == EACCES);
	HAKT_EXPECT(!hakmem_calloc(1, 100000) && errno == EACCES);
	HAKT_EXPECT(!hakmem_aligned_alloc(64, 100) && errno == EACCES);
	HAKT_EXPECT(!hakmem_realloc(block, 10) && errno == EACCES);
	HAKT_EXPECT(!hakmem_realloc(NULL, 10) && errno == EACCES);
	HAKT_EXPECT(hakmem_ref(block) == 0 && errno == EACCES);
	HAKT_EXPECT(hakmem_take(named, &p) == -EACCES);
	HAKT_EXPECT(hakmem_root_publish("mine", named) == -EACCES);
	HAKT_EXPECT(hakmem_root_withdraw("name", &ref) == -EACCES);
	HAKT_EXPECT(hakmem_trim() == -EACCES);
	HAKT_EXPECT(hakmem_stats(&stats, sizeof(stats)) == 0 && stats.superslabs == 0);
	hakmem_free(block); /* reported, and refused */
	look();
	/* What the kernel thinks of it. */
	HAKT_EXPECT(mprotect((void *)((uintptr_t)block & ~UINT64_C(4095)), 4096,
			     PROT_READ | PROT_WRITE) != 0);
	HAKT_EXPECT(errno == EACCES);
	HAKT_EXPECT(hakmem_detach() == 0);
	HAKT_EXPECT(hakmem_attach(NULL) == 0); /* to write, as ever */
	p = hakmem_malloc(100);
	HAKT_EXPECT(p);
	hakmem_free(p);
	return 0;
}

static void test_a_reader_writes_nothing(void **state)
{
	struct hakt_process reader = {0};

	(void)state;
	hakt_process_fork(&reader, try_to_write, NULL);
	hakt_process_wait_done(&reader);
	assert_non_null(strstr(hakt_process_output(&reader, 2), "attached for reading"));
	hakt_process_end(&reader);
}

static int write_all_the_same(const void *context)
{
	(void)context;
	hakmem_detach();
	signal(SIGSEGV, SIG_DFL); /* a sanitizer has its own */
	HAKT_EXPECT(hakmem_attach(&reading) == 0);
	*(volatile char *)look() = 0;
	return 0;
}

static void test_the_kernel_enforces_it(void **state)
{
	struct hakt_process reader = {0};

	(void)state;
	hakt_process_fork(&reader, write_all_the_same, NULL);
	hakt_process_wait(&reader);
	assert_int_equal(reader.signal, SIGSEGV);
	hakt_process_end(&reader);
	look();
}

static int read_in_a_child(const void *context)
{
	int status;
	pid_t pid;

	(void)context;
	hakmem_detach();
	HAKT_EXPECT(hakmem_attach(&reading) == 0);
	look();
	pid = fork();
	if (pid == 0) {
		look();
		HAKT_EXPECT(!hakmem_malloc(1) && errno == EACCES);
		_exit(0);
	}
	HAKT_EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
	look();
	return 0;
}

static void test_its_children_read_too(void **state)
{
	(void)state;
	hakt_process_run_child(read_in_a_child, NULL);
	assert_int_equal(hakt_daemon_status(&hakd).clients, 1);
}

static int hold_in_a_pool(const void *context)
{
	struct hakmem_pool *pool;
	char *p;

	(void)context;
	HAKT_EXPECT(hakmem_pool_open("lab", NULL, &pool) == 0);
	p = hakmem_malloc_in(pool, 100);
	HAKT_EXPECT(p);
	strcpy(p, "of the lab");
	hakt_child_say("ref %llu.", (unsigned long long)hakmem_ref(p));
	hakt_child_wait();
	return 0;
}

static void test_a_pool_is_opened_for_reading(void **state)
{
	struct hakt_process ctl = {0}, holder = {0};
	unsigned long long ref;
	struct hakmem_pool *pool;
	void *taken;
	char *p;

	(void)state;
	hakt_process_run(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "pool", "create", "lab", "--limit", "8M"));
	assert_int_equal(ctl.exit_code, 0);
	hakt_process_end(&ctl);
	hakt_process_fork(&holder, hold_in_a_pool, NULL);
	hakt_process_wait_output(&holder, 1, ".");
	assert_int_equal(sscanf(hakt_process_output(&holder, 1), "ref %llu", &ref), 1);
	assert_int_equal(hakmem_pool_open("lab", &reading, &pool), 0);
	p = hakmem_ptr_in(pool, ref);
	assert_string_equal(p, "of the lab");
	assert_true(hakmem_usable_size(p) >= 100);
	assert_ptr_equal(hakmem_pool_of(p), pool);
	assert_null(hakmem_malloc_in(pool, 1));
	assert_int_equal(errno, EACCES);
	assert_int_equal(hakmem_take_in(pool, ref, &taken), -EACCES);
	hakmem_free(p); /* refused */
	assert_string_equal(p, "of the lab");
	p = hakmem_malloc(10); /* the first pool is another matter */
	assert_non_null(p);
	hakmem_free(p);
	assert_int_equal(hakmem_pool_close(pool), 0);
	hakt_process_kill(&holder);
	hakt_process_end(&holder);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_reader_reads, start, stop),
	cmocka_unit_test_setup_teardown(test_a_reader_writes_nothing, start, stop),
	cmocka_unit_test_setup_teardown(test_the_kernel_enforces_it, start, stop),
	cmocka_unit_test_setup_teardown(test_its_children_read_too, start, stop),
	cmocka_unit_test_setup_teardown(test_a_pool_is_opened_for_reading, start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
