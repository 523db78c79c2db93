/* SPDX-License-Identifier: MIT */
#ifndef HAKD_SETTING_H
#define HAKD_SETTING_H

/* One table of settings: flags, the file, and what is told of both have it from here. */

#include "daemon/config.h"
#include "daemon/mem/warm.h"

#define HAKD_POOL_SECTION "pool NAME" /* in messages too */

#define HAKD_LIMIT_MIN	(1u << 21)
#define HAKD_KEEP_MAX	86400u
#define HAKD_RETAIN_MAX ((uint64_t)HAKD_WARM_MAX << HAK_SUPERSLAB_LG_MAX) /* 128M, see the help */

enum hakd_setting_number {
	HAKD_SETTING_SOCKET,
	HAKD_SETTING_CAPACITY,
	HAKD_SETTING_LIMIT,
	HAKD_SETTING_SUPERSLAB_LG,
	HAKD_SETTING_KEEP,
	HAKD_SETTING_RETAIN,
	HAKD_SETTING_CLIENT_LIMIT,
	HAKD_SETTING_USER_LIMIT,
	HAKD_SETTING_USER_CLIENTS,
	HAKD_SETTING_HARDENED,
	HAKD_SETTING_PROFILE,
	HAKD_SETTING_OWNER,
	HAKD_SETTING_GROUP,
	HAKD_SETTING_MODE,
	HAKD_SETTING_SOCKET_MODE,
	HAKD_SETTING_IDLE_EXIT,
	HAKD_SETTING_ADMIN_GROUP,
	HAKD_SETTING_HELLO_TIMEOUT,
	HAKD_SETTING_REQUESTS_PER_SECOND,
	HAKD_SETTING_LOG_LEVEL,
	HAKD_SETTING_COUNT
};

struct hakd_setting {
	const char *flag;
	const char *section; /* "daemon", or HAKD_POOL_SECTION */
	const char *name;
	const char *allowed;
};

extern const struct hakd_setting hakd_settings[HAKD_SETTING_COUNT];

#define HAKD_SETTING_BYTES 112 /* of a value, as the file says it */

/* Sets it, of the pool if it is a pool's. 0; -EINVAL: that is not allowed. */
int hakd_setting_apply(struct hakd_config *config, struct hakd_pool_config *pool,
		       enum hakd_setting_number setting, const char *text);

/* The other way round. False: it isn't set, and nothing that a file could say means that. */
bool hakd_setting_print(const struct hakd_config *config, const struct hakd_pool_config *pool,
			enum hakd_setting_number setting, char text[HAKD_SETTING_BYTES]);

#endif
