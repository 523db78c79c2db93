/* SPDX-License-Identifier: MIT */
/* Several pools of one daemon, in one process and in several. */
#include "tests/support/run.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/ctl.h"
#include "tests/support/keeper.h"
#include "tests/support/process.h"

#define MIB ((size_t)1 << 20)
#define SETTINGS                                       \
	"[pool default]\ncapacity = 1G\nlimit = 64M\n" \
	"[pool video]\ncapacity = 1G\nlimit = 64M\n"   \
	"[pool audio]\ncapacity = 256M\nlimit = 32M\nsuperslab_lg = 20\n"

static const char *options[8];
static char file[128];
static struct hakmem_pool *video, *audio;

/* Under a keeper, so that a daemon can follow another. */
static int start(void **state)
{
	(void)state;
	hakt_keeper = (struct hakt_keeper){.has_log = false};
	hakt_keeper_init(&hakt_keeper, NULL);
	hakt_directory_write(hakt_keeper.daemon.directory, "conf", SETTINGS, strlen(SETTINGS));
	snprintf(file, sizeof(file), "%s/conf", hakt_keeper.daemon.directory);
	memcpy(options, HAKT_LIST("--config", file, "--log-level", "warn"), 5 * sizeof(options[0]));
	hakt_keeper.options = options;
	hakt_keeper_start(&hakt_keeper);
	assert_int_equal(hakmem_pool_open("video", NULL, &video), 0);
	assert_int_equal(hakmem_pool_open("audio", NULL, &audio), 0);
	return 0;
}

static long long pool_number(const char *pool, const char *name)
{
	return hakt_ctl_pool_of(hakt_keeper.daemon.socket, pool, name);
}

static void wait_pool(const char *pool, const char *name, long long number)
{
	hakt_ctl_wait_pool_of(hakt_keeper.daemon.socket, pool, name, number);
}

static int stop(void **state)
{
	static const char *const names[] = {"default", "video", "audio"};

	(void)state;
	hakmem_detach();
	hakmem_pool_close(video);
	hakmem_pool_close(audio);
	for (unsigned i = 0; i < 3; i++) {
		wait_pool(names[i], "clients", 0);
		wait_pool(names[i], "granted_superslabs", 0);
		assert_int_equal(pool_number(names[i], "anomalies"), 0);
	}
	return hakt_keeper_teardown(state);
}

static uint64_t live(struct hakmem_pool *pool)
{
	struct hakmem_stats stats;

	assert_int_equal(hakmem_trim_in(pool), 0);
	assert_int_equal(hakmem_stats_in(pool, &stats, sizeof(stats)), 0);
	assert_int_equal(stats.refused_frees, 0);
	return stats.live_blocks;
}

static void test_blocks_of_several_pools_go_to_one_free(void **state)
{
	enum { N = 3000 };
	static char *blocks[3][N];
	struct hakmem_pool *pools[3] = {NULL, video, audio};

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		for (unsigned k = 0; k < 3; k++) {
			size_t size = 16 + (i * 37 + k) % 3000;
			char *p = k ? hakmem_malloc_in(pools[k], size) : hakmem_malloc(size);

			assert_non_null(p);
			memset(p, (int)(i + k), size);
			assert_ptr_equal(hakmem_pool_of(p), pools[k]);
			assert_true(hakmem_contains(p));
			assert_true(hakmem_usable_size(p) >= size);
			blocks[k][i] = p;
		}
	}
	for (unsigned k = 0; k < 3; k++)
		assert_int_equal(live(pools[k]), N);
	assert_int_equal(pool_number("video", "live_blocks"), N);
	for (unsigned i = 0; i < N; i++) {
		for (unsigned k = 0; k < 3; k++) {
			assert_int_equal(blocks[k][i][15], (char)(i + k));
			hakmem_free(blocks[k][i]);
		}
	}
	for (unsigned k = 0; k < 3; k++)
		assert_int_equal(live(pools[k]), 0);
}

static void test_each_pool_has_its_limit(void **state)
{
	void *blocks[64], *other;
	unsigned n = 0;

	(void)state;
	while (n < 64 && (blocks[n] = hakmem_malloc_in(audio, MIB)))
		n++;
	assert_int_equal(errno, ENOMEM);
	assert_true(n > 20 && n < 33);
	other = hakmem_malloc_in(video, 40 * MIB);
	assert_non_null(other);
	hakmem_free(other);
	other = hakmem_malloc(40 * MIB);
	assert_non_null(other);
	hakmem_free(other);
	while (n > 0)
		hakmem_free(blocks[--n]);
}

static void test_a_block_is_resized_in_its_pool(void **state)
{
	char *p = hakmem_calloc_in(audio, 10, 10), *aligned;

	(void)state;
	assert_non_null(p);
	assert_int_equal(p[99], 0);
	strcpy(p, "audio");
	for (size_t size = 1000; size <= 8 * MIB; size *= 5) {
		p = hakmem_realloc(p, size);
		assert_non_null(p);
		assert_ptr_equal(hakmem_pool_of(p), audio);
		assert_string_equal(p, "audio");
	}
	aligned = hakmem_aligned_alloc_in(video, 4096, 100);
	assert_ptr_equal(hakmem_pool_of(aligned), video);
	assert_int_equal((uintptr_t)aligned % 4096, 0);
	hakmem_free(aligned);
	hakmem_free(p);
}

