/* SPDX-License-Identifier: MIT */
/* Names of what is kept: one string of the environment has room for all of them. */
#include "tests/support/run.h"

#include <stdio.h>
#include <string.h>

#include "daemon/util/keeper.h"
#include "proto/shm/holders.h"

#define ENVIRONMENT_BYTES (128u << 10) /* of one string: MAX_ARG_STRLEN of Linux */

static struct hakd_keeper keeper;

static struct hakd_kept kept(unsigned pool, unsigned holder, enum hakd_kept_kind kind)
{
	return (struct hakd_kept){kind, pool, holder, UINT32_MAX, -1};
}

/* As many clients as it takes, of that pool; how many. */
static unsigned fill(unsigned pool)
{
	unsigned n = 0;

	hakd_keeper_init_none(&keeper);
	for (; n < HAK_HOLDER_COUNT && hakd_keeper_has_room(&keeper); n++) {
		const struct hakd_kept a = kept(pool, n, HAKD_KEPT_CLIENT),
				       b = kept(pool, n, HAKD_KEPT_LEASE);

		hakd_keeper_store_kept(&keeper, &a);
		hakd_keeper_store_kept(&keeper, &b);
	}
	return n;
}

static void test_all_clients_of_the_first_pool_have_room(void **state)
{
	(void)state;
	assert_int_equal(fill(0), HAK_HOLDER_COUNT);
	assert_true(hakd_keeper_has_room(&keeper));
}

/* With the longest names that there are. */
static void test_of_others_not_more_than_there_is_room_for(void **state)
{
	size_t pools = HAKD_POOLS_MAX * (sizeof("registry.3f:heap.3f") + 1) + sizeof("socket");

	(void)state;
	assert_true(fill(HAKD_POOLS_MAX - 1) > 3000);
	assert_false(hakd_keeper_has_room(&keeper));
	assert_true(keeper.names_bytes + pools + sizeof("LISTEN_FDNAMES=") < ENVIRONMENT_BYTES);
}

static void test_who_leaves_makes_room(void **state)
{
	const struct hakd_kept gone = kept(1, 0, HAKD_KEPT_CLIENT);

	(void)state;
	fill(1);
	for (unsigned i = 0; i < 40; i++) {
		struct hakd_kept k = gone;

		k.holder = i;
		hakd_keeper_forget_kept(&keeper, &k);
	}
	assert_true(hakd_keeper_has_room(&keeper));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_all_clients_of_the_first_pool_have_room),
	cmocka_unit_test(test_of_others_not_more_than_there_is_room_for),
	cmocka_unit_test(test_who_leaves_makes_room),
};

HAKT_MAIN(tests, NULL, NULL)
