/* SPDX-License-Identifier: MIT */
/*
 * The kernel tells, by one file or both (memory_files.h); what is warm goes then, and clients are
 * asked for what they keep without need. Not more than once a second: while memory is short the
 * kernel goes on telling.
 */
#include "daemon/net/shortage.h"

#include "daemon/net/events.h"
#include "daemon/net/pressure.h"
#include "daemon/net/upkeep.h"
#include "daemon/util/log.h"

#define AGAIN_MS UINT64_C(1000)

static void relieve(struct hakd_daemon *daemon, const char *path)
{
	struct hakd_shortage *shortage = &daemon->shortage;
	uint64_t now = uv_now(&daemon->loop);

	if (daemon->counters.pressure_events > 0 && now - shortage->at < AGAIN_MS)
		return;
	shortage->at = now;
	daemon->counters.pressure_events++;
	hakd_log(HAKD_LOG_INFO, "memory is short, says %s: what is warm goes, clients are asked",
		 path);
	for (unsigned i = 0; i < HAKD_POOLS_MAX; i++) {
		if (!daemon->realms[i])
			continue;
		hakd_event(daemon->realms[i], HAK_EVENT_SHORT, NULL, 0, 0);
		hakd_upkeep_shrink(daemon->realms[i]);
		hakd_pressure_ask(daemon->realms[i]);
	}
}

static void on_stalls(uv_poll_t *handle, int status, int events)
{
	struct hakd_daemon *daemon = handle->data;

	(void)events;
	if (status < 0) /* it is stopped by then */
		hakd_log(HAKD_LOG_WARN, "%s: %s", daemon->shortage.files.stalls,
			 uv_strerror(status));
	else
		relieve(daemon, daemon->shortage.files.stalls);
}

static void on_events(uv_fs_event_t *handle, const char *name, int events, int status)
{
	struct hakd_daemon *daemon = handle->data;

	(void)name;
	(void)events;
	if (status == 0 && hakd_memory_files_have_risen(&daemon->shortage.files))
		relieve(daemon, daemon->shortage.files.events);
}

/* False: not even that file is one that tells. */
static bool watch_stalls(struct hakd_daemon *daemon)
{
	struct hakd_shortage *shortage = &daemon->shortage;
	int r;

	if (shortage->files.stalls_fd < 0)
		return false;
	shortage->stalls.data = daemon;
	r = uv_poll_init(&daemon->loop, &shortage->stalls, shortage->files.stalls_fd);
	if (r == 0)
		r = uv_poll_start(&shortage->stalls, UV_PRIORITIZED, on_stalls);
	if (r < 0)
		hakd_log(HAKD_LOG_INFO, "%s: %s", shortage->files.stalls, uv_strerror(r));
	return r == 0;
}

static bool watch_events(struct hakd_daemon *daemon)
{
	struct hakd_shortage *shortage = &daemon->shortage;
	int r;

	if (shortage->files.events_fd < 0)
		return false;
	shortage->events.data = daemon;
	uv_fs_event_init(&daemon->loop, &shortage->events);
	r = uv_fs_event_start(&shortage->events, on_events, shortage->files.events, 0);
	if (r < 0)
		hakd_log(HAKD_LOG_INFO, "%s: %s", shortage->files.events, uv_strerror(r));
	return r == 0;
}

void hakd_shortage_init(struct hakd_daemon *daemon)
{
	struct hakd_memory_files *files = &daemon->shortage.files;
	bool has_stalls, has_events;

	hakd_memory_files_open(files, "");
	has_stalls = watch_stalls(daemon);
	has_events = watch_events(daemon);
	if (has_stalls || has_events)
		hakd_log(HAKD_LOG_INFO, "that memory is short is told by %s%s%s",
			 has_stalls ? files->stalls : "", has_stalls && has_events ? ", " : "",
			 has_events ? files->events : "");
	else
		hakd_log(HAKD_LOG_INFO, "nothing tells when memory is short (%s)", files->why_not);
}