static int take_and_hold(const void *context)
{
	const hakmem_ref_t *refs = context;
	struct hakmem_pool *pool;
	void *p, *q;

	HAKT_EXPECT(hakmem_pool_open("video", NULL, &pool) == 0);
	p = hakmem_ptr_in(pool, refs[0]);
	HAKT_EXPECT(p && strcmp(p, "video") == 0);
	HAKT_EXPECT(hakmem_take_in(pool, refs[0], &q) == 0 && p == q);
	HAKT_EXPECT(hakmem_take_in(pool, refs[0], &q) == -ESTALE);
	HAKT_EXPECT(hakmem_owner(p, NULL) == HAKMEM_OWNER_SELF);
	hakt_child_say("taken");
	hakt_child_wait();
	return 0;
}

/* Its process is a client of that pool alone, and dies as such. */
static void test_a_ref_is_taken_in_its_pool(void **state)
{
	struct hakt_process taker = {0};
	char *p = hakmem_malloc_in(video, 100);
	hakmem_ref_t ref;

	(void)state;
	strcpy(p, "video");
	ref = hakmem_ref(p);
	assert_true(ref != 0);
	hakt_process_fork(&taker, take_and_hold, &ref);
	hakt_process_wait_output(&taker, 1, "taken");
	assert_int_equal(hakmem_owner(p, NULL), HAKMEM_OWNER_OTHER);
	assert_int_equal(pool_number("video", "clients"), 2);
	assert_int_equal(pool_number("default", "clients"), 0);
	hakt_process_kill(&taker);
	hakt_process_end(&taker);
	wait_pool("video", "clients", 1);
	assert_int_equal(live(video), 0);
}

static void test_names_are_of_their_pool(void **state)
{
	hakmem_ref_t a = hakmem_ref(hakmem_malloc_in(audio, 10)),
		     v = hakmem_ref(hakmem_malloc_in(video, 10)), found;

	(void)state;
	assert_int_equal(hakmem_root_publish_in(audio, "config", a), 0);
	assert_int_equal(hakmem_root_publish_in(video, "config", v), 0);
	assert_int_equal(hakmem_root_lookup("config", &found), -ENOENT);
	assert_int_equal(hakmem_root_lookup_in(video, "config", &found), 0);
	assert_ptr_equal(hakmem_pool_of(hakmem_ptr_in(video, found)), video);
	assert_int_equal(hakmem_root_withdraw_in(video, "config", &found), 0);
	hakmem_free(hakmem_ptr_in(video, found));
	assert_int_equal(hakmem_root_lookup_in(audio, "config", &found), 0);
	assert_int_equal(hakmem_root_withdraw_in(audio, "config", &found), 0);
	hakmem_free(hakmem_ptr_in(audio, found));
}

static void *work(void *argument)
{
	struct hakmem_pool *pools[3] = {NULL, video, audio};
	char *blocks[300];

	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 300; i++) {
			blocks[i] = hakmem_malloc_in(pools[i % 3], 10 + i);
			memset(blocks[i], (int)i, 10 + i);
		}
		for (unsigned i = 0; i < 300; i++) {
			if (blocks[i][9 + i] != (char)i)
				return NULL;
			hakmem_free(blocks[i]);
		}
	}
	return argument;
}

/* What they leave is found by who comes next. */
static void test_threads_come_and_go_in_all_pools(void **state)
{
	pthread_t threads[4];
	void *result;
	struct hakmem_stats stats;

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, work, state), 0);
		for (unsigned i = 0; i < 4; i++) {
			assert_int_equal(pthread_join(threads[i], &result), 0);
			assert_ptr_equal(result, state);
		}
	}
	assert_int_equal(live(NULL), 0);
	assert_int_equal(live(video), 0);
	assert_int_equal(live(audio), 0);
	assert_int_equal(hakmem_stats_in(video, &stats, sizeof(stats)), 0);
	assert_true(stats.superslabs <= 1); /* eighty threads, and their states were used again */
}

static int use_as_child(const void *context)
{
	char *inherited = (char *)(uintptr_t)context, *p = hakmem_malloc_in(video, 100);

	HAKT_EXPECT(p && hakmem_pool_of(p) == video);
	HAKT_EXPECT(strcmp(inherited, "of the parent") == 0);
	HAKT_EXPECT(hakmem_owner(inherited, NULL) == HAKMEM_OWNER_OTHER);
	hakmem_free(p);
	p = hakmem_malloc(100);
	HAKT_EXPECT(p && !hakmem_pool_of(p));
	hakmem_free(p);
	hakt_child_say("used");
	hakt_child_wait();
	HAKT_EXPECT(hakmem_pool_close(video) == 0);
	return 0;
}

