/* SPDX-License-Identifier: MIT */
/* leaks of hakmemctl, against a real daemon: whose each block is, whoever allocated it. */
#include "tests/support/run.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "proto/shm/holders.h"
#include "proto/shm/size_class.h"
#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

/* Of a class, a span that threads keep, a run. */
static const size_t sizes[] = {16, 4096, 100000, 5000000};

enum { N_SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static struct hakt_daemon hakd;
static hakmem_ref_t *refs; /* N_SIZES, shared with children */

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd, HAKT_LIST("--limit", "256M", "--log-level", "warn"));
	refs = mmap(NULL, N_SIZES * sizeof(refs[0]), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return refs == MAP_FAILED;
}

static int stop(void **state)
{
	(void)state;
	munmap(refs, N_SIZES * sizeof(refs[0]));
	hakmem_detach();
	return hakt_daemon_stop_empty(&hakd);
}

/* The text that ends the output for people. */
static void expect_last_line(const char *text)
{
	struct hakt_process ctl = {0};
	const char *output;

	hakt_process_run(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "--socket", hakd.socket, "leaks"));
	output = hakt_process_output(&ctl, 1);
	if (ctl.exit_code != 0 || !strstr(output, text) ||
	    strcmp(output + strlen(output) - strlen(text), text) != 0)
		fail_msg("exit code %d, stdout: %s", ctl.exit_code, output);
	hakt_process_end(&ctl);
}

static int hold_blocks(const void *context)
{
	unsigned n = *(const unsigned *)context;

	for (unsigned i = 0; i < n; i++)
		HAKT_EXPECT(hakmem_malloc(100000));
	hakt_child_say("holds");
	hakt_child_wait();
	hakmem_detach();
	return 0;
}

static json_t *owner_of_pid(json_t *leaks, pid_t pid)
{
	json_t *owners = json_object_get(leaks, "owners");

	for (size_t i = 0; i < json_array_size(owners); i++)
		if (hakt_json_number(json_array_get(owners, i), "pid") == pid)
			return json_array_get(owners, i);
	fail_msg("no owner has pid %d", (int)pid);
	return NULL;
}

static void test_leaks_lists_owners_with_their_blocks(void **state)
{
	static const unsigned counts[2] = {7, 100};
	struct hakt_process children[2] = {{0}};
	json_t *leaks, *nobody;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		hakt_process_fork(&children[i], hold_blocks, &counts[i]);
		hakt_process_wait_output(&children[i], 1, "holds");
	}
	leaks = hakt_ctl(hakd.socket, "leaks");
	nobody = json_object_get(leaks, "nobody");
	assert_int_equal(hakt_json_number(leaks, "schema_version"), 1);
	for (unsigned i = 0; i < 2; i++) {
		json_t *owner = owner_of_pid(leaks, children[i].pid);

		assert_true(hakt_json_number(owner, "holder") >= HAK_HOLDER_FIRST);
		assert_string_equal(hakt_json_string(owner, "name"), "leaks_test");
		assert_string_equal(hakt_json_string(owner, "state"), "attached");
		assert_true(hakt_json_number(owner, "age_seconds") >= 0);
		assert_int_equal(hakt_json_number(owner, "live_blocks"), counts[i]);
		assert_int_equal(hakt_json_number(owner, "live_bytes"),
				 counts[i] * 2 * HAK_SLOT_BYTES);
	}
	assert_int_equal(hakt_json_number(nobody, "live_blocks"), 0);
	assert_int_equal(hakt_json_number(nobody, "live_bytes"), 0);
	json_decref(leaks);
	expect_last_line("nobody's: 0 blocks, 0 B\n");
	for (unsigned i = 0; i < 2; i++) {
		hakt_process_tell(&children[i]);
		hakt_process_wait_done(&children[i]);
		hakt_process_end(&children[i]);
	}
}

struct share {
	long long blocks, bytes;
};

static struct share share_of(pid_t pid)
{
	json_t *leaks = hakt_ctl(hakd.socket, "leaks"), *owner = owner_of_pid(leaks, pid);
	struct share share = {hakt_json_number(owner, "live_blocks"),
			      hakt_json_number(owner, "live_bytes")};

	assert_int_equal(hakt_json_number(json_object_get(leaks, "nobody"), "live_blocks"), 0);
	json_decref(leaks);
	return share;
}

/* What blocks of all sizes have. */
static long long bytes_of_all(void **blocks)
{
	long long bytes = 0;

	for (unsigned i = 0; i < N_SIZES; i++)
		bytes += (long long)hakmem_usable_size(blocks[i]);
	return bytes;
}

static void make_blocks(void **blocks)
{
	for (unsigned i = 0; i < N_SIZES; i++) {
		blocks[i] = hakmem_malloc(sizes[i]);
		assert_non_null(blocks[i]);
		refs[i] = hakmem_ref(blocks[i]);
		assert_true(refs[i] != 0);
	}
}

static int take_blocks(const void *context)
{
	void *blocks[N_SIZES];

	(void)context;
	for (unsigned i = 0; i < N_SIZES; i++)
		HAKT_EXPECT(hakmem_take(refs[i], &blocks[i]) == 0);
	hakt_child_say("holds");
	hakt_child_wait();
	for (unsigned i = 0; i < N_SIZES; i++)
		hakmem_free(blocks[i]);
	hakmem_trim(); /* until then those of others' slabs are on their way */
	hakt_child_say("freed");
	hakt_child_wait();
	hakmem_detach();
	return 0;
}

