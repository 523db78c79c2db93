/* SPDX-License-Identifier: MIT */
/*
 * Warm memory with a real daemon: the reserve, returned SuperSlabs, what is
 * said to be zeroed, and that nobody is refused for memory that lies there.
 */
#include "tests/support/run.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "client_lib/conn.h"
#include "client_lib/include/hakmem.h"
#include "proto/error.h"
#include "proto/shm/segment.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

#define MIB	  UINT64_C(1048576)
#define SUPERSLAB (2 * MIB)

static struct hakt_daemon hakd;

static void start(const char *const *options)
{
	hakt_daemon_start(&hakd, options);
}

static int stop(void **state)
{
	(void)state;
	hakmem_detach();
	return hakt_daemon_stop_empty(&hakd);
}

static int start_small(void **state)
{
	static const char *const options[] = {"--limit", "64M", "--log-level", "warn", NULL};

	(void)state;
	start(options);
	return 0;
}

static int start_forgetful(void **state)
{
	static const char *const options[] = {"--limit",     "256M",   "--capacity",
					      "512M",	     "--keep", "1",
					      "--log-level", "warn",   NULL};

	(void)state;
	start(options);
	return 0;
}

static int start_without_huge_pages(void **state)
{
	assert_int_equal(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0); /* the daemon inherits it */
	return start_forgetful(state);
}

static int stop_without_huge_pages(void **state)
{
	prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
	return stop(state);
}

static int start_with_1_mib(void **state)
{
	static const char *const options[] = {
		"--limit", "256M", "--superslab-lg", "20", "--log-level", "warn", NULL};

	(void)state;
	start(options);
	return 0;
}

/* A client without the library. */
struct client {
	struct hakc_conn conn;
	struct hak_geometry geometry;
	char *heap;
	int fds[HAK_WIRE_FDS_MAX];
};

static void attach(struct client *client)
{
	Hak__Reply *reply;
	unsigned n = HAK_WIRE_FDS_MAX;
	struct hak_registry *registry;

	assert_int_equal(hakc_conn_init(&client->conn, hakd.socket, 20000), 0);
	assert_int_equal(hakc_conn_hello(&client->conn, HAK__PEER_KIND__PEER_CLIENT, NULL, &reply,
					 client->fds, &n),
			 0);
	assert_int_equal(n, HAK_WIRE_FDS_MAX);
	registry = mmap(NULL, reply->welcome->registry_bytes, PROT_READ, MAP_SHARED, client->fds[0],
			0);
	assert_true(registry != MAP_FAILED);
	assert_int_equal(
		hak_registry_validate(registry, reply->welcome->registry_bytes, &client->geometry),
		0);
	munmap(registry, reply->welcome->registry_bytes);
	client->heap = mmap(NULL, client->geometry.heap_bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_NORESERVE, client->fds[1], 0);
	assert_true(client->heap != MAP_FAILED);
	hak__reply__free_unpacked(reply, NULL);
}

static void bye(struct client *client)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Bye bye = HAK__BYE__INIT;
	Hak__Reply *reply;

	request.body_case = HAK__REQUEST__BODY_BYE;
	request.bye = &bye;
	assert_int_equal(hakc_conn_call(&client->conn, &request, &reply, NULL, NULL, NULL, NULL),
			 0);
	hak__reply__free_unpacked(reply, NULL);
	hakc_conn_deinit(&client->conn);
	munmap(client->heap, client->geometry.heap_bytes);
	for (unsigned i = 0; i < HAK_WIRE_FDS_MAX; i++)
		close(client->fds[i]);
}

static void ask(struct client *client, uint32_t n, bool huge)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Refill refill = HAK__REFILL__INIT;

	refill.count = n;
	refill.huge = huge;
	request.body_case = HAK__REQUEST__BODY_REFILL;
	request.refill = &refill;
	assert_int_equal(hakc_conn_send(&client->conn, &request), 0);
}

/* The SuperSlabs that it was given; how many, 0: HAK_E_NO_MEMORY. */
static uint32_t answer(struct client *client, uint32_t *superslabs, bool *ret_zeroed)
{
	Hak__Reply *reply;
	uint32_t got = 0;

	assert_int_equal(hakc_conn_receive(&client->conn, 20000, &reply), 0);
	if (reply->error) {
		assert_int_equal(reply->error, HAK_E_NO_MEMORY);
	} else {
		assert_int_equal(reply->body_case, HAK__REPLY__BODY_GRANT);
		got = (uint32_t)reply->grant->n_superslabs;
		assert_true(got >= 1);
		memcpy(superslabs, reply->grant->superslabs, got * sizeof(*superslabs));
		*ret_zeroed = reply->grant->zeroed;
	}
	hak__reply__free_unpacked(reply, NULL);
	return got;
}

