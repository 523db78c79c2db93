/* SPDX-License-Identifier: MIT */
#include "daemon/net/events.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/util/log.h"
#include "proto/wire/socket_path.h"

static const enum hakd_log_level levels[HAK_EVENT_COUNT] = {
#define X(NAME, name, level, text) HAKD_LOG_##level,
	HAK_EVENTS(X)
#undef X
};

static void path_of(const struct hakd_realm *realm, char path[HAK_SHOWN_PATH_MAX])
{
	hak_shown_path(realm->daemon->config.socket, "events", realm->pool->name, path);
}

void hakd_events_begin(struct hakd_realm *realm)
{
	static struct hak_events before; /* the loop's thread only */
	struct hakd_shown_file *file = &realm->events;
	char path[HAK_SHOWN_PATH_MAX];
	ssize_t n;
	int r;

	path_of(realm, path);
	n = hakd_shown_file_read(path, &before, sizeof(before));
	if (n < 0 || !hak_events_are_known(&before, (size_t)n, realm->pool->name)) {
		memset(&before, 0, sizeof(before));
		hak_events_init(&before, realm->pool->name);
	}
	realm->n_events = hak_events_last(&before);
	r = hakd_shown_file_make(file, path, sizeof(before));
	if (r == 0) {
		memcpy(file->bytes, &before, sizeof(before));
		r = hakd_shown_file_name(path);
	}
	if (r == 0)
		return;
	hakd_log(HAKD_LOG_WARN, "no list of events of pool %s: %s: %s", realm->pool->name, path,
		 strerror(-r));
	hakd_shown_file_close(file);
}

static bool is_nobodys(const void *context, const char *path, const char *pool)
{
	static struct hak_events events; /* the loop's thread only */
	ssize_t n = hakd_shown_file_read(path, &events, sizeof(events));

	return n > 0 && hak_events_are_known(&events, (size_t)n, pool) &&
	       !hakd_daemon_find(context, pool);
}

void hakd_events_tidy(const struct hakd_daemon *daemon)
{
	char begin[HAK_SHOWN_PATH_MAX];

	hak_shown_path(daemon->config.socket, "events", "", begin);
	hakd_shown_files_tidy(begin, is_nobodys, daemon);
}

void hakd_events_let_read(struct hakd_realm *realm)
{
	/* What can't be said who may read it figures.c tells. */
	if (realm->events.bytes)
		(void)hakd_shown_file_let_read(&realm->events, realm->config.owner,
					       realm->config.group, realm->config.mode);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void hakd_event(struct hakd_realm *realm, enum hak_event_kind kind,
		const struct hakd_client *client, uint64_t a, uint64_t b)
{
	struct hak_event event = {.number = realm->n_events + 1,
				  .at = now_ms(),
				  .kind = (uint16_t)kind,
				  .pid = (int32_t)getpid(),
				  .a = a,
				  .b = b};
	char text[256];

	if (client) {
		const struct hak_holder *holder = &realm->pool->holders[client->holder];

		event.holder = (uint16_t)client->holder;
		event.pid = holder->pid;
		memcpy(event.name, holder->name, sizeof(event.name));
	}
	hak_event_text(&event, text, sizeof(text));
	hakd_log(levels[kind], "pool %s: %s", realm->pool->name, text);
	if (!realm->events.bytes)
		return;
	hak_events_write(realm->events.bytes, &event);
	realm->n_events++;
}

void hakd_event_seldom(struct hakd_realm *realm, enum hak_event_kind kind,
		       const struct hakd_client *client, uint64_t n)
{
	if ((n & (n - 1)) == 0)
		hakd_event(realm, kind, client, n, 0);
}

void hakd_events_end(struct hakd_realm *realm)
{
	char path[HAK_SHOWN_PATH_MAX];

	if (!realm->events.bytes)
		return;
	path_of(realm, path);
	hakd_shown_file_remove(&realm->events, path);
	hakd_shown_file_close(&realm->events);
}
