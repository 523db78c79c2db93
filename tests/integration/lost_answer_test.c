/* SPDX-License-Identifier: MIT */
/*
 * The daemon is killed while a client waits for its answer: before it has done what it was asked
 * (it is stopped), or after that (what it sends is held up). With the next one the client's call
 * ends as if nothing had been, and client and daemon agree about what is granted.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/block.h"
#include "tests/support/keeper.h"

#define SPAN	 ((size_t)1 << 20)
#define LONG	 ((size_t)9000000)
#define TOO_LONG ((size_t)70 << 20) /* to be kept when it is freed */

enum { SPANS = 4, ROUNDS = 24 };

/* What a client asks for; all in the client. */
struct operation {
	void (*prepare)(void); /* `nothing`: not attached, so nobody connects again */
	void (*run)(void);
	void (*finish)(void);
};

static char *block, *inherited;
static void *spans[SPANS];
static hakmem_ref_t ref;

static void make_small(void)
{
	block = hakmem_malloc(64);
	HAKT_EXPECT(block);
	strcpy(block, "small");
}

static void free_block(void)
{
	hakmem_free(block);
}

static void make_spans(void)
{
	for (unsigned i = 0; i < SPANS; i++) {
		spans[i] = hakmem_malloc(SPAN);
		HAKT_EXPECT(spans[i]);
		memset(spans[i], (int)i, SPAN);
	}
}

static void free_spans(void)
{
	for (unsigned i = 0; i < SPANS; i++)
		hakmem_free(spans[i]);
	HAKT_EXPECT(hakmem_trim() == 0);
}

static void make_more_spans(void)
{
	make_spans();
	HAKT_EXPECT(strcmp(block, "small") == 0);
}

static void end_more_spans(void)
{
	free_spans();
	free_block();
}

