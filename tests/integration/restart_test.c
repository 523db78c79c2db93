/* SPDX-License-Identifier: MIT */
/*
 * The daemon is killed, and another one goes on with what a keeper kept. Clients
 * of the first one don't talk to the second: they go on with what they have.
 */
#include "tests/support/run.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/ctl.h"
#include "tests/support/holding.h"
#include "tests/support/keeper.h"
#include "tests/support/process.h"
#include "tests/support/random.h"
#include "tests/support/words.h"

static struct hakt_status status(void)
{
	return hakt_daemon_status(&hakt_keeper.daemon);
}

static void test_blocks_of_living_clients_are_what_they_were(void **state)
{
	struct hakt_process clients[2];
	unsigned long long granted;

	(void)state;
	hakt_holding_start(&clients[0], "a");
	hakt_holding_start(&clients[1], "b");
	granted = status().granted_superslabs;
	for (unsigned i = 0; i < 3; i++) {
		hakt_keeper_kill(&hakt_keeper);
		hakt_keeper_start(&hakt_keeper);
		assert_int_equal(status().clients, 2);
		assert_int_equal(status().granted_superslabs, granted);
		hakt_keeper_expect_clean(&hakt_keeper);
	}
	hakt_holding_expect_intact(&clients[0]);
	hakt_holding_expect_intact(&clients[1]);
	assert_int_equal(hakt_daemon_counter(&hakt_keeper.daemon, "deaths"), 0);
	hakt_holding_kill(&clients[0]);
	hakt_daemon_wait_clients(&hakt_keeper.daemon, 1);
	hakt_keeper_expect_clean(&hakt_keeper);
	hakt_holding_kill(&clients[1]);
	hakt_daemon_wait_empty(&hakt_keeper.daemon);
	hakt_daemon_wait_reserve(&hakt_keeper.daemon, 2);
	assert_int_equal(hakt_daemon_counter(&hakt_keeper.daemon, "deaths"), 2);
	hakt_keeper_expect_clean(&hakt_keeper);
}

static void test_a_client_that_dies_without_a_daemon_is_collected(void **state)
{
	struct hakt_process dies, lives;

	(void)state;
	hakt_holding_start(&dies, "a");
	hakt_holding_start(&lives, "b");
	hakt_keeper_kill(&hakt_keeper);
	hakt_holding_kill(&dies);
	hakt_keeper_start(&hakt_keeper);
	hakt_daemon_wait_clients(&hakt_keeper.daemon, 1);
	assert_int_equal(hakt_daemon_counter(&hakt_keeper.daemon, "deaths"), 1);
	assert_int_equal(status().granted_superslabs, 3);
	hakt_keeper_expect_clean(&hakt_keeper);
	hakt_holding_expect_intact(&lives);
	hakt_keeper_take(&hakt_keeper);
	assert_int_equal(hakt_keeper_count(&hakt_keeper, "l-"), 1);
	hakt_holding_kill(&lives);
}

/* Reads another process's block by its ref, and has one of its own. */
static int read_and_allocate(const void *context)
{
	unsigned long long ref = *(const unsigned long long *)context;
	char *block = hakmem_ptr(ref);

	HAKT_EXPECT(block);
	hakt_block_expect(block, 'a');
	HAKT_EXPECT(hakmem_is_at_base() == 1);
	hakt_block_expect(hakt_block_make('n'), 'n');
	for (unsigned i = 0; i < 100; i++) /* slabs too, and what goes back */
		hakmem_free(hakmem_malloc(1000 * i));
	return 0;
}

