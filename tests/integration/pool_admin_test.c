/* SPDX-License-Identifier: MIT */
/* Pools that are made and deleted while a daemon is at work. */
#include "tests/support/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/ctl.h"
#include "tests/support/keeper.h"
#include "tests/support/process.h"

#define MIB	 ((size_t)1 << 20)
#define STRANGER 12345

static const char *const options[] = {"--capacity",  "1G",   "--limit", "64M",
				      "--log-level", "warn", NULL};

static int start(void **state)
{
	(void)state;
	hakt_keeper = (struct hakt_keeper){.has_log = false};
	hakt_keeper_init(&hakt_keeper, NULL);
	hakt_keeper.options = options;
	hakt_keeper_start(&hakt_keeper);
	return 0;
}

static int stop(void **state)
{
	hakmem_detach();
	return hakt_keeper_teardown(state);
}

#define CTL(exit_code, text, ...)                                                             \
	hakt_keeper_run(&hakt_keeper, 0, HAKT_LIST(HAKT_HAKMEMCTL, __VA_ARGS__), (exit_code), \
			(text))

static long long number_of(const char *pool, const char *name)
{
	return hakt_ctl_pool_of(hakt_keeper.daemon.socket, pool, name);
}

/* Those that `clients` has with a pool of that name, in a state. */
static unsigned count_clients(const char *pool, const char *state)
{
	json_t *json = hakt_ctl(hakt_keeper.daemon.socket, "clients"), *client;
	unsigned n = 0;
	size_t i;

	json_array_foreach(json_object_get(json, "clients"), i, client)
		n += strcmp(hakt_json_string(client, "pool"), pool) == 0 &&
		     strcmp(hakt_json_string(client, "state"), state) == 0;
	json_decref(json);
	return n;
}

/* Opens lab, and has a block there. */
static char *take_of_lab(struct hakmem_pool **ret_pool)
{
	char *p;

	assert_int_equal(hakmem_pool_open("lab", NULL, ret_pool), 0);
	p = hakmem_malloc_in(*ret_pool, MIB);
	assert_non_null(p);
	strcpy(p, "kept");
	return p;
}

/* Grows until it can't; the errno. */
static int grow(struct hakmem_pool *pool)
{
	for (unsigned i = 0; i < 100; i++)
		if (!hakmem_malloc_in(pool, MIB))
			return errno;
	return 0;
}

static void test_a_pool_is_made_and_used(void **state)
{
	struct hakmem_pool *pool;
	void *p;

	(void)state;
	CTL(0, "pool lab is made", "pool", "create", "lab", "--capacity", "256M", "--limit", "16M",
	    "--superslab-lg", "20", "--keep", "3", "--retain", "4M");
	assert_int_equal(number_of("lab", "limit_bytes"), 16 * MIB);
	assert_int_equal(number_of("lab", "superslab_bytes"), MIB);
	assert_int_equal(hakmem_pool_open("lab", NULL, &pool), 0);
	assert_true(hakmem_is_at_base_in(pool)); /* not where the first one is */
	p = hakmem_malloc(100);
	assert_non_null(p);
	assert_int_equal(hakmem_is_at_base(), 1);
	hakmem_free(p);
	assert_int_equal(grow(pool), ENOMEM);
	CTL(0, "lab", "pool", "list");
	CTL(0, "\"name\": \"lab\"", "pool", "list", "--json");
	CTL(0, "16 blocks live: clean", "--pool", "lab", "check");
	assert_int_equal(hakmem_pool_close(pool), 0);
}