/* The SuperSlab of a process that has died and had lent nothing but this. */
static void make_orphan(void)
{
	pid_t parent = getpid(), pid;
	int ends[2];
	void *taken;

	make_small();
	HAKT_EXPECT(pipe(ends) == 0);
	pid = fork();
	if (pid == 0) {
		hakt_process_die_with(parent);
		ref = hakmem_ref(hakmem_malloc(2000));
		HAKT_EXPECT(write(ends[1], &ref, sizeof(ref)) == sizeof(ref));
		pause();
	}
	HAKT_EXPECT(read(ends[0], &ref, sizeof(ref)) == sizeof(ref));
	HAKT_EXPECT(hakmem_take(ref, &taken) == 0);
	inherited = taken;
	strcpy(inherited, "inherited");
	HAKT_EXPECT(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
}

static void end_orphan(void)
{
	HAKT_EXPECT(strcmp(inherited, "inherited") == 0);
	hakmem_free(inherited);
	end_more_spans();
}

static void make_run(void)
{
	block = hakt_block_make('r');
}

static void make_long_run(void)
{
	block = hakmem_malloc(LONG);
	HAKT_EXPECT(block);
	memset(block, 'r', LONG);
}

static void make_run_beside(void)
{
	spans[0] = block;
	make_run();
}

static void free_both(void)
{
	free_block();
	hakmem_free(spans[0]);
}

static void make_longer(void)
{
	char *longer = hakmem_realloc(block, LONG);

	HAKT_EXPECT(longer == block);
	hakt_block_expect(block, 'r');
	memset(block, 's', LONG);
}

static void make_shorter(void)
{
	char *shorter = hakmem_realloc(block, HAKT_BLOCK_BYTES);

	HAKT_EXPECT(shorter == block);
	hakt_block_expect(block, 'r');
}

static void make_too_long(void)
{
	block = hakmem_malloc(TOO_LONG);
	HAKT_EXPECT(block);
}

static void publish(void)
{
	HAKT_EXPECT(hakmem_root_publish("x", hakmem_ref(block)) == 0);
	HAKT_EXPECT(hakmem_owner(block, NULL) == HAKMEM_OWNER_ROOT);
	HAKT_EXPECT(hakmem_root_lookup("x", &ref) == 0 && hakmem_ptr(ref) == block);
}

static void withdraw(void)
{
	void *taken;

	HAKT_EXPECT(hakmem_root_withdraw("x", &ref) == 0);
	HAKT_EXPECT(hakmem_ptr(ref) == block && strcmp(block, "small") == 0);
	HAKT_EXPECT(hakmem_owner(block, NULL) == HAKMEM_OWNER_SELF);
	HAKT_EXPECT(hakmem_take(ref, &taken) == 0 && taken == block); /* a ticket */
}

static void make_published(void)
{
	make_small();
	publish();
}

static void withdraw_and_free(void)
{
	withdraw();
	free_block();
}

static void nothing(void)
{
}

/* Asks for memory in a way of its own each time: what was asked for ahead is used by one of them. */
static void come_and_go(unsigned n)
{
	void *blocks[ROUNDS];

	for (unsigned i = 0; i <= n; i++) {
		blocks[i] = hakmem_malloc(SPAN);
		HAKT_EXPECT(blocks[i]);
	}
	for (unsigned i = 0; i <= n; i++)
		hakmem_free(blocks[i]);
	hakmem_free(hakt_block_make('c'));
	HAKT_EXPECT(hakmem_trim() == 0);
}

static int ask(const void *context)
{
	const struct operation *operation = context;
	struct hakmem_stats stats;

	operation->prepare();
	hakt_child_say("ready");
	hakt_child_wait();
	hakt_child_say("asks");
	operation->run();
	hakt_child_say("done");
	hakt_child_wait();
	operation->finish();
	for (unsigned i = 0; i < ROUNDS; i++) {
		come_and_go(i);
		HAKT_EXPECT(hakmem_stats(&stats, sizeof(stats)) == 0);
		hakt_child_say("round %u has %u.", i, (unsigned)stats.superslabs);
		hakt_child_wait();
	}
	return 0;
}

static char mute[128], held[136], next[136];

static void enter(void *context)
{
	(void)context;
	setenv("LD_PRELOAD", HAKT_HAKT_MUTE, 1);
	setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
	setenv("HAKT_MUTE", mute, 1);
}

static int start(void **state)
{
	(void)state;
	hakt_keeper = (struct hakt_keeper){0};
	hakt_keeper_init(&hakt_keeper, hakt_keeper_options);
	hakt_keeper_listen(&hakt_keeper);
	snprintf(mute, sizeof(mute), "%s/mute", hakt_keeper.daemon.directory);
	snprintf(held, sizeof(held), "%s.held", mute);
	snprintf(next, sizeof(next), "%s.next", mute);
	hakt_keeper_fork(&hakt_keeper, enter, NULL);
	hakt_keeper_wait_ready(&hakt_keeper);
	return 0;
}

static void hold_up(const char *file)
{
	close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static void wait_held(void)
{
	for (unsigned i = 0; access(held, F_OK) != 0; i++) {
		assert_true(i < 6000);
		usleep(10000);
	}
}

/* It sleeps: so it has asked, and waits. */
static void wait_asleep(pid_t pid)
{
	char path[64], state = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	for (unsigned i = 0; i < 6000 && state != 'S'; i++) {
		FILE *file = fopen(path, "re");

		assert_non_null(file);
		assert_int_equal(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
		fclose(file);
		usleep(10000);
	}
	assert_int_equal(state, 'S');
}

/* What the old one was to send is never sent. */
static void replace_daemon(void)
{
	hakt_keeper_kill(&hakt_keeper);
	unlink(mute);
	hakt_keeper_start(&hakt_keeper);
}

static void kill_amid(const struct hakt_process *client, bool is_done)
{
	if (is_done)
		wait_held();
	else
		wait_asleep(client->pid);
	replace_daemon();
}

/* In one of the rounds the client, and the daemon, have neither asked nor promised any more. */
static void check_agreement(struct hakt_process *client)
{
	char said[32];
	unsigned has = 0, granted = 1;

	for (unsigned i = 0; i < ROUNDS; i++) {
		const char *at;

		hakt_process_tell(client);
		snprintf(said, sizeof(said), "round %u has ", i);
		hakt_process_wait_output(client, 1, said);
		hakt_process_wait_output(client, 1, ".");
		at = strstr(hakt_process_output(client, 1), said);
		assert_int_equal(sscanf(at + strlen(said), "%u.", &has), 1);
		granted = (unsigned)hakt_daemon_status(&hakt_keeper.daemon).granted_superslabs;
		if (has == granted)
			return;
	}
	fail_msg("the client has %u SuperSlabs, the daemon granted %u", has, granted);
}

static void check(const struct operation *operation, bool is_done)
{
	struct hakt_process client = {0};

	hakt_process_fork(&client, ask, operation);
	hakt_process_wait_output(&client, 1, "ready");
	if (operation->prepare == make_orphan)
		hakt_daemon_wait_orphans(&hakt_keeper.daemon, 1);
	if (is_done)
		hold_up(mute);
	else
		assert_int_equal(kill(hakt_keeper.daemon.pid, SIGSTOP), 0);
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "asks");
	kill_amid(&client, is_done);
	hakt_process_wait_output(&client, 1, "done");
	if (operation->run == make_longer) /* it grew once, and didn't go back in between */
		assert_int_equal(hakt_daemon_counter(&hakt_keeper.daemon, "collected_superslabs"),
				 0);
	/* The next daemon may not have settled it by the time that it is asked. */
	if (operation->prepare == make_orphan && is_done)
		assert_int_equal(hakt_daemon_status(&hakt_keeper.daemon).orphan_superslabs, 0);
	check_agreement(&client);
	hakt_keeper_expect_clean(&hakt_keeper);
	hakt_daemon_wait_clients(&hakt_keeper.daemon, 1);
	assert_int_equal(hakt_daemon_counter(&hakt_keeper.daemon, "resumed"),
			 operation->prepare != nothing);
	hakt_process_kill(&client);
	hakt_process_end(&client);
}

#define CASES(name, ...)                                             \
	static const struct operation name = {__VA_ARGS__};          \
                                                                     \
	static void test_##name##_is_done_by_the_next(void **state)  \
	{                                                            \
		(void)state;                                         \
		check(&name, false);                                 \
	}                                                            \
                                                                     \
	static void test_##name##_done_before_is_found(void **state) \
	{                                                            \
		(void)state;                                         \
		check(&name, true);                                  \
	}

CASES(attaching, nothing, make_run, free_block)
CASES(a_refill, make_small, make_more_spans, end_more_spans)
CASES(an_heirs_grant, make_orphan, make_more_spans, end_orphan)
CASES(a_run, make_small, make_run_beside, free_both)
CASES(a_longer_run, make_run, make_longer, nothing)
CASES(a_shorter_run, make_long_run, make_shorter, nothing)
CASES(giving_back, make_spans, free_spans, nothing)
CASES(giving_back_a_run, make_too_long, free_block, nothing)
CASES(publishing, make_small, publish, withdraw_and_free)
CASES(withdrawing, make_published, withdraw, free_block)

static void *withdraw_as(void *who)
{
	hakmem_ref_t withdrawn;

	hakt_child_say("%s asks as %d.", (char *)who, (int)gettid());
	hakt_child_say("%s got %d.", (char *)who, hakmem_root_withdraw("x", &withdrawn));
	return NULL;
}

static int withdraw_twice(const void *context)
{
	static char first[] = "first", second[] = "second";
	pthread_t other;

	(void)context;
	make_published();
	hakt_child_say("ready");
	hakt_child_wait();
	HAKT_EXPECT(pthread_create(&other, NULL, withdraw_as, first) == 0);
	hakt_child_wait();
	withdraw_as(second);
	HAKT_EXPECT(pthread_join(other, NULL) == 0);
	hakmem_free(block);
	return hakmem_trim();
}

/* The number behind that, when the client has said it. */
static int heard(struct hakt_process *client, const char *what)
{
	int number;

	hakt_process_wait_output(client, 1, what);
	hakt_process_wait_output(client, 1, ".");
	assert_int_equal(
		sscanf(strstr(hakt_process_output(client, 1), what) + strlen(what), "%d.", &number),
		1);
	return number;
}

/* One message more is sent, and the next one held up. */
static void let_one_go(void)
{
	wait_held();
	assert_int_equal(unlink(held), 0);
	hold_up(next);
	assert_int_equal(unlink(mute), 0);
}

/* Waits for one of the two: has it said that? */
static bool has_said_or_is_held(struct hakt_process *client, const char *text)
{
	for (unsigned i = 0; i < 6000; i++) {
		bool is_held = access(held, F_OK) == 0;

		if (strstr(hakt_process_output(client, 1), text))
			return true;
		if (is_held)
			return false;
		usleep(10000);
	}
	fail_msg("neither is an answer held up nor was said: %s", text);
	return false;
}

/*
 * The first has its answer before the daemon dies; the second one's is lost, should it ask: what
 * it had looked up before is its process's by then, but not by its call.
 */
static void test_what_another_thread_has_withdrawn_is_not_withdrawn_twice(void **state)
{
	struct hakt_process client = {0};

	(void)state;
	hakt_process_fork(&client, withdraw_twice, NULL);
	hakt_process_wait_output(&client, 1, "ready");
	assert_int_equal(kill(hakt_keeper.daemon.pid, SIGSTOP), 0);
	hakt_process_tell(&client);
	wait_asleep(heard(&client, "first asks as "));
	hakt_process_tell(&client);
	wait_asleep(heard(&client, "second asks as "));
	hold_up(mute);
	assert_int_equal(kill(hakt_keeper.daemon.pid, SIGCONT), 0);
	do
		let_one_go();
	while (!has_said_or_is_held(&client, "first got "));
	assert_int_equal(heard(&client, "first got "), 0);
	(void)has_said_or_is_held(&client, "second got ");
	replace_daemon();
	assert_int_equal(heard(&client, "second got "), -ENOENT);
	hakt_process_wait_done(&client);
	hakt_process_end(&client);
	hakt_keeper_expect_clean(&hakt_keeper);
}

static int publish_once(const void *context)
{
	int pid = 0;

	(void)context;
	make_small();
	ref = hakmem_ref(block);
	hakt_child_say("ready");
	hakt_child_wait();
	HAKT_EXPECT(hakmem_root_publish("x", ref) == 0);
	HAKT_EXPECT(hakmem_owner(block, &pid) == HAKMEM_OWNER_OTHER && pid == (int)getppid());
	return 0;
}

/* The publisher is slow to hear of it: by then the block is somebody else's. */
static void test_what_was_published_and_is_withdrawn_already_was_published(void **state)
{
	struct hakt_process client = {0};
	hakmem_ref_t withdrawn;

	(void)state;
	hakt_process_fork(&client, publish_once, NULL);
	hakt_process_wait_output(&client, 1, "ready");
	hold_up(mute);
	hakt_process_tell(&client);
	wait_held();
	assert_int_equal(kill(client.pid, SIGSTOP), 0);
	replace_daemon();
	assert_int_equal(hakmem_root_withdraw("x", &withdrawn), 0);
	assert_int_equal(kill(client.pid, SIGCONT), 0);
	hakt_process_wait_done(&client);
	hakt_process_end(&client);
	hakmem_free(hakmem_ptr(withdrawn));
	assert_int_equal(hakmem_detach(), 0);
	hakt_keeper_expect_clean(&hakt_keeper);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_attaching_is_done_by_the_next, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_attaching_done_before_is_found, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_refill_is_done_by_the_next, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_refill_done_before_is_found, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_an_heirs_grant_is_done_by_the_next, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_an_heirs_grant_done_before_is_found, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_run_is_done_by_the_next, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_run_done_before_is_found, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_longer_run_is_done_by_the_next, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_longer_run_done_before_is_found, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_shorter_run_is_done_by_the_next, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_shorter_run_done_before_is_found, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_giving_back_is_done_by_the_next, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_giving_back_done_before_is_found, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_giving_back_a_run_is_done_by_the_next, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_giving_back_a_run_done_before_is_found, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_publishing_is_done_by_the_next, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_publishing_done_before_is_found, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_withdrawing_is_done_by_the_next, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_withdrawing_done_before_is_found, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(
		test_what_another_thread_has_withdrawn_is_not_withdrawn_twice, start,
		hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(
		test_what_was_published_and_is_withdrawn_already_was_published, start,
		hakt_keeper_teardown),
};

HAKT_MAIN(tests, NULL, NULL)