static void test_new_clients_attach_beside_those_of_before(void **state)
{
	struct hakt_process old;
	unsigned long long ref;

	(void)state;
	hakt_holding_start(&old, "a");
	assert_int_equal(sscanf(hakt_process_output(&old, 1), "ref %llu", &ref), 1);
	hakt_keeper_kill(&hakt_keeper);
	hakt_keeper_start(&hakt_keeper);
	hakt_process_run_child(read_and_allocate, &ref);
	hakt_daemon_wait_clients(&hakt_keeper.daemon, 1);
	hakt_keeper_expect_clean(&hakt_keeper);
	hakt_holding_expect_intact(&old);
	hakt_holding_kill(&old);
}

static void test_a_collection_that_was_under_way_is_finished(void **state)
{
	(void)state;
	/* The holder's word is written; then its SuperSlabs' are. */
	for (unsigned round = 1; round <= 2; round++) {
		struct hakt_process client;
		struct hakt_words words;
		hak_u64 *word;

		hakt_holding_start(&client, "a");
		hakt_keeper_kill(&hakt_keeper);
		hakt_words_init(&words, hakt_keeper_find(&hakt_keeper, "registry"));
		word = &words.holders[hakt_words_holder(&words, client.pid)].word;
		assert_int_equal(hak_load_relaxed(word),
				 hak_holder_pack(HAK_HOLDER_ATTACHED, round)); /* the same slot */
		hakt_holding_kill(&client);
		hak_store_relaxed(word, hak_holder_pack(HAK_HOLDER_RECLAIMING, round));
		if (round == 2)
			hak_superslab_begin_collect(
				&words.superslabs[hakt_words_granted(&words, 2, 0)]);
		hakt_keeper_start(&hakt_keeper);
		hakt_daemon_wait_empty(&hakt_keeper.daemon);
		assert_int_equal(hak_load_relaxed(word), hak_holder_pack(HAK_HOLDER_FREE, round));
		hakt_keeper_expect_clean(&hakt_keeper);
		hakt_words_deinit(&words);
	}
}

/* Has two huge blocks, frees one, and looks at the other. */
static int give_one_back(const void *context)
{
	char *stays = hakt_block_make('s'), *goes = hakt_block_make('g');

	(void)context;
	hakt_child_say("has both");
	hakt_child_wait();
	hakmem_free(goes); /* nobody hears of it */
	hakmem_trim();
	hakt_child_say("freed");
	hakt_child_wait();
	hakt_block_expect(stays, 's');
	return 0;
}

static void test_what_a_living_client_was_giving_back_is_free(void **state)
{
	struct hakt_process client = {0};
	struct hakt_words words;
	unsigned holder;
	uint32_t first;

	(void)state;
	hakt_process_fork(&client, give_one_back, NULL);
	hakt_process_wait_output(&client, 1, "has both");
	hakt_keeper_kill(&hakt_keeper);
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "freed");
	hakt_words_init(&words, hakt_keeper_find(&hakt_keeper, "registry"));
	holder = hakt_words_holder(&words, client.pid);
	first = hakt_words_granted(&words, holder, 0);
	hak_superslab_begin_collect(
		&words.superslabs[hakt_words_granted(&words, holder, first + 1)]);
	hakt_words_deinit(&words);
	hakt_keeper_start(&hakt_keeper);
	for (unsigned i = 0; i < 1000 && status().granted_superslabs > 3; i++)
		usleep(10000);
	assert_int_equal(status().granted_superslabs, 3);
	assert_int_equal(status().clients, 1);
	hakt_keeper_expect_clean(&hakt_keeper);
	hakt_process_tell(&client);
	hakt_process_wait_done(&client);
	hakt_process_end(&client);
}

static int leave_without_a_daemon(const void *context)
{
	static char sleep_program[] = "/bin/sleep", seconds[] = "1000";
	static char *const arguments[] = {sleep_program, seconds, NULL};
	const char *how = context;

	hakt_block_make('m');
	hakt_child_say("attached");
	hakt_child_wait();
	if (strcmp(how, "exec") == 0)
		execv("/bin/sleep", arguments);
	hakmem_detach();
	hakt_child_say("detached");
	pause();
	return 0;
}