static uint32_t refill(struct client *client, uint32_t n, bool huge, uint32_t *superslabs,
		       bool *ret_zeroed)
{
	uint32_t got;

	ask(client, n, huge);
	got = answer(client, superslabs, ret_zeroed);
	assert_true(got <= n);
	return got;
}

static void give_back(struct client *client, uint32_t *superslabs, uint32_t n)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Giveback giveback = HAK__GIVEBACK__INIT;
	Hak__Reply *reply;

	giveback.n_superslabs = n;
	giveback.superslabs = superslabs;
	request.body_case = HAK__REQUEST__BODY_GIVEBACK;
	request.giveback = &giveback;
	assert_int_equal(hakc_conn_call(&client->conn, &request, &reply, NULL, NULL, NULL, NULL),
			 0);
	assert_int_equal(reply->error, 0);
	hak__reply__free_unpacked(reply, NULL);
}

static char *data_of(const struct client *client, uint32_t superslab)
{
	return client->heap + client->geometry.data_at + superslab * SUPERSLAB;
}

static bool is_zero(const char *p, size_t bytes)
{
	return p[0] == 0 && memcmp(p, p + 1, bytes - 1) == 0;
}

/* Looks at the zeros that were promised, then leaves garbage. */
static void use(const struct client *client, const uint32_t *superslabs, uint32_t n, bool zeroed)
{
	for (uint32_t i = 0; i < n; i++) {
		char *data = data_of(client, superslabs[i]);

		if (zeroed && !is_zero(data, SUPERSLAB))
			fail_msg("SuperSlab %u is not zero", superslabs[i]);
		memset(data, 0xa5, SUPERSLAB);
	}
}

static void test_a_fresh_pool_soon_has_a_reserve(void **state)
{
	struct hakt_status s;

	(void)state;
	s = hakt_daemon_wait_reserve(&hakd, 2);
	assert_int_equal(s.granted_superslabs, 0);
	assert_true(s.resident_bytes >= 2 * SUPERSLAB);
	assert_true(s.resident_bytes < 16 * MIB);
	assert_true(hakt_daemon_counter(&hakd, "reserve_filled") >= 2);
}

static void test_the_reserve_then_cold_then_kept_ones_are_granted(void **state)
{
	uint32_t superslabs[8], n;
	struct client client;
	bool zeroed;

	(void)state;
	attach(&client);
	hakt_daemon_wait_reserve(&hakd, 2);
	n = refill(&client, 8, false, superslabs, &zeroed);
	assert_int_equal(n, 2);
	assert_true(zeroed);
	use(&client, superslabs, n, zeroed);
	assert_int_equal(hakt_daemon_counter(&hakd, "reserve_hits"), 2);
	assert_int_equal(hakt_daemon_counter(&hakd, "kept_hits"), 0);
	n = refill(&client, 1, true, superslabs + 2, &zeroed); /* runs are always backed anew */
	assert_int_equal(n, 1);
	assert_true(zeroed);
	use(&client, superslabs + 2, n, zeroed);
	assert_int_equal(hakt_daemon_counter(&hakd, "fresh_grants"), 1);
	give_back(&client, superslabs, 2);
	assert_int_equal(hakt_daemon_status(&hakd).kept_superslabs, 2);
	n = refill(&client, 8, false, superslabs, &zeroed);
	assert_int_equal(n, 2);
	assert_false(zeroed);
	assert_int_equal(data_of(&client, superslabs[0])[0], (char)0xa5);
	assert_int_equal(hakt_daemon_counter(&hakd, "kept_hits"), 2);
	bye(&client);
}

