/* SPDX-License-Identifier: MIT */
/*
 * The scripts. Each is one operation or a few, on a heap that its prepare has brought to where
 * the operation takes the path that the script is about.
 */
#include "tests/crash/victim.h"

#include <string.h>

#include "client_lib/thread.h"
#include "tests/support/process.h"

static void alloc_free(struct hakt_victim *v)
{
	(void)v;
	for (unsigned i = 0; i < 3; i++) {
		void *block = hakmem_malloc(500 + i);

		HAKT_EXPECT(block);
		memset(block, 1, 500);
		hakmem_free(block);
	}
}

const struct hakt_scenario hakt_scenarios[] = {
	{.name = "alloc-free", .script = alloc_free},
};
const unsigned hakt_n_scenarios = sizeof(hakt_scenarios) / sizeof(hakt_scenarios[0]);
