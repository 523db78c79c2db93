/* SPDX-License-Identifier: MIT */
/*
 * What the settings are, from the table that reads them. A pool's are what its realm goes by, not what
 * its section said: it may have none.
 */
#include "daemon/net/dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/net/orders.h"
#include "daemon/setting.h"
#include "proto/error.h"

struct section {
	char name[sizeof("pool ") + HAK_POOL_NAME_BYTES];
	char values[HAKD_SETTING_COUNT][HAKD_SETTING_BYTES];
	Hak__Setting settings[HAKD_SETTING_COUNT], *list[HAKD_SETTING_COUNT];
	Hak__Section message;
};

struct dump {
	Hak__Config message;
	Hak__Section *list[HAKD_POOLS_MAX + 1];
	struct section sections[HAKD_POOLS_MAX + 1];
};

/* pool: NULL for the daemon's own. */
static void add(struct dump *dump, const struct hakd_config *config,
		const struct hakd_pool_config *pool)
{
	struct section *section = &dump->sections[dump->message.n_sections];

	hak__section__init(&section->message);
	snprintf(section->name, sizeof(section->name), pool ? "pool %s" : "daemon",
		 pool ? pool->name : "");
	section->message.name = section->name;
	section->message.settings = section->list;
	for (unsigned i = 0; i < HAKD_SETTING_COUNT; i++) {
		size_t n = section->message.n_settings;
		bool is_pools = strcmp(hakd_settings[i].section, HAKD_POOL_SECTION) == 0;

		if (is_pools != (pool != NULL) ||
		    !hakd_setting_print(config, pool, (enum hakd_setting_number)i,
					section->values[n]))
			continue;
		hak__setting__init(&section->settings[n]);
		section->settings[n].name = (char *)(uintptr_t)hakd_settings[i].name;
		section->settings[n].value = section->values[n];
		section->list[n] = &section->settings[n];
		section->message.n_settings++;
	}
	dump->list[dump->message.n_sections++] = &section->message;
}

bool hakd_dump_config(struct hakd_peer *peer, uint64_t id)
{
	const struct hakd_daemon *daemon = peer->daemon;
	Hak__Reply reply = HAK__REPLY__INIT;
	struct hakd_realm *all[HAKD_POOLS_MAX];
	struct dump *dump;
	unsigned n;

	if (!hakd_orders_may(peer, id))
		return true;
	dump = calloc(1, sizeof(*dump));
	if (!dump) {
		hakd_peer_refuse(peer, id, HAK_E_INTERNAL, "no memory");
		return true;
	}
	hak__config__init(&dump->message);
	dump->message.sections = dump->list;
	add(dump, &daemon->config, NULL);
	n = hakd_daemon_list(daemon, all);
	for (unsigned i = 0; i < n; i++)
		add(dump, &daemon->config, &all[i]->config);
	reply.id = id;
	reply.body_case = HAK__REPLY__BODY_CONFIG;
	reply.config = &dump->message;
	hakd_peer_reply(peer, &reply, NULL, 0);
	free(dump);
	return true;
}
