/* SPDX-License-Identifier: MIT */
/*
 * dump-config: what the daemon says of its settings, as a file that says the same. Which settings
 * there are, and in which order, is the daemon's to say.
 */
#include "client_lib/ctl/config.h"

#include <stdio.h>
#include <string.h>

#include "client_lib/ctl/json.h"

#define POOL "pool " /* that a pool's section begins with */

static void settings_json(struct hakc_json *json, const Hak__Section *section)
{
	for (size_t i = 0; i < section->n_settings; i++)
		hakc_json_string(json, section->settings[i]->name, section->settings[i]->value);
	hakc_json_end_object(json);
}

static bool is_pool(const Hak__Section *section)
{
	return strncmp(section->name, POOL, strlen(POOL)) == 0;
}

static void config_json(const Hak__Config *config)
{
	struct hakc_json json;

	hakc_json_begin_answer(&json, stdout);
	for (size_t i = 0; i < config->n_sections; i++) {
		if (is_pool(config->sections[i]))
			continue;
		hakc_json_begin_object(&json, config->sections[i]->name);
		settings_json(&json, config->sections[i]);
	}
	hakc_json_begin_array(&json, "pools");
	for (size_t i = 0; i < config->n_sections; i++) {
		if (!is_pool(config->sections[i]))
			continue;
		hakc_json_begin_object(&json, NULL);
		hakc_json_string(&json, "name", config->sections[i]->name + strlen(POOL));
		settings_json(&json, config->sections[i]);
	}
	hakc_json_end_array(&json);
	hakc_json_end_object(&json);
}

/* A path can be as long as it likes, and have any character in it but those that end a line. */
static void print_line(const Hak__Setting *setting)
{
	printf("%s = ", setting->name);
	for (const char *c = setting->value; *c; c++)
		putchar((unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c);
	putchar('\n');
}

int hakc_verb_dump_config(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	Hak__Reply *reply;
	int r = hakc_query_config(query, &reply);

	(void)ret_degraded;
	if (r != 0)
		return r;
	if (as_json)
		config_json(reply->config);
	for (size_t i = 0; !as_json && i < reply->config->n_sections; i++) {
		const Hak__Section *section = reply->config->sections[i];

		printf("%s[%s]\n", i > 0 ? "\n" : "", section->name);
		for (size_t k = 0; k < section->n_settings; k++)
			print_line(section->settings[k]);
	}
	hak__reply__free_unpacked(reply, NULL);
	return 0;
}
