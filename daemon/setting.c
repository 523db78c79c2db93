/* SPDX-License-Identifier: MIT */
/* The table of settings: how each is read, and written the same way. */
#include "daemon/setting.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/util/log.h"
#include "proto/shm/sample.h"
#include "proto/wire/size.h"

const struct hakd_setting hakd_settings[HAKD_SETTING_COUNT] = {
	[HAKD_SETTING_SOCKET] = {"socket", "daemon", "socket", "a path of 1 to 107 bytes"},
	[HAKD_SETTING_CAPACITY] = {"capacity", HAKD_POOL_SECTION, "capacity",
				   "2M to 1T, a multiple of 2M"},
	[HAKD_SETTING_LIMIT] = {"limit", HAKD_POOL_SECTION, "limit", "2M to the capacity"},
	[HAKD_SETTING_SUPERSLAB_LG] = {"superslab-lg", HAKD_POOL_SECTION, "superslab_lg",
				       "20 or 21"},
	[HAKD_SETTING_KEEP] = {"keep", HAKD_POOL_SECTION, "keep", "seconds, 0 to 86400"},
	[HAKD_SETTING_RETAIN] = {"retain", HAKD_POOL_SECTION, "retain", "0 to 128M"},
	[HAKD_SETTING_CLIENT_LIMIT] = {"client-limit", HAKD_POOL_SECTION, "client_limit",
				       "a size, 0: none"},
	[HAKD_SETTING_USER_LIMIT] = {"user-limit", HAKD_POOL_SECTION, "user_limit",
				     "a size, 0: none"},
	[HAKD_SETTING_USER_CLIENTS] = {"user-clients", HAKD_POOL_SECTION, "user_clients",
				       "0 to 4096"},
	[HAKD_SETTING_HARDENED] = {"hardened", HAKD_POOL_SECTION, "hardened", "yes or no"},
	[HAKD_SETTING_PROFILE] = {"profile", HAKD_POOL_SECTION, "profile",
				  "a size of 4K or more, 0: none"},
	[HAKD_SETTING_OWNER] = {"owner", HAKD_POOL_SECTION, "owner", "a user's name or number"},
	[HAKD_SETTING_GROUP] = {"group", HAKD_POOL_SECTION, "group", "a group's name or number"},
	[HAKD_SETTING_MODE] = {"mode", HAKD_POOL_SECTION, "mode",
			       "three octal digits, of owner, group and others: 4 read, 2 "
			       "write, 1 administer"},
	[HAKD_SETTING_SOCKET_MODE] = {"socket-mode", "daemon", "socket_mode",
				      "an octal mode, 600 to 777"},
	[HAKD_SETTING_IDLE_EXIT] = {"idle-exit", "daemon", "idle_exit", "seconds, 0 to 31536000"},
	[HAKD_SETTING_ADMIN_GROUP] = {"admin-group", "daemon", "admin_group",
				      "a group's name or number"},
	[HAKD_SETTING_HELLO_TIMEOUT] = {"hello-timeout", "daemon", "hello_timeout",
					"seconds, 0 to 3600"},
	[HAKD_SETTING_REQUESTS_PER_SECOND] = {"requests-per-second", "daemon",
					      "requests_per_second", "0 to 1000000"},
	[HAKD_SETTING_LOG_LEVEL] = {"log-level", "daemon", "log_level",
				    "error, warn, info or debug"},
};

static int number(const char *text, int base, unsigned long least, unsigned long most,
		  unsigned *ret_value)
{
	char *end;
	unsigned long value = strtoul(text, &end, base);

	if (*text < '0' || *text > '9' || *end || value < least || value > most)
		return -EINVAL;
	*ret_value = (unsigned)value;
	return 0;
}

static int user(const char *text, uid_t *ret_uid)
{
	const struct passwd *entry = getpwnam(text);
	unsigned id;

	if (!entry && number(text, 10, 0, UINT32_MAX - 1, &id) < 0)
		return -EINVAL;
	*ret_uid = entry ? entry->pw_uid : id;
	return 0;
}

static int group(const char *text, gid_t *ret_gid)
{
	const struct group *entry = getgrnam(text);
	unsigned id;

	if (!entry && number(text, 10, 0, UINT32_MAX - 1, &id) < 0)
		return -EINVAL;
	*ret_gid = entry ? entry->gr_gid : id;
	return 0;
}