static void test_blocks_are_listed_under_who_took_them(void **state)
{
	struct hakt_process taker = {0};
	struct share before, after, takers;
	void *blocks[N_SIZES];
	long long bytes;

	(void)state;
	make_blocks(blocks);
	bytes = bytes_of_all(blocks);
	before = share_of(getpid());
	hakt_process_fork(&taker, take_blocks, NULL);
	hakt_process_wait_output(&taker, 1, "holds");
	after = share_of(getpid());
	takers = share_of(taker.pid);
	assert_int_equal(takers.blocks, N_SIZES);
	assert_int_equal(takers.bytes, bytes);
	assert_int_equal(before.blocks - after.blocks, N_SIZES);
	assert_int_equal(before.bytes - after.bytes, bytes);
	hakt_process_tell(&taker);
	hakt_process_wait_output(&taker, 1, "freed");
	assert_int_equal(share_of(taker.pid).blocks, 0);
	hakt_process_tell(&taker);
	hakt_process_wait_done(&taker);
	hakt_process_end(&taker);
	hakmem_trim();
}

static int send_blocks(const void *context)
{
	void *blocks[N_SIZES];

	(void)context;
	for (unsigned i = 0; i < N_SIZES; i++) {
		blocks[i] = hakmem_malloc(sizes[i]);
		HAKT_EXPECT(blocks[i]);
		refs[i] = hakmem_ref(blocks[i]);
		HAKT_EXPECT(refs[i] != 0);
	}
	hakt_child_say("sent");
	hakt_child_wait();
	return 0;
}

static long long count_orphans(void)
{
	json_t *leaks = hakt_ctl(hakd.socket, "leaks");
	long long n = hakt_json_number(leaks, "orphans");

	json_decref(leaks);
	return n;
}

static void test_blocks_that_outlive_their_sender_are_their_takers(void **state)
{
	struct hakt_process sender = {0};
	struct share before, after;
	void *blocks[N_SIZES];

	(void)state;
	hakt_process_fork(&sender, send_blocks, NULL);
	hakt_process_wait_output(&sender, 1, "sent");
	hakmem_free(hakmem_malloc(1)); /* attached, with what that costs */
	before = share_of(getpid());
	for (unsigned i = 0; i < N_SIZES; i++)
		assert_int_equal(hakmem_take(refs[i], &blocks[i]), 0);
	hakt_process_kill(&sender);
	hakt_process_end(&sender);
	hakt_daemon_wait_clients(&hakd, 1);
	after = share_of(getpid());
	assert_int_equal(after.blocks - before.blocks, N_SIZES);
	assert_int_equal(after.bytes - before.bytes, bytes_of_all(blocks));
	assert_true(count_orphans() > 0);
	for (unsigned i = 0; i < N_SIZES; i++)
		hakmem_free(blocks[i]);
	hakmem_trim();
	assert_int_equal(share_of(getpid()).blocks, 0);
}

static void test_blocks_of_a_taker_that_died_are_free(void **state)
{
	struct hakt_process taker = {0};
	void *blocks[N_SIZES];
	struct share before;

	(void)state;
	make_blocks(blocks);
	before = share_of(getpid());
	hakt_process_fork(&taker, take_blocks, NULL);
	hakt_process_wait_output(&taker, 1, "holds");
	hakt_process_kill(&taker);
	hakt_process_end(&taker);
	hakt_daemon_wait_clients(&hakd, 1);
	assert_int_equal(share_of(getpid()).blocks, before.blocks - N_SIZES);
	hakmem_trim();
}

/* In a child: is in another pool, in the slot that the test has in the first one. */
static int hold_in_lab(const void *context)
{
	struct hakmem_pool *lab;

	(void)context;
	HAKT_EXPECT(hakmem_pool_open("lab", NULL, &lab) == 0 && hakmem_malloc_in(lab, 100000));
	hakt_child_say("holds");
	hakt_child_wait();
	return 0;
}

static void test_an_owner_in_another_pool_is_not_listed(void **state)
{
	const char *const create[] = {HAKT_HAKMEMCTL, "--socket", hakd.socket, "pool", "create",
				      "lab",	      "--limit",  "16M",       NULL};
	struct hakt_process ctl = {0}, child = {0};
	json_t *leaks;

	(void)state;
	hakt_process_run(&ctl, create);
	assert_int_equal(ctl.exit_code, 0);
	hakt_process_end(&ctl);
	hakmem_free(hakmem_malloc(16));
	hakt_process_fork(&child, hold_in_lab, NULL);
	hakt_process_wait_output(&child, 1, "holds");
	leaks = hakt_ctl(hakd.socket, "leaks");
	assert_int_equal(json_array_size(json_object_get(leaks, "owners")), 1);
	(void)owner_of_pid(leaks, getpid());
	json_decref(leaks);
	hakt_process_kill(&child);
	hakt_process_end(&child);
	hakt_ctl_wait_pool_of(hakd.socket, "lab", "clients", 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_leaks_lists_owners_with_their_blocks),
	cmocka_unit_test(test_blocks_are_listed_under_who_took_them),
	cmocka_unit_test(test_blocks_that_outlive_their_sender_are_their_takers),
	cmocka_unit_test(test_blocks_of_a_taker_that_died_are_free),
	cmocka_unit_test(test_an_owner_in_another_pool_is_not_listed),
};

HAKT_MAIN(tests, start, stop)