static void test_what_is_called_zeroed_is_zero(void **state)
{
	uint32_t superslabs[512], n, n_zeroed = 0, n_dirty = 0;
	struct client client;
	bool zeroed;

	(void)state;
	for (unsigned round = 0; round < 12; round++) {
		uint32_t held = 0, run;

		attach(&client);
		while (held < 40 + 4 * round) {
			n = refill(&client, 16, false, superslabs + held, &zeroed);
			assert_true(n >= 1);
			use(&client, superslabs + held, n, zeroed);
			held += n;
			*(zeroed ? &n_zeroed : &n_dirty) += n;
		}
		assert_int_equal(refill(&client, 3, true, &run, &zeroed), 1);
		assert_true(zeroed);
		use(&client, (const uint32_t[]){run, run + 1, run + 2}, 3, zeroed);
		give_back(&client, superslabs, held / 2);
		if (round % 4 ==
		    3) /* until the kept ones were punched, to be granted as cold ones */
			hakt_daemon_wait_resident(&hakd, (held + 3 + 16) * SUPERSLAB);
		bye(&client);
	}
	assert_true(n_zeroed > 0 && n_dirty > 0);
	assert_true(hakt_daemon_counter(&hakd, "reserve_hits") > 0);
	assert_true(hakt_daemon_counter(&hakd, "fresh_grants") > 0);
}

/* Callocs blocks of large sizes; false: one was not zero. Leaves garbage in them, and in the pool. */
static bool calloc_and_scribble(void)
{
	static const size_t sizes[] = {70000, 300000, 1000000, 2000000, 2097152, 3000000, 9000000};
	enum { N = 4 * sizeof(sizes) / sizeof(sizes[0]) };
	char *blocks[N];
	bool zero = true;

	for (unsigned i = 0; i < N; i++) {
		size_t size = sizes[i % (N / 4)];

		blocks[i] = hakmem_calloc(1, size);
		if (!blocks[i] || !is_zero(blocks[i], size))
			zero = false;
		if (blocks[i])
			memset(blocks[i], 0x5a, hakmem_usable_size(blocks[i]));
	}
	for (unsigned i = 0; i < N; i += 2)
		hakmem_free(blocks[i]);
	if (!is_zero(blocks[0] = hakmem_calloc(1, 500000), 500000))
		zero = false;
	hakmem_free(blocks[0]);
	for (unsigned i = 1; i < N; i += 2)
		hakmem_free(blocks[i]);
	return zero;
}

static int calloc_and_leave(const void *context)
{
	const unsigned *round = context;

	HAKT_EXPECT(calloc_and_scribble());
	if (*round % 3 == 0)
		HAKT_EXPECT(hakmem_detach() == 0);
	return 0; /* else it is a death */
}

static void test_calloc_is_zero_in_used_memory_and_other_processes(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 10; round++) {
		hakt_process_run_child(calloc_and_leave, &round);
		assert_true(calloc_and_scribble());
		assert_int_equal(hakmem_trim(), 0);
		if (round % 2)
			hakmem_detach();
	}
}

/* Keeps as much as can be kept, and lets a fill or a punch be under way. */
static void make_warm(void)
{
	void *blocks[25];

	for (unsigned i = 0; i < 25; i++) {
		blocks[i] = hakmem_malloc(2000000);
		assert_non_null(blocks[i]);
	}
	for (unsigned i = 0; i < 25; i++)
		hakmem_free(blocks[i]);
	assert_int_equal(hakmem_trim(), 0);
}

static void test_the_whole_limit_is_one_block_whatever_is_warm(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		char *block;

		if (round % 2)
			make_warm();
		block = hakmem_malloc(64 *
				      MIB); /* now and then while the reserve is being filled */
		assert_non_null(block);
		memset(block, 1, 64 * MIB);
		assert_int_equal(hakt_daemon_status(&hakd).granted_superslabs, 32);
		assert_true(hakt_daemon_status(&hakd).resident_bytes < 64 * MIB + 4 * MIB);
		hakmem_free(block);
		assert_int_equal(hakmem_trim(), 0);
	}
}

static void test_the_whole_limit_is_granted_in_single_superslabs(void **state)
{
	uint32_t superslabs[33];
	struct client client;
	bool zeroed;

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		uint32_t held = 0, n;

		attach(&client);
		while ((n = refill(&client, 33 - held, false, superslabs + held, &zeroed)) > 0) {
			use(&client, superslabs + held, n, zeroed);
			held += n;
			assert_true(held <= 32);
		}
		assert_int_equal(held, 32);
		assert_true(hakt_daemon_status(&hakd).resident_bytes < 64 * MIB + 4 * MIB);
		bye(&client); /* all of it: 32 kept ones */
	}
}