static void test_what_cannot_be_made_is_refused(void **state)
{
	(void)state;
	CTL(0, "is made", "pool", "create", "a");
	CTL(1, "there is a pool of that name", "pool", "create", "a");
	CTL(1, "there is a pool of that name", "pool", "create", "default");
	CTL(1, "a pool's name is 1 to 31 letters", "pool", "create", "a b");
	CTL(1, "a pool's name is", "pool", "create", "01234567890123456789012345678901");
	CTL(1, "capacity 3M: must be 2M to 1T", "pool", "create", "b", "--capacity", "3M");
	CTL(1, "limit 2G: must be 2M to the capacity", "pool", "create", "b", "--capacity", "1G",
	    "--limit", "2G");
	CTL(1, "limit 1M: must be", "pool", "create", "b", "--limit", "1M");
	CTL(1, "superslab_lg 19: must be", "pool", "create", "b", "--superslab-lg", "19");
	CTL(1, "profile 4095: must be", "pool", "create", "b", "--profile", "4095");
	CTL(1, "user_clients 4097: must be", "pool", "create", "b", "--user-clients", "4097");
	CTL(1, "keep 86401: must be", "pool", "create", "b", "--keep", "86401");
	CTL(2, "it needs to be said: NAME", "pool", "create");
	CTL(2, "--limit takes SIZE, not much", "pool", "create", "b", "--limit", "much");
	CTL(2, "no such verb: pool", "pool", "make", "b");
	CTL(2, "not also c", "pool", "delete", "b", "c");
	assert_int_equal(number_of("b", "clients"), -1);
	CTL(1, "there is no pool b at ", "pool", "delete", "b");
	CTL(1, "the first pool stays", "pool", "delete", "default");
	CTL(1, "hakmemctl pools lists those", "--pool", "b", "check");
}

static void test_one_in_use_stays_and_one_that_is_not_goes(void **state)
{
	struct hakmem_pool *pool;

	(void)state;
	CTL(0, "is made", "pool", "create", "lab", "--limit", "32M");
	assert_int_equal(hakmem_pool_open("lab", NULL, &pool), 0);
	CTL(1, "the pool is in use", "pool", "delete", "lab");
	assert_non_null(hakmem_malloc_in(pool, MIB));
	assert_int_equal(hakmem_pool_close(pool), 0);
	hakt_ctl_wait_pool_of(hakt_keeper.daemon.socket, "lab", "clients", 0);
	CTL(0, "pool lab is deleted", "pool", "delete", "lab");
	assert_int_equal(number_of("lab", "clients"), -1);
	assert_int_equal(hakmem_pool_open("lab", NULL, &pool), -ENOENT);
	for (unsigned i = 0; i < 600 && hakt_keeper_find(&hakt_keeper, "heap.1") >= 0; i++) {
		usleep(10000);
		hakt_keeper_take(&hakt_keeper);
	}
	assert_int_equal(hakt_keeper_find(&hakt_keeper, "registry.1"), -1);
	assert_int_equal(hakt_keeper_find(&hakt_keeper, "heap.1"), -1);
}

/* Another of its name has nothing to do with it. */
static void test_one_that_drains_goes_with_its_last_client(void **state)
{
	struct hakmem_pool *pool, *next;
	char *p;

	(void)state;
	CTL(0, "is made", "pool", "create", "lab", "--limit", "32M");
	p = take_of_lab(&pool);
	CTL(0, "is deleted", "pool", "delete", "lab", "--drain");
	CTL(0, "ended", "clients");
	assert_int_equal(grow(pool), ESTALE);
	assert_string_equal(p, "kept");
	hakmem_free(p);
	CTL(0, "is made", "pool", "create", "lab", "--limit", "16M");
	assert_true(hakt_keeper_find(&hakt_keeper, "registry.2") >= 0); /* not 1: that is in use */
	assert_int_equal(hakmem_pool_close(pool), 0);
	assert_int_equal(hakmem_pool_open("lab", NULL, &next), 0);
	p = hakmem_malloc_in(next, MIB);
	assert_non_null(p);
	assert_int_equal(number_of("lab", "clients"), 1);
	assert_int_equal(hakmem_pool_close(next), 0);
	/* Its number is free again at some time. */
	for (unsigned i = 0; i < 1000 && hakt_keeper_find(&hakt_keeper, "registry.1") < 0; i++) {
		if (i > 0)
			CTL(0, "is deleted", "pool", "delete", "p");
		usleep(1000 * i);
		CTL(0, "is made", "pool", "create", "p", "--limit", "2M", "--capacity", "2M");
	}
	assert_true(hakt_keeper_find(&hakt_keeper, "registry.1") >= 0);
}