int hakd_setting_apply(struct hakd_config *config, struct hakd_pool_config *pool,
		       enum hakd_setting_number setting, const char *text)
{
	switch (setting) {
	case HAKD_SETTING_SOCKET:
		if (!*text || strlen(text) >= sizeof(config->socket))
			return -EINVAL;
		strcpy(config->socket, text);
		return 0;
	case HAKD_SETTING_CAPACITY:
		return hak_size_parse(text, &pool->capacity);
	case HAKD_SETTING_LIMIT:
		if (hak_size_parse(text, &pool->limit) < 0 || pool->limit < HAKD_LIMIT_MIN)
			return -EINVAL;
		return 0;
	case HAKD_SETTING_SUPERSLAB_LG:
		return number(text, 10, HAK_SUPERSLAB_LG_MIN, HAK_SUPERSLAB_LG_MAX,
			      &pool->superslab_lg);
	case HAKD_SETTING_KEEP:
		return number(text, 10, 0, HAKD_KEEP_MAX, &pool->keep);
	case HAKD_SETTING_RETAIN:
		if (hak_size_parse(text, &pool->retain) < 0 || pool->retain > HAKD_RETAIN_MAX)
			return -EINVAL;
		return 0;
	case HAKD_SETTING_CLIENT_LIMIT:
		return hak_size_parse(text, &pool->client_limit);
	case HAKD_SETTING_USER_LIMIT:
		return hak_size_parse(text, &pool->user_limit);
	case HAKD_SETTING_USER_CLIENTS:
		return number(text, 10, 0, HAK_HOLDER_COUNT, &pool->user_clients);
	case HAKD_SETTING_HARDENED:
		pool->is_hardened = strcmp(text, "yes") == 0;
		return pool->is_hardened || strcmp(text, "no") == 0 ? 0 : -EINVAL;
	case HAKD_SETTING_PROFILE:
		if (hak_size_parse(text, &pool->profile) < 0 ||
		    !hak_sample_is_interval(pool->profile))
			return -EINVAL;
		return 0;
	case HAKD_SETTING_OWNER:
		return user(text, &pool->owner);
	case HAKD_SETTING_GROUP:
		return group(text, &pool->group);
	case HAKD_SETTING_MODE:
		return number(text, 8, 0, 0777, &pool->mode);
	case HAKD_SETTING_SOCKET_MODE:
		return number(text, 8, 0600, 0777, &config->socket_mode);
	case HAKD_SETTING_IDLE_EXIT:
		return number(text, 10, 0, 31536000, &config->idle_exit);
	case HAKD_SETTING_ADMIN_GROUP:
		return group(text, &config->admin_group);
	case HAKD_SETTING_HELLO_TIMEOUT:
		return number(text, 10, 0, 3600, &config->hello_timeout);
	case HAKD_SETTING_REQUESTS_PER_SECOND:
		return number(text, 10, 0, 1000000, &config->requests_per_second);
	case HAKD_SETTING_LOG_LEVEL:
		config->log_level = hakd_log_level_of(text);
		return config->log_level < 0 ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

static bool print_size(uint64_t bytes, char text[HAKD_SETTING_BYTES])
{
	hak_size_print(bytes, text);
	return true;
}

static bool print_text(const char *value, char text[HAKD_SETTING_BYTES])
{
	snprintf(text, HAKD_SETTING_BYTES, "%s", value);
	return true;
}

static bool print_number(const char *format, unsigned value, char text[HAKD_SETTING_BYTES])
{
	snprintf(text, HAKD_SETTING_BYTES, format, value);
	return true;
}

/* Ids stay numbers: to ask for a name can take long, and may fail. */
bool hakd_setting_print(const struct hakd_config *config, const struct hakd_pool_config *pool,
			enum hakd_setting_number setting, char text[HAKD_SETTING_BYTES])
{
	switch (setting) {
	case HAKD_SETTING_SOCKET:
		return print_text(config->socket, text);
	case HAKD_SETTING_CAPACITY:
		return print_size(pool->capacity, text);
	case HAKD_SETTING_LIMIT:
		return print_size(pool->limit, text);
	case HAKD_SETTING_SUPERSLAB_LG:
		return print_number("%u", pool->superslab_lg, text);
	case HAKD_SETTING_KEEP:
		return print_number("%u", pool->keep, text);
	case HAKD_SETTING_RETAIN:
		return print_size(pool->retain, text);
	case HAKD_SETTING_CLIENT_LIMIT:
		return print_size(pool->client_limit, text);
	case HAKD_SETTING_USER_LIMIT:
		return print_size(pool->user_limit, text);
	case HAKD_SETTING_USER_CLIENTS:
		return print_number("%u", pool->user_clients, text);
	case HAKD_SETTING_HARDENED:
		return print_text(pool->is_hardened ? "yes" : "no", text);
	case HAKD_SETTING_PROFILE:
		return print_size(pool->profile, text);
	case HAKD_SETTING_OWNER:
		return print_number("%u", pool->owner, text);
	case HAKD_SETTING_GROUP:
		return print_number("%u", pool->group, text);
	case HAKD_SETTING_MODE:
		return print_number("%03o", pool->mode, text);
	case HAKD_SETTING_SOCKET_MODE:
		return print_number("%03o", config->socket_mode, text);
	case HAKD_SETTING_IDLE_EXIT:
		return print_number("%u", config->idle_exit, text);
	case HAKD_SETTING_ADMIN_GROUP:
		return config->admin_group != (gid_t)-1 &&
		       print_number("%u", config->admin_group, text);
	case HAKD_SETTING_HELLO_TIMEOUT:
		return print_number("%u", config->hello_timeout, text);
	case HAKD_SETTING_REQUESTS_PER_SECOND:
		return print_number("%u", config->requests_per_second, text);
	case HAKD_SETTING_LOG_LEVEL:
		return print_text(hakd_log_level_name((enum hakd_log_level)config->log_level),
				  text);
	default:
		return false;
	}
}