static void test_a_forked_child_is_a_client_of_its_own_in_each(void **state)
{
	struct hakt_process child = {0};
	char *p = hakmem_malloc_in(video, 100);

	(void)state;
	strcpy(p, "of the parent");
	hakt_process_fork(&child, use_as_child, p);
	hakt_process_wait_output(&child, 1, "used");
	assert_int_equal(pool_number("video", "clients"), 2);
	assert_int_equal(pool_number("default", "clients"), 1);
	assert_int_equal(pool_number("audio", "clients"), 1); /* it did nothing there */
	hakt_process_tell(&child);
	hakt_process_wait_done(&child);
	hakt_process_end(&child);
	assert_string_equal(p, "of the parent");
	hakmem_free(p);
}

static void test_opening_and_closing(void **state)
{
	struct hakmem_pool *again, *none = NULL;
	void *p = hakmem_malloc_in(video, MIB);

	(void)state;
	assert_int_equal(hakmem_pool_open("video", NULL, &again), 0);
	assert_ptr_equal(again, video);
	assert_int_equal(hakmem_pool_close(again), 0);
	assert_ptr_equal(hakmem_pool_of(p), video); /* opened twice, closed once */
	assert_int_equal(hakmem_pool_open("none", NULL, &none), -ENOENT);
	assert_int_equal(hakmem_pool_open("", NULL, &none), -EINVAL);
	assert_int_equal(hakmem_pool_open("0123456789012345678901234567890123", NULL, &none),
			 -EINVAL);
	assert_int_equal(hakmem_attach(NULL), 0);
	assert_int_equal(hakmem_pool_open("default", NULL, &none), -EISCONN);
	assert_int_equal(hakmem_pool_close(video), 0);
	assert_int_equal(hakmem_pool_close(video), -EINVAL);
	assert_null(hakmem_pool_of(p));
	assert_false(hakmem_contains(p));
	wait_pool("video", "granted_superslabs", 0); /* what lived there went with us */
	assert_int_equal(hakmem_pool_open("video", NULL, &video), 0);
	p = hakmem_malloc_in(video, MIB);
	assert_non_null(p);
	hakmem_free(p);
}

static void test_the_next_daemon_has_them_all(void **state)
{
	char *a = hakmem_malloc_in(audio, MIB), *v = hakmem_malloc_in(video, MIB),
	     *d = hakmem_malloc(MIB);
	void *more[20];

	(void)state;
	memset(a, 'a', MIB);
	memset(v, 'v', MIB);
	memset(d, 'd', MIB);
	assert_true(hakt_keeper_find(&hakt_keeper, "registry.1") >= 0);
	assert_true(hakt_keeper_find(&hakt_keeper, "heap.2") >= 0);
	hakt_keeper_kill(&hakt_keeper);
	hakt_keeper_start(&hakt_keeper);
	for (unsigned i = 0; i < 20; i++) {
		more[i] = hakmem_malloc_in(i % 2 ? audio : video, MIB);
		assert_non_null(more[i]);
	}
	assert_int_equal(pool_number("video", "clients"), 1);
	assert_int_equal(pool_number("audio", "clients"), 1);
	assert_int_equal(pool_number("audio", "superslab_bytes"), MIB);
	assert_true(a[MIB - 1] == 'a' && v[MIB - 1] == 'v' && d[MIB - 1] == 'd');
	for (unsigned i = 0; i < 20; i++)
		hakmem_free(more[i]);
	hakmem_free(a);
	hakmem_free(v);
	hakmem_free(d);
	assert_int_equal(live(audio), 0);
}

static void test_clients_are_listed_of_all_pools(void **state)
{
	json_t *json, *client;
	unsigned n = 0, seen = 0;
	size_t i;

	(void)state;
	hakmem_free(hakmem_malloc(1));
	json = hakt_ctl(hakt_keeper.daemon.socket, "clients");
	json_array_foreach(json_object_get(json, "clients"), i, client)
	{
		const char *pool = hakt_json_string(client, "pool");

		n += hakt_json_number(client, "pid") == getpid();
		seen |= strcmp(pool, "default") == 0 ? 1u : strcmp(pool, "video") == 0 ? 2u : 4u;
	}
	json_decref(json);
	assert_int_equal(n, 3);
	assert_int_equal(seen, 7);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_blocks_of_several_pools_go_to_one_free, start, stop),
	cmocka_unit_test_setup_teardown(test_each_pool_has_its_limit, start, stop),
	cmocka_unit_test_setup_teardown(test_a_block_is_resized_in_its_pool, start, stop),
	cmocka_unit_test_setup_teardown(test_a_ref_is_taken_in_its_pool, start, stop),
	cmocka_unit_test_setup_teardown(test_names_are_of_their_pool, start, stop),
	cmocka_unit_test_setup_teardown(test_threads_come_and_go_in_all_pools, start, stop),
	cmocka_unit_test_setup_teardown(test_a_forked_child_is_a_client_of_its_own_in_each, start,
					stop),
	cmocka_unit_test_setup_teardown(test_opening_and_closing, start, stop),
	cmocka_unit_test_setup_teardown(test_the_next_daemon_has_them_all, start, stop),
	cmocka_unit_test_setup_teardown(test_clients_are_listed_of_all_pools, start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