/* Others don't notice. */
static void test_a_reset_ends_one_and_touches_no_other(void **state)
{
	struct hakmem_pool *lab, *beside, *next;
	char *p, *q;

	(void)state;
	CTL(0, "is made", "pool", "create", "lab", "--limit", "16M", "--keep", "7", "--mode",
	    "760");
	CTL(0, "is made", "pool", "create", "beside", "--limit", "16M");
	assert_int_equal(hakmem_pool_open("lab", NULL, &lab), 0);
	assert_int_equal(hakmem_pool_open("beside", NULL, &beside), 0);
	p = hakmem_malloc_in(lab, MIB);
	q = hakmem_malloc_in(beside, MIB);
	strcpy(p, "lab");
	strcpy(q, "beside");
	CTL(0, "pool lab is empty", "pool", "reset", "lab");
	assert_int_equal(count_clients("lab", "ended"), 1);
	assert_string_equal(p, "lab");
	assert_int_equal(grow(lab), ESTALE);
	assert_int_equal(number_of("lab", "clients"), 0);
	assert_int_equal(number_of("lab", "limit_bytes"), 16 * MIB);
	assert_int_equal(hakmem_pool_close(lab), 0);
	assert_int_equal(hakmem_pool_open("lab", NULL, &next), 0);
	assert_non_null(hakmem_malloc_in(next, MIB));
	assert_int_equal(count_clients("lab", "attached"), 1);
	while (count_clients("lab", "ended") > 0)
		usleep(1000);
	assert_string_equal(q, "beside");
	assert_int_equal(grow(beside), ENOMEM);
	assert_int_equal(hakmem_pool_close(next), 0);
	assert_int_equal(hakmem_pool_close(beside), 0);
	CTL(1, "there is no pool none at ", "pool", "reset", "none");
}

/* It is the first one all the same, for whoever names none, and for the next daemon. */
static void test_a_reset_of_the_first_one_leaves_an_empty_first_one(void **state)
{
	const char *socket = hakt_keeper.daemon.socket;
	char *p = hakmem_malloc(MIB);
	hakmem_ref_t ref = hakmem_ref(p);

	(void)state;
	CTL(0, "is made", "pool", "create", "lab", "--limit", "16M");
	assert_int_equal(hakmem_root_publish("it", ref), 0);
	strcpy(p, "kept");
	CTL(0, "pool default is empty", "pool", "reset", "default");
	CTL(0, "the pool ends, with 1 clients attached", "events", "--pool", "default");
	assert_string_equal(p, "kept");
	assert_int_equal(grow(NULL), ESTALE);
	assert_int_equal(hakmem_root_withdraw("it", &ref), -ESTALE);
	assert_int_equal(hakt_ctl_pool(socket, "limit_bytes"), 64 * MIB); /* listed before lab */
	assert_int_equal(hakt_ctl_pool(socket, "clients"), 0);
	hakmem_detach();
	assert_int_equal(hakmem_root_withdraw("it", &ref), -ENOENT);
	p = hakmem_malloc(MIB);
	assert_non_null(p);
	strcpy(p, "new");
	hakt_keeper_kill(&hakt_keeper);
	hakt_keeper_start(&hakt_keeper);
	assert_string_equal(hakt_keeper.status + strlen(hakt_keeper.status) - 9, ": 2 pools");
	assert_int_equal(hakt_daemon_counter(&hakt_keeper.daemon, "starts"), 2);
	assert_int_equal(hakt_ctl_pool(socket, "clients"), 1);
	assert_string_equal(p, "new");
	assert_int_equal(grow(NULL), ENOMEM);
}

/* Descriptors of a pool that the keeper has, to be put back later. */
struct files {
	int registry, heap;
};

static struct files copy_files(const char *registry, const char *heap)
{
	return (struct files){dup(hakt_keeper_find(&hakt_keeper, registry)),
			      dup(hakt_keeper_find(&hakt_keeper, heap))};
}

/* A daemon that dies before its keeper has let go of a pool that it has ended. */
static void kill_before_forgetting(struct files old)
{
	hakt_keeper_kill(&hakt_keeper);
	assert_int_equal(hakt_keeper_find(&hakt_keeper, "heap.1"), -1);
	hakt_keeper_put(&hakt_keeper, "registry.1", old.registry);
	hakt_keeper_put(&hakt_keeper, "heap.1", old.heap);
	hakt_keeper_start(&hakt_keeper);
	hakt_keeper_take(&hakt_keeper);
	assert_int_equal(hakt_keeper_find(&hakt_keeper, "heap.1"), -1);
}