/* A process that lives on as another program, or without the pool. */
static void leave(struct hakt_process *client, const char *how)
{
	*client = (struct hakt_process){0};
	hakt_process_fork(client, leave_without_a_daemon, how);
	hakt_process_wait_output(client, 1, "attached");
	hakt_keeper_kill(&hakt_keeper);
	hakt_process_tell(client);
	if (strcmp(how, "detach") == 0)
		hakt_process_wait_output(client, 1, "detached");
}

static void test_an_exec_without_a_daemon_is_noticed_by_the_lease(void **state)
{
	struct hakt_process client;

	(void)state;
	leave(&client, "exec");
	hakt_keeper_start(&hakt_keeper);
	hakt_daemon_wait_empty(&hakt_keeper.daemon);
	hakt_process_check_running(&client);
	hakt_keeper_expect_clean(&hakt_keeper);
	hakt_holding_kill(&client);
}

static void test_a_detach_without_a_daemon_is_noticed_by_the_lease(void **state)
{
	struct hakt_process client;

	(void)state;
	leave(&client, "detach");
	hakt_keeper_start(&hakt_keeper);
	hakt_daemon_wait_empty(&hakt_keeper.daemon);
	hakt_process_check_running(&client);
	hakt_keeper_take(&hakt_keeper);
	assert_int_equal(hakt_keeper_count(&hakt_keeper, "l-"), 0);
	hakt_holding_kill(&client);
}

static void test_without_its_lease_a_client_stays_until_it_dies(void **state)
{
	struct hakt_process client, other;
	char lease[sizeof(hakt_keeper.kept[0].name)] = "";

	(void)state;
	leave(&client, "detach");
	for (unsigned i = 0; i < hakt_keeper.n_kept; i++)
		if (strncmp(hakt_keeper.kept[i].name, "l-", 2) == 0)
			memcpy(lease, hakt_keeper.kept[i].name, sizeof(lease));
	hakt_keeper_remove(&hakt_keeper, lease);
	hakt_keeper_start(&hakt_keeper);
	hakt_holding_start(&other, "o");
	hakt_keeper_kill(&hakt_keeper);
	hakt_keeper_start(&hakt_keeper);
	hakt_daemon_wait_looks(&hakt_keeper.daemon); /* at the other's */
	assert_int_equal(status().clients, 2);
	hakt_keeper_expect_clean(&hakt_keeper);
	hakt_holding_kill(&client);
	hakt_daemon_wait_clients(&hakt_keeper.daemon, 1);
	hakt_holding_kill(&other);
}

static void test_a_pid_that_is_another_processs_now_is_a_death(void **state)
{
	struct hakt_process client;
	struct hakt_words words;

	(void)state;
	hakt_holding_start(&client, "a");
	hakt_keeper_kill(&hakt_keeper);
	hakt_words_init(&words, hakt_keeper_find(&hakt_keeper, "registry"));
	words.holders[hakt_words_holder(&words, client.pid)].start_time--;
	hakt_words_deinit(&words);
	hakt_keeper_remove(&hakt_keeper, "c-2-1"); /* its pidfd would know better */
	hakt_keeper_start(&hakt_keeper);
	hakt_daemon_wait_empty(&hakt_keeper.daemon);
	assert_int_equal(hakt_daemon_counter(&hakt_keeper.daemon, "deaths"), 1);
	hakt_holding_kill(&client);
}

