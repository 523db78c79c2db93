/* SPDX-License-Identifier: MIT */
/*
 * Processes that exchange blocks for a long time: HAKT_OPS=N operations in all,
 * HAKT_SEED=N for a run again (each process then makes the same choices, but
 * what meets what is up to the machine).
 */
#include "tests/support/run.h"

#include <stdio.h>

#include "tests/stress/group.h"
#include "tests/stress/party.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

#define OPS UINT64_C(2000000) /* of all processes together */

static struct hakt_daemon hakd;
static struct hakt_group group;

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd, HAKT_LIST("--limit", "1G", "--log-level", "warn"));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakt_group_deinit(&group);
	return hakt_daemon_stop_empty(&hakd);
}

static void exchange(unsigned n)
{
	uint64_t seed = hakt_seed();
	uint64_t each = (hakt_ops(OPS) + n - 1) / n;
	struct hakt_status status;
	uint64_t n_ops = 0;

	hakt_group_init(&group, n);
	for (unsigned i = 0; i < n; i++)
		hakt_group_start(&group, i, seed, each, false);
	for (unsigned i = 0; i < n; i++)
		n_ops += hakt_group_hear(&group, i).n_ops; /* from now on it sends nothing */
	assert_true(n_ops >= each * n);
	hakt_group_tell_all(&group, n, HAKT_DRAIN);
	hakt_group_tell_all(&group, n, HAKT_TRIM);
	status = hakt_daemon_status(&hakd);
	assert_int_equal(status.clients, n);
	assert_int_equal(status.live_blocks, 0);
	assert_int_equal(status.granted_superslabs, 0); /* the second trim sees all frees */
	assert_int_equal(status.anomalies, 0);
	hakt_group_exit(&group, n);
	hakt_daemon_wait_empty(&hakd);
	printf("# %llu operations\n", (unsigned long long)n_ops);
	hakt_group_deinit(&group);
}

static void test_two_processes_exchange_blocks_and_nothing_is_left(void **state)
{
	(void)state;
	exchange(2);
}

static void test_eight_processes_exchange_blocks_and_nothing_is_left(void **state)
{
	(void)state;
	exchange(8);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_two_processes_exchange_blocks_and_nothing_is_left),
	cmocka_unit_test(test_eight_processes_exchange_blocks_and_nothing_is_left),
};

HAKT_MAIN(tests, start, stop)
