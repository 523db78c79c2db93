/* SPDX-License-Identifier: MIT */
/* Each setting is written as it is read. */
#include "tests/support/run.h"

#include <string.h>

#include "daemon/setting.h"
#include "proto/wire/size.h"

/* As it is printed; two of each. */
static const char *const values[HAKD_SETTING_COUNT][2] = {
	[HAKD_SETTING_SOCKET] = {"/run/x.sock", "a path/with spaces"},
	[HAKD_SETTING_CAPACITY] = {"2M", "1T"},
	[HAKD_SETTING_LIMIT] = {"3G", "2097153"},
	[HAKD_SETTING_SUPERSLAB_LG] = {"20", "21"},
	[HAKD_SETTING_KEEP] = {"0", "86400"},
	[HAKD_SETTING_RETAIN] = {"0", "128M"},
	[HAKD_SETTING_CLIENT_LIMIT] = {"0", "1025K"},
	[HAKD_SETTING_USER_LIMIT] = {"0", "18446744073709551615"},
	[HAKD_SETTING_USER_CLIENTS] = {"0", "4096"},
	[HAKD_SETTING_HARDENED] = {"yes", "no"},
	[HAKD_SETTING_PROFILE] = {"0", "4K"},
	[HAKD_SETTING_OWNER] = {"0", "4294967294"},
	[HAKD_SETTING_GROUP] = {"0", "4294967294"},
	[HAKD_SETTING_MODE] = {"000", "766"},
	[HAKD_SETTING_SOCKET_MODE] = {"600", "777"},
	[HAKD_SETTING_IDLE_EXIT] = {"0", "31536000"},
	[HAKD_SETTING_ADMIN_GROUP] = {"0", "22003"},
	[HAKD_SETTING_HELLO_TIMEOUT] = {"0", "3600"},
	[HAKD_SETTING_REQUESTS_PER_SECOND] = {"0", "1000000"},
	[HAKD_SETTING_LOG_LEVEL] = {"error", "debug"},
};

static void test_what_was_read_is_printed(void **state)
{
	struct hakd_config config = {.socket_mode = 0};
	char text[HAKD_SETTING_BYTES];

	(void)state;
	for (unsigned i = 0; i < 2 * HAKD_SETTING_COUNT; i++) {
		enum hakd_setting_number setting = i % HAKD_SETTING_COUNT;
		const char *value = values[setting][i / HAKD_SETTING_COUNT];

		if (!value)
			fail_msg("%s has no value here", hakd_settings[setting].name);
		assert_int_equal(hakd_setting_apply(&config, &config.pools[0], setting, value), 0);
		assert_true(hakd_setting_print(&config, &config.pools[0], setting, text));
		assert_string_equal(text, value);
	}
}

static void test_no_admin_group_is_not_printed(void **state)
{
	struct hakd_config config = {.admin_group = (gid_t)-1};
	char text[HAKD_SETTING_BYTES];

	(void)state;
	assert_false(hakd_setting_print(&config, &config.pools[0], HAKD_SETTING_ADMIN_GROUP, text));
}

static void test_sizes_are_printed_exactly(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} sizes[] = {
		{0, "0"},
		{1023, "1023"},
		{1024, "1K"},
		{UINT64_C(1025) << 10, "1025K"},
		{UINT64_C(1) << 50, "1024T"},
		{UINT64_MAX, "18446744073709551615"},
	};
	char text[HAK_SIZE_TEXT_BYTES];
	uint64_t bytes;

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		hak_size_print(sizes[i].bytes, text);
		assert_string_equal(text, sizes[i].text);
		assert_int_equal(hak_size_parse(text, &bytes), 0);
		assert_true(bytes == sizes[i].bytes);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_what_was_read_is_printed),
	cmocka_unit_test(test_no_admin_group_is_not_printed),
	cmocka_unit_test(test_sizes_are_printed_exactly),
};

HAKT_MAIN(tests, NULL, NULL)