static void test_one_that_has_ended_is_not_made_again(void **state)
{
	struct files lab;

	(void)state;
	CTL(0, "is made", "pool", "create", "lab", "--limit", "16M");
	lab = copy_files("registry.1", "heap.1");
	CTL(0, "is deleted", "pool", "delete", "lab");
	kill_before_forgetting(lab);
	assert_null(strstr(hakt_keeper.status, " pools"));
	assert_int_equal(number_of("lab", "clients"), -1);
}

static void test_of_two_of_a_name_the_one_that_has_ended_goes(void **state)
{
	struct hakmem_pool *old, *next;
	struct files lab;

	(void)state;
	CTL(0, "is made", "pool", "create", "lab", "--limit", "16M");
	assert_int_equal(hakmem_pool_open("lab", NULL, &old), 0);
	lab = copy_files("registry.1", "heap.1");
	CTL(0, "is empty", "pool", "reset", "lab");
	kill_before_forgetting(lab);
	assert_non_null(strstr(hakt_keeper.status, ": 2 pools"));
	assert_int_equal(number_of("lab", "clients"), 0);
	assert_int_equal(grow(old), ESTALE);
	assert_int_equal(hakmem_pool_close(old), 0);
	assert_int_equal(hakmem_pool_open("lab", NULL, &next), 0);
	assert_int_equal(grow(next), ENOMEM);
	assert_int_equal(hakmem_pool_close(next), 0);
}

/* Of a daemon that died amid a creation, or a deletion. */
static void test_one_of_which_half_is_kept_goes(void **state)
{
	static const char *const names[] = {"registry.1", "heap.1"};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		CTL(0, "is made", "pool", "create", "lab", "--limit", "16M");
		hakt_keeper_kill(&hakt_keeper);
		hakt_keeper_remove(&hakt_keeper, names[i]);
		hakt_keeper_start(&hakt_keeper);
		hakt_keeper_take(&hakt_keeper);
		assert_int_equal(hakt_keeper_find(&hakt_keeper, names[1 - i]), -1);
		assert_int_equal(number_of("lab", "clients"), -1);
	}
}

/* The daemon has descriptors for a connection, but not for another pool. */
static void test_a_reset_that_finds_no_room_leaves_the_pool_as_it_was(void **state)
{
	pid_t pid = hakt_keeper.daemon.pid;
	struct hakmem_pool *pool;
	struct rlimit limit, few;
	char *p;

	(void)state;
	CTL(0, "is made", "pool", "create", "lab", "--limit", "16M");
	p = take_of_lab(&pool);
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &limit), 0);
	few = limit;
	few.rlim_cur = hakt_process_count_fds(pid) + 2;
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &few, NULL), 0);
	CTL(1, "refuses it", "pool", "reset", "lab");
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &limit, NULL), 0);
	assert_int_equal(number_of("lab", "clients"), 1);
	assert_int_equal(grow(pool), ENOMEM);
	assert_string_equal(p, "kept");
	CTL(0, "is empty", "pool", "reset", "lab");
	assert_int_equal(hakmem_pool_close(pool), 0);
}

