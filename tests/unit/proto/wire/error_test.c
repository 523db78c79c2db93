/* SPDX-License-Identifier: MIT */
/* The table of errors: each code has a text and an errno, an unknown one too. */
#include "tests/support/run.h"

#include <errno.h>
#include <string.h>

#include "proto/error.h"

static const unsigned codes[] = {
#define X(name, code, number, text) HAK_E_##name,
	HAK_ERRORS(X)
#undef X
};

enum { N = sizeof(codes) / sizeof(codes[0]) };

static void test_each_code_has_a_text_of_its_own(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N; i++) {
		const char *text = hak_error_text(codes[i]);

		assert_non_null(text);
		assert_true(strlen(text) > 0);
		assert_string_not_equal(text, hak_error_text(UINT32_MAX));
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(text, hak_error_text(codes[k]));
	}
}

static void test_each_code_but_none_has_an_errno(void **state)
{
	(void)state;
	assert_int_equal(codes[0], HAK_E_NONE);
	assert_int_equal(hak_error_errno(HAK_E_NONE), 0);
	for (unsigned i = 1; i < N; i++) {
		assert_true(hak_error_errno(codes[i]) > 0);
		assert_non_null(strerrorname_np(hak_error_errno(codes[i])));
	}
}

static void test_codes_have_the_errnos_that_callers_know(void **state)
{
	(void)state;
	assert_int_equal(hak_error_errno(HAK_E_NO_MEMORY), ENOMEM);
	assert_int_equal(hak_error_errno(HAK_E_VERSION), EPROTO);
	assert_int_equal(hak_error_errno(HAK_E_NO_POOL), ENOENT);
	assert_int_equal(hak_error_errno(HAK_E_DENIED), EACCES);
	assert_int_equal(hak_error_errno(HAK_E_STALE), ESTALE);
	assert_int_equal(hak_error_errno(HAK_E_NOT_OWNER), EPERM);
	assert_int_equal(hak_error_errno(HAK_E_EXISTS), EEXIST);
	assert_int_equal(hak_error_errno(HAK_E_NO_ROOT), ENOENT);
	assert_int_equal(hak_error_errno(HAK_E_ROOTS_FULL), ENOSPC);
	assert_int_equal(hak_error_errno(HAK_E_BAD_ARGUMENT), EINVAL);
	assert_int_equal(hak_error_errno(HAK_E_ENDED), ESTALE);
}

static void test_codes_of_the_wire_stay_what_they_are(void **state)
{
	(void)state;
	assert_int_equal(N, 21); /* a new one goes to the end */
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(codes[i], i);
	assert_int_equal(HAK_E_NO_MEMORY, 3);
	assert_int_equal(HAK_E_INTERNAL, 9);
	assert_int_equal(HAK_E_BAD_ARGUMENT, 15);
	assert_int_equal(HAK_E_ENDED, 16);
	assert_int_equal(HAK_E_POOLS_FULL, 18);
	assert_int_equal(HAK_E_QUOTA, 19);
}

static void test_an_unknown_code_is_EPROTO_and_has_a_text(void **state)
{
	static const unsigned unknown[] = {N, N + 1, 1000, INT32_MAX, UINT32_MAX};

	(void)state;
	for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		assert_int_equal(hak_error_errno(unknown[i]), EPROTO);
		assert_true(strlen(hak_error_text(unknown[i])) > 0);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_each_code_has_a_text_of_its_own),
	cmocka_unit_test(test_each_code_but_none_has_an_errno),
	cmocka_unit_test(test_codes_have_the_errnos_that_callers_know),
	cmocka_unit_test(test_codes_of_the_wire_stay_what_they_are),
	cmocka_unit_test(test_an_unknown_code_is_EPROTO_and_has_a_text),
};

HAKT_MAIN(tests, NULL, NULL)
