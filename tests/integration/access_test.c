/* SPDX-License-Identifier: MIT */
/* Who may do what with a pool. Needs root, to be others. */
#include "tests/support/run.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/ctl.h"
#include "tests/support/keeper.h"
#include "tests/support/process.h"

enum {
	OWNER = 21001,
	MEMBER = 21002,
	STRANGER = 21003,
	GROUP = 22001,
	OTHER_GROUP = 22002,
	ADMINS = 22003
};

static const char *const options[] = {"--capacity",    "1G",	      "--limit",
				      "64M",	       "--log-level", "warn",
				      "--admin-group", "22003",	      NULL};

static int start(void **state)
{
	(void)state;
	if (getuid() != 0)
		skip();
	hakt_keeper = (struct hakt_keeper){.has_log = true};
	hakt_keeper_init(&hakt_keeper, NULL);
	hakt_keeper.options = options;
	hakt_keeper_start(&hakt_keeper);
	hakt_keeper_let_in(&hakt_keeper);
	return 0;
}

static void run_ctl(uid_t uid, gid_t gid, const char *const *arguments, int exit_code,
		    const char *text)
{
	struct hakt_process ctl = {.uid = uid, .gid = gid};
	const char *output;

	hakt_process_run(&ctl, arguments);
	output = hakt_process_output(&ctl, exit_code == 0 ? 1 : 2);
	if (ctl.exit_code != exit_code || !strstr(output, text))
		fail_msg("%s: %d, %s", text, ctl.exit_code, output);
	hakt_process_end(&ctl);
	hakt_keeper_take(&hakt_keeper);
}
#define CTL(uid, exit_code, text, ...) \
	run_ctl((uid), 0, HAKT_LIST(HAKT_HAKMEMCTL, __VA_ARGS__), (exit_code), (text))
#define ADMIN_CTL(exit_code, text, ...) \
	run_ctl(MEMBER, ADMINS, HAKT_LIST(HAKT_HAKMEMCTL, __VA_ARGS__), (exit_code), (text))

struct person {
	uid_t uid;
	gid_t gid;
	gid_t supplementary; /* 0: none */
	int reads, writes;   /* what hakmem_pool_open says */
};

static int try_both(const void *context)
{
	const struct person *p = context;
	struct hakmem_options reading = {.read_only = 1};
	struct hakmem_pool *pool;
	int r;

	HAKT_EXPECT(setgroups(p->supplementary != 0, &p->supplementary) == 0);
	HAKT_EXPECT(setgid(p->gid) == 0 && setuid(p->uid) == 0);
	r = hakmem_pool_open("lab", &reading, &pool);
	HAKT_EXPECT(r == p->reads);
	HAKT_EXPECT(r < 0 || hakmem_pool_close(pool) == 0);
	r = hakmem_pool_open("lab", NULL, &pool);
	HAKT_EXPECT(r == p->writes);
	HAKT_EXPECT(r < 0 || hakmem_pool_close(pool) == 0);
	return 0;
}

static void expect(const char *mode, int owner_reads, int owner_writes, int group_reads,
		   int group_writes, int others_read, int others_write)
{
	const struct person people[] = {
		{OWNER, GROUP, GROUP, owner_reads, owner_writes},
		{MEMBER, GROUP, 0, group_reads, group_writes},
		{MEMBER, OTHER_GROUP, GROUP, group_reads, group_writes},
		{STRANGER, OTHER_GROUP, 0, others_read, others_write},
		{0, 0, 0, 0, 0}, /* root */
	};

	CTL(0, 0, "is made", "pool", "create", "lab", "--limit", "8M", "--owner", "21001",
	    "--group", "22001", "--mode", mode);
	for (unsigned i = 0; i < sizeof(people) / sizeof(people[0]); i++)
		hakt_process_run_child(try_both, &people[i]);
	hakt_ctl_wait_pool_of(hakt_keeper.daemon.socket, "lab", "clients", 0);
	CTL(0, 0, "is deleted", "pool", "delete", "lab");
}

static void test_owner_group_and_others_as_with_a_file(void **state)
{
	(void)state;
	expect("640", 0, 0, 0, -EACCES, -EACCES, -EACCES);
	expect("664", 0, 0, 0, 0, 0, -EACCES);
	expect("046", -EACCES, -EACCES, 0, -EACCES, 0, 0); /* the first that one is */
	expect("222", -EACCES, -EACCES, -EACCES, -EACCES, -EACCES, -EACCES); /* who writes reads */
	expect("000", -EACCES, -EACCES, -EACCES, -EACCES, -EACCES, -EACCES);
}

static void test_tools_may_what_their_users_may(void **state)
{
	(void)state;
	CTL(0, 0, "is made", "pool", "create", "lab", "--owner", "21001", "--mode", "540");
	CTL(OWNER, 0, "clean", "--pool", "lab", "check");
	CTL(OWNER, 0, "resident", "--pool", "lab", "--wait", "0", "trim");
	CTL(OWNER, 4, "not permitted", "pool", "delete", "lab");
	CTL(STRANGER, 4, "user 21003 may not read pool lab", "--pool", "lab", "check");
	CTL(STRANGER, 4, "user 21003 may not read pool lab", "--pool", "lab", "roots");
	CTL(OWNER, 0, "pool lab: 0 of ", "--pool", "lab", "map");
	CTL(OWNER, 0, "pool lab: 0 of ", "--pool", "lab", "slabs");
	CTL(STRANGER, 4, "user 21003 may not read pool lab", "--pool", "lab", "map");
	CTL(STRANGER, 4, "whom the pool's mode lets, see hakmemctl status", "--pool", "lab",
	    "slabs");
	CTL(STRANGER, 4, "user 21003 may not administer pool lab", "--pool", "lab", "trim");
	CTL(STRANGER, 4, "user 21003 may not administer pool default", "trim");
	CTL(STRANGER, 0, "clean", "check"); /* the first one is everybody's who may connect */
	CTL(STRANGER, 0, "user 21001, group", "status");
}

static void test_the_admin_group_may_what_root_may(void **state)
{
	(void)state;
	ADMIN_CTL(0, "is made", "pool", "create", "lab", "--mode", "000");
	ADMIN_CTL(0, "clean", "--pool", "lab", "check");
	ADMIN_CTL(0, "resident", "--wait", "0", "trim");
	ADMIN_CTL(0, "is empty", "pool", "reset", "lab");
	CTL(MEMBER, 4, "not permitted", "pool", "delete", "lab");
	ADMIN_CTL(0, "is deleted", "pool", "delete", "lab");
}

static void test_the_next_daemon_knows_it(void **state)
{
	const struct person stranger = {STRANGER, OTHER_GROUP, 0, 0, -EACCES};

	(void)state;
	CTL(0, 0, "is made", "pool", "create", "lab", "--owner", "21001", "--group", "22001",
	    "--mode", "764");
	hakt_keeper_kill(&hakt_keeper);
	hakt_keeper_start(&hakt_keeper);
	assert_int_equal(chmod(hakt_keeper.daemon.socket, 0666), 0);
	assert_int_equal(hakt_ctl_pool_of(hakt_keeper.daemon.socket, "lab", "owner"), OWNER);
	assert_int_equal(hakt_ctl_pool_of(hakt_keeper.daemon.socket, "lab", "group"), GROUP);
	hakt_process_run_child(try_both, &stranger);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_owner_group_and_others_as_with_a_file, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_tools_may_what_their_users_may, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_the_admin_group_may_what_root_may, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_the_next_daemon_knows_it, start, hakt_keeper_teardown),
};

HAKT_MAIN(tests, NULL, NULL)