/* A daemon that dies earlier in a reset: the new one is made, the old one not ended. It may have either number. */
static void test_of_two_of_a_name_the_one_in_use_stays(void **state)
{
	static const char *const names[2][2] = {{"registry.1", "heap.1"}, {"registry.2", "heap.2"}};

	(void)state;
	for (unsigned used = 0; used < 2; used++) {
		const char *const *other = names[1 - used];
		struct files unused;
		struct hakmem_pool *pool;
		char *p;

		CTL(0, "is made", "pool", "create", "lab", "--limit", "16M");
		unused = copy_files("registry.1", "heap.1");
		hakt_keeper_remove(&hakt_keeper, "registry.1");
		hakt_keeper_remove(&hakt_keeper, "heap.1");
		hakt_keeper_kill(&hakt_keeper);
		hakt_keeper_start(&hakt_keeper);
		for (unsigned i = 0; i < used; i++)
			CTL(0, "is made", "pool", "create", "one", "--limit", "2M");
		CTL(0, "is made", "pool", "create", "lab", "--limit", "32M");
		for (unsigned i = 0; i < used; i++)
			CTL(0, "is deleted", "pool", "delete", "one");
		p = take_of_lab(&pool);
		hakt_keeper_kill(&hakt_keeper);
		assert_true(hakt_keeper_find(&hakt_keeper, names[used][1]) >= 0);
		hakt_keeper_put(&hakt_keeper, other[0], unused.registry);
		hakt_keeper_put(&hakt_keeper, other[1], unused.heap);
		hakt_keeper_start(&hakt_keeper);
		assert_non_null(strstr(hakt_keeper.status, ": 2 pools"));
		assert_int_equal(number_of("lab", "limit_bytes"), 32 * MIB);
		assert_int_equal(number_of("lab", "clients"), 1);
		assert_string_equal(p, "kept");
		hakt_keeper_take(&hakt_keeper);
		assert_int_equal(hakt_keeper_find(&hakt_keeper, other[1]), -1);
		assert_int_equal(grow(pool), ENOMEM);
		assert_int_equal(hakmem_pool_close(pool), 0);
		CTL(0, "is deleted", "pool", "delete", "lab", "--drain");
	}
}

static void test_the_next_daemon_has_it_as_it_was(void **state)
{
	struct hakmem_pool *pool;
	char *p;

	(void)state;
	CTL(0, "is made", "pool", "create", "lab", "--capacity", "128M", "--limit", "16M", "--keep",
	    "7", "--retain", "2M");
	CTL(0, "is made", "pool", "create", "gone", "--limit", "16M");
	assert_int_equal(hakmem_pool_open("lab", NULL, &pool), 0);
	p = hakmem_malloc_in(pool, MIB);
	memset(p, 7, MIB);
	CTL(0, "is deleted", "pool", "delete", "gone");
	hakt_keeper_kill(&hakt_keeper);
	hakt_keeper_start(&hakt_keeper);
	assert_int_equal(number_of("lab", "limit_bytes"), 16 * MIB);
	assert_int_equal(number_of("lab", "capacity_bytes"), 128 * MIB);
	assert_int_equal(number_of("lab", "clients"), 1);
	assert_int_equal(number_of("gone", "clients"), -1);
	assert_int_equal(p[MIB - 1], 7);
	assert_int_equal(grow(pool), ENOMEM);
	assert_int_equal(hakmem_pool_close(pool), 0);
}

static void test_the_keeping_time_is_kept_too(void **state)
{
	(void)state;
	CTL(0, "is made", "pool", "create", "lab", "--limit", "16M", "--keep", "0", "--retain",
	    "0");
	for (unsigned i = 0; i < 2; i++) {
		struct hakmem_pool *pool;

		hakt_keeper_kill(&hakt_keeper);
		hakt_keeper_start(&hakt_keeper);
		assert_int_equal(hakmem_pool_open("lab", NULL, &pool), 0);
		hakmem_free(hakmem_malloc_in(pool, 8 * MIB));
		assert_int_equal(hakmem_trim_in(pool), 0);
		assert_int_equal(number_of("lab", "kept_superslabs"), 0);
		assert_int_equal(hakmem_pool_close(pool), 0);
		hakt_ctl_wait_pool_of(hakt_keeper.daemon.socket, "lab", "clients", 0);
	}
}

/* How much of a block of 20 bytes may be used, and how often a write past that was told. */
static unsigned long long overflows_of(struct hakmem_pool *pool, size_t usable)
{
	struct hakmem_stats now = {0};
	char *volatile p = hakmem_malloc_in(pool,
					    20); /* volatile: not a compiler's to know its length */

	assert_int_equal(hakmem_usable_size(p), usable);
	p[20] = 1; /* 32 bytes are there */
	hakmem_free(p);
	assert_int_equal(hakmem_stats_in(pool, &now, sizeof(now)), 0);
	return now.overflows;
}