static void test_a_lease_of_the_slots_client_before_proves_nothing(void **state)
{
	struct hakt_process client;
	int stale, fresh;

	(void)state;
	hakt_holding_start(&client, "a");
	hakt_keeper_take(&hakt_keeper);
	stale = dup(hakt_keeper_find(&hakt_keeper, "l-2-1"));
	hakt_holding_kill(&client);
	hakt_daemon_wait_empty(&hakt_keeper.daemon);
	hakt_holding_start(&client, "b");
	hakt_keeper_kill(&hakt_keeper);
	assert_int_equal(hakt_keeper_count(&hakt_keeper, "l-"), 1);
	fresh = dup(hakt_keeper_find(&hakt_keeper, "l-2-2"));
	hakt_keeper_remove(&hakt_keeper, "l-2-2");
	hakt_keeper_put(&hakt_keeper, "l-2-1",
			stale); /* the first in the list; its removal got lost */
	hakt_keeper_put(&hakt_keeper, "l-2-2", fresh);
	hakt_keeper_start(&hakt_keeper);
	hakt_daemon_wait_looks(&hakt_keeper.daemon);
	assert_int_equal(status().clients, 1);
	hakt_keeper_take(&hakt_keeper);
	assert_int_equal(hakt_keeper_find(&hakt_keeper, "l-2-1"), -1);
	assert_true(hakt_keeper_find(&hakt_keeper, "l-2-2") >= 0);
	hakt_holding_expect_intact(&client);
	hakt_holding_kill(&client);
}

/* Takes and gives back all sizes until it is killed, with a daemon or without. */
static int work(const void *context)
{
	uint64_t seed = *(const uint64_t *)context;
	void *blocks[32] = {0};

	for (uint64_t i = 0; i < UINT64_MAX; i++) {
		uint64_t r = hakt_random(&seed);
		void **block = &blocks[(r >> 32) % 32];

		if (*block && r & 1 << 30) {
			void *moved = hakmem_realloc(*block, (r >> 8) % (6u << 20));

			*block = moved ? moved : *block;
		} else {
			hakmem_free(*block);
			*block = hakmem_malloc((r >> 8) % (r & 1 ? 4096 : 6u << 20));
		}
		if (i % 64 == 63)
			hakmem_trim();
		if (i == 100)
			hakt_child_say("at work");
	}
	return 0;
}

static void test_a_daemon_killed_at_work_leaves_a_clean_pool(void **state)
{
	enum { ROUNDS = 12, WORKERS = 3 };
	struct hakt_process workers[WORKERS];
	uint64_t seed = hakt_random_seed();

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < WORKERS; i++) {
			uint64_t own = hakt_random(&seed);

			workers[i] = (struct hakt_process){0};
			hakt_process_fork(&workers[i], work, &own);
		}
		for (unsigned i = 0; i < WORKERS; i++)
			hakt_process_wait_output(&workers[i], 1, "at work");
		usleep((useconds_t)(hakt_random(&seed) % 20000));
		if (round % 2)
			kill(workers[0].pid, SIGKILL); /* one is perhaps being collected */
		hakt_keeper_kill(&hakt_keeper);
		hakt_keeper_start(&hakt_keeper);
		hakt_keeper_expect_clean(&hakt_keeper);
		for (unsigned i = round % 2; i < WORKERS; i++)
			hakt_process_check_running(&workers[i]);
		for (unsigned i = 0; i < WORKERS; i++)
			hakt_holding_kill(&workers[i]);
		hakt_daemon_wait_empty(&hakt_keeper.daemon);
		hakt_keeper_expect_clean(&hakt_keeper);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_blocks_of_living_clients_are_what_they_were,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_client_that_dies_without_a_daemon_is_collected,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_new_clients_attach_beside_those_of_before,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_collection_that_was_under_way_is_finished,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_what_a_living_client_was_giving_back_is_free,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_an_exec_without_a_daemon_is_noticed_by_the_lease,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_detach_without_a_daemon_is_noticed_by_the_lease,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_without_its_lease_a_client_stays_until_it_dies,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_pid_that_is_another_processs_now_is_a_death,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_lease_of_the_slots_client_before_proves_nothing,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_daemon_killed_at_work_leaves_a_clean_pool,
					hakt_keeper_setup, hakt_keeper_teardown),
};

HAKT_MAIN(tests, NULL, NULL)
