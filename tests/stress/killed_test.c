/* SPDX-License-Identifier: MIT */
/*
 * Processes that die while they exchange blocks. Survivors use only their own
 * blocks and each other's: what a process has made goes with it, so victims
 * keep what they have made to themselves, but check, free, move and pass on
 * what survivors have made. Blocks that a victim holds at its death stay
 * allocated until their owner leaves.
 */
#include "tests/support/run.h"

#include <stdio.h>
#include <unistd.h>

#include "tests/stress/group.h"
#include "tests/stress/party.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

#define SURVIVORS 2u
#define VICTIMS	  4u
#define ROUNDS	  50u
/* A victim lives for up to so long; about as long as it takes to start one. */
#define LIFE_US (20000u * (HAKT_SLOWNESS > 1 ? 4 : 1))

static struct hakt_daemon hakd;
static struct hakt_group group;

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd, HAKT_LIST("--limit", "2G", "--log-level", "warn"));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakt_group_deinit(&group);
	return hakt_daemon_stop_empty(&hakd);
}

/* Waits, 10 s at most, until what the dead had has come back. */
static struct hakt_status wait_collected(unsigned clients)
{
	struct hakt_status status = {0};

	for (unsigned i = 0; i < 1000; i++) {
		status = hakt_daemon_status(&hakd);
		if (status.clients == clients)
			break;
		usleep(10000);
	}
	return status;
}

static void test_survivors_go_on_and_the_memory_of_the_dead_comes_back(void **state)
{
	uint64_t random = hakt_seed();
	struct hakt_report report;
	struct hakt_status status;

	(void)state;
	hakt_group_init(&group, SURVIVORS + VICTIMS);
	for (unsigned i = 0; i < SURVIVORS; i++)
		hakt_group_start(&group, i, random, 0, false);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned victim = SURVIVORS + (unsigned)(hakt_random(&random) % VICTIMS);

		for (unsigned i = SURVIVORS; i < group.n; i++)
			if (!group.members[i].pid)
				hakt_group_start(&group, i, hakt_random(&random), 0, true);
		usleep((useconds_t)(hakt_random(&random) % LIFE_US));
		hakt_group_kill(&group, victim);
		if (round % 10 == 9) /* all at once */
			for (unsigned i = SURVIVORS; i < group.n; i++)
				if (group.members[i].pid)
					hakt_group_kill(&group, i);
	}
	for (unsigned i = SURVIVORS; i < group.n; i++)
		if (group.members[i].pid)
			hakt_group_kill(&group, i);
	report = hakt_group_tell_all(&group, SURVIVORS, HAKT_STOP);
	assert_true(report.n_ops > 0);
	hakt_group_tell_all(&group, SURVIVORS, HAKT_DRAIN);
	report = hakt_group_tell_all(&group, SURVIVORS, HAKT_TRIM);
	status = wait_collected(SURVIVORS);
	assert_int_equal(status.clients, SURVIVORS);
	assert_int_equal(status.granted_superslabs, report.superslabs);
	assert_int_equal(status.anomalies, 0);
	hakt_group_exit(&group, SURVIVORS);
	hakt_daemon_wait_empty(&hakd);
	printf("# %llu operations of survivors\n", (unsigned long long)report.n_ops);
	hakt_group_deinit(&group);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_survivors_go_on_and_the_memory_of_the_dead_comes_back),
};

HAKT_MAIN(tests, start, stop)