static void test_who_attaches_to_a_hardened_one_is(void **state)
{
	struct hakmem_pool *hard, *soft;

	(void)state;
	CTL(0, "is made", "pool", "create", "hard", "--limit", "16M", "--hardened");
	CTL(0, "is made", "pool", "create", "soft", "--limit", "16M");
	for (unsigned i = 0; i < 2; i++) { /* of another daemon, too */
		assert_int_equal(hakmem_pool_open("hard", NULL, &hard), 0);
		assert_int_equal(hakmem_pool_open("soft", NULL, &soft), 0);
		assert_int_equal(overflows_of(soft, 32), 0);
		assert_int_equal(overflows_of(hard, 20), 1);
		assert_int_equal(overflows_of(soft, 32), 0);
		assert_int_equal(hakmem_pool_close(hard), 0);
		assert_int_equal(hakmem_pool_close(soft), 0);
		hakt_keeper_kill(&hakt_keeper);
		hakt_keeper_start(&hakt_keeper);
	}
}

static void test_strangers_make_and_delete_nothing(void **state)
{
	(void)state;
	if (getuid() != 0)
		skip();
	hakt_keeper_let_in(&hakt_keeper);
	CTL(0, "is made", "pool", "create", "lab");
	hakt_keeper_run(&hakt_keeper, STRANGER, HAKT_LIST(HAKT_HAKMEMCTL, "pool", "create", "mine"),
			4, "not permitted");
	hakt_keeper_run(&hakt_keeper, STRANGER, HAKT_LIST(HAKT_HAKMEMCTL, "pool", "delete", "lab"),
			4, "not permitted");
	hakt_keeper_run(&hakt_keeper, STRANGER, HAKT_LIST(HAKT_HAKMEMCTL, "pool", "list"), 0,
			"lab");
	assert_int_equal(number_of("lab", "clients"), 0);
}

static void test_there_are_sixty_four_at_most(void **state)
{
	char name[16];

	(void)state;
	for (unsigned i = 1; i < 64; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		CTL(0, "is made", "pool", "create", name, "--limit", "2M", "--capacity", "2M");
	}
	CTL(1, "as many pools as there can be", "pool", "create", "more");
	CTL(0, "is deleted", "pool", "delete", "p7");
	for (unsigned i = 0; i < 100; i++) {
		struct hakt_process ctl = {0};
		bool is_made;

		hakt_process_run(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "pool", "create", "more"));
		is_made = ctl.exit_code == 0;
		hakt_process_end(&ctl);
		hakt_keeper_take(&hakt_keeper);
		if (is_made)
			break;
		assert_true(i < 99);
		usleep(20000);
	}
	hakt_keeper_kill(&hakt_keeper);
	hakt_keeper_start(&hakt_keeper);
	assert_int_equal(number_of("p63", "limit_bytes"), 2 * MIB);
	assert_int_equal(number_of("more", "clients"), 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_pool_is_made_and_used, start, stop),
	cmocka_unit_test_setup_teardown(test_what_cannot_be_made_is_refused, start, stop),
	cmocka_unit_test_setup_teardown(test_one_in_use_stays_and_one_that_is_not_goes, start,
					stop),
	cmocka_unit_test_setup_teardown(test_one_that_drains_goes_with_its_last_client, start,
					stop),
	cmocka_unit_test_setup_teardown(test_a_reset_ends_one_and_touches_no_other, start, stop),
	cmocka_unit_test_setup_teardown(test_a_reset_of_the_first_one_leaves_an_empty_first_one,
					start, stop),
	cmocka_unit_test_setup_teardown(test_one_that_has_ended_is_not_made_again, start, stop),
	cmocka_unit_test_setup_teardown(test_of_two_of_a_name_the_one_that_has_ended_goes, start,
					stop),
	cmocka_unit_test_setup_teardown(test_one_of_which_half_is_kept_goes, start, stop),
	cmocka_unit_test_setup_teardown(test_a_reset_that_finds_no_room_leaves_the_pool_as_it_was,
					start, stop),
	cmocka_unit_test_setup_teardown(test_of_two_of_a_name_the_one_in_use_stays, start, stop),
	cmocka_unit_test_setup_teardown(test_the_next_daemon_has_it_as_it_was, start, stop),
	cmocka_unit_test_setup_teardown(test_the_keeping_time_is_kept_too, start, stop),
	cmocka_unit_test_setup_teardown(test_who_attaches_to_a_hardened_one_is, start, stop),
	cmocka_unit_test_setup_teardown(test_strangers_make_and_delete_nothing, start, stop),
	cmocka_unit_test_setup_teardown(test_there_are_sixty_four_at_most, start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
