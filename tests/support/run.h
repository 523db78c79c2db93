/* SPDX-License-Identifier: MIT */
#ifndef HAKT_RUN_H
#define HAKT_RUN_H

/*
 * What every cmocka test includes first, in the order that cmocka wants, and
 * its main: HAKT_MAIN(group, setup, teardown) runs the cases of `group`, or
 * with an argument those whose name matches it (wildcards * and ?). ctest runs
 * each case by itself, so a case must not need another one before it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define HAKT_MAIN(group, setup, teardown)                                            \
	int main(int argc, char **argv)                                              \
	{                                                                            \
		if (argc > 1)                                                        \
			cmocka_set_test_filter(argv[1]);                             \
		return cmocka_run_group_tests_name(argv[0], group, setup, teardown); \
	}

#endif