static void test_many_clients_at_once_all_get_memory(void **state)
{
	enum { N = 16, EACH = 2 }; /* 32 in all: the limit */
	struct client clients[N];
	unsigned held[N] = {0};

	(void)state;
	for (unsigned i = 0; i < N; i++)
		attach(&clients[i]);
	for (unsigned turn = 0; turn < EACH; turn++) {
		for (unsigned i = 0; i < N; i++)
			if (held[i] < EACH)
				ask(&clients[i], EACH - held[i], false);
		for (unsigned i = 0; i < N; i++) {
			uint32_t superslabs[EACH], n;
			bool zeroed;

			if (held[i] == EACH)
				continue;
			n = answer(&clients[i], superslabs, &zeroed);
			assert_true(n >= 1 && n <= EACH - held[i]);
			use(&clients[i], superslabs, n, zeroed);
			held[i] += n;
		}
	}
	assert_int_equal(hakt_daemon_status(&hakd).granted_superslabs, N * EACH);
	assert_int_equal(hakt_daemon_status(&hakd).anomalies, 0);
	for (unsigned i = 0; i < N; i++)
		bye(&clients[i]);
}

static int fill_and_leave(const void *context)
{
	(void)context;
	for (unsigned i = 0; i < 80; i++) {
		char *block = hakmem_malloc(2000000);

		HAKT_EXPECT(block);
		memset(block, 1, 2000000);
	}
	return 0;
}

static void test_memory_goes_back_when_the_clients_are_gone(void **state)
{
	struct hakt_status s;

	(void)state;
	hakt_process_run_child(fill_and_leave, NULL);
	hakt_daemon_wait_empty(&hakd);
	for (unsigned i = 0; i < 6000; i++) { /* it may be low for a moment before it is filled */
		s = hakt_daemon_wait_reserve(&hakd, 2);
		if (s.reserve_superslabs == 2 && s.kept_superslabs == 0)
			break;
		usleep(10000);
	}
	assert_int_equal(s.reserve_superslabs, 2);
	assert_int_equal(s.kept_superslabs, 0);
	hakt_daemon_wait_resident(&hakd, 2 * SUPERSLAB + MIB);
}

static void test_status_says_how_huge_pages_are_used(void **state)
{
	struct hakt_status s;

	(void)state;
	s = hakt_daemon_wait_reserve(&hakd, 1);
	if (strcmp(s.huge_pages, "collapse") != 0 && strcmp(s.huge_pages, "advise") != 0) {
		assert_memory_equal(s.huge_pages, "none: ", 6);
		assert_string_not_equal(s.huge_pages, "none: not tried yet");
	}
}

static void test_without_huge_pages_it_says_so_and_works(void **state)
{
	struct hakt_status s;

	(void)state;
	s = hakt_daemon_wait_reserve(&hakd, 1);
	assert_string_equal(s.huge_pages, "none: the kernel or its settings refuse them");
	assert_true(calloc_and_scribble());
	assert_int_equal(hakmem_trim(), 0);
	assert_true(calloc_and_scribble());
}

static void test_superslabs_of_1_mib_say_why_they_have_none(void **state)
{
	struct hakt_status s;

	(void)state;
	s = hakt_daemon_wait_reserve(&hakd, 1);
	assert_string_equal(s.huge_pages, "none: a SuperSlab of 1 MiB is half a huge page");
	assert_true(calloc_and_scribble());
	assert_int_equal(hakmem_trim(), 0);
	assert_true(calloc_and_scribble());
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_fresh_pool_soon_has_a_reserve, start_small, stop),
	cmocka_unit_test_setup_teardown(test_the_reserve_then_cold_then_kept_ones_are_granted,
					start_small, stop),
	cmocka_unit_test_setup_teardown(test_what_is_called_zeroed_is_zero, start_forgetful, stop),
	cmocka_unit_test_setup_teardown(test_calloc_is_zero_in_used_memory_and_other_processes,
					start_forgetful, stop),
	cmocka_unit_test_setup_teardown(test_the_whole_limit_is_one_block_whatever_is_warm,
					start_small, stop),
	cmocka_unit_test_setup_teardown(test_the_whole_limit_is_granted_in_single_superslabs,
					start_small, stop),
	cmocka_unit_test_setup_teardown(test_many_clients_at_once_all_get_memory, start_small,
					stop),
	cmocka_unit_test_setup_teardown(test_memory_goes_back_when_the_clients_are_gone,
					start_forgetful, stop),
	cmocka_unit_test_setup_teardown(test_status_says_how_huge_pages_are_used, start_small,
					stop),
	cmocka_unit_test_setup_teardown(test_without_huge_pages_it_says_so_and_works,
					start_without_huge_pages, stop_without_huge_pages),
	cmocka_unit_test_setup_teardown(test_superslabs_of_1_mib_say_why_they_have_none,
					start_with_1_mib, stop),
};

HAKT_MAIN(tests, NULL, NULL)
