/* SPDX-License-Identifier: MIT */
/* Which socket is meant: what was given, the environment, the user's, the system's. */
#include "tests/support/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/wire/socket_path.h"

static char runtime[64];  /* $XDG_RUNTIME_DIR of a case */
static char of_user[128]; /* the socket's path there */

static int prepare(void **state)
{
	(void)state;
	strcpy(runtime, "/tmp/hakmem-test-XXXXXX");
	assert_non_null(mkdtemp(runtime));
	snprintf(of_user, sizeof(of_user), "%s/hakmem", runtime);
	assert_int_equal(mkdir(of_user, 0700), 0);
	strcat(of_user, "/hakmemd.sock");
	assert_int_equal(unsetenv("HAKMEM_SOCKET"), 0);
	assert_int_equal(setenv("XDG_RUNTIME_DIR", runtime, 1), 0);
	return 0;
}

static int clean_up(void **state)
{
	(void)state;
	unlink(of_user);
	*strrchr(of_user, '/') = 0;
	assert_int_equal(rmdir(of_user), 0);
	assert_int_equal(rmdir(runtime), 0);
	return 0;
}

static void create(void)
{
	int fd = open(of_user, O_CREAT | O_WRONLY, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void expect(const char *given, bool prefer_user, const char *wanted)
{
	char path[HAK_SOCKET_PATH_MAX];

	assert_int_equal(hak_socket_path(given, prefer_user, path), 0);
	assert_string_equal(path, wanted);
}

static void test_what_is_given_comes_before_all(void **state)
{
	(void)state;
	create();
	setenv("HAKMEM_SOCKET", "/by/environment", 1);
	expect("/given", false, "/given");
	expect("/given", true, "/given");
}

static void test_the_environment_comes_before_the_users(void **state)
{
	(void)state;
	create();
	setenv("HAKMEM_SOCKET", "/by/environment", 1);
	expect(NULL, false, "/by/environment");
	expect(NULL, true, "/by/environment");
}

static void test_an_empty_variable_is_none(void **state)
{
	(void)state;
	create();
	setenv("HAKMEM_SOCKET", "", 1);
	expect(NULL, false, of_user);
	setenv("XDG_RUNTIME_DIR", "", 1);
	expect(NULL, false, HAK_SOCKET_SYSTEM);
	expect(NULL, true, HAK_SOCKET_SYSTEM);
}

static void test_the_users_is_taken_if_it_exists(void **state)
{
	(void)state;
	expect(NULL, false, HAK_SOCKET_SYSTEM);
	create();
	expect(NULL, false, of_user);
}

static void test_the_users_is_taken_without_existing_if_preferred(void **state)
{
	(void)state;
	expect(NULL, true, of_user);
}

static void test_without_anything_it_is_the_systems(void **state)
{
	(void)state;
	create();
	unsetenv("XDG_RUNTIME_DIR");
	expect(NULL, false, HAK_SOCKET_SYSTEM);
	expect(NULL, true, HAK_SOCKET_SYSTEM);
}

static void test_a_path_too_long_for_a_socket_is_ENAMETOOLONG(void **state)
{
	char path[HAK_SOCKET_PATH_MAX];
	char given[HAK_SOCKET_PATH_MAX + 1] = {0};

	(void)state;
	memset(given, 'x', HAK_SOCKET_PATH_MAX);
	assert_int_equal(hak_socket_path(given, false, path), -ENAMETOOLONG);
	setenv("HAKMEM_SOCKET", given, 1);
	assert_int_equal(hak_socket_path(NULL, false, path), -ENAMETOOLONG);
	unsetenv("HAKMEM_SOCKET");
	setenv("XDG_RUNTIME_DIR", given, 1);
	assert_int_equal(hak_socket_path(NULL, true, path), -ENAMETOOLONG);
	expect(NULL, false, HAK_SOCKET_SYSTEM); /* no such socket can exist */
}

static void test_the_longest_path_that_fits_is_taken(void **state)
{
	char given[HAK_SOCKET_PATH_MAX] = {0};

	(void)state;
	memset(given, 'x', HAK_SOCKET_PATH_MAX - 1);
	expect(given, false, given);
	setenv("HAKMEM_SOCKET", given, 1);
	expect(NULL, false, given);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_what_is_given_comes_before_all, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_the_environment_comes_before_the_users, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_an_empty_variable_is_none, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_the_users_is_taken_if_it_exists, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_the_users_is_taken_without_existing_if_preferred,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_without_anything_it_is_the_systems, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_a_path_too_long_for_a_socket_is_ENAMETOOLONG, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_the_longest_path_that_fits_is_taken, prepare,
					clean_up),
};

HAKT_MAIN(tests, NULL, NULL)
