/* SPDX-License-Identifier: MIT */
#include "client_lib/ctl/orders.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "client_lib/ctl/json.h"
#include "client_lib/ctl/text.h"
#include "client_lib/ctl/verb.h"

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int hakc_verb_ping(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	uint64_t start = now_us(), us;
	struct hakc_json json;
	int r = hakc_query_ping(query);

	(void)ret_degraded;
	us = now_us() - start;
	if (r != 0)
		return r;
	if (!as_json) {
		printf("the daemon at %s answers, in %" PRIu64 " us\n", query->path, us);
		return 0;
	}
	hakc_json_begin_answer(&json, stdout);
	hakc_json_unsigned(&json, "answered_in_us", us);
	hakc_json_end_object(&json);
	return 0;
}

/* What has been done, as a sentence or as a member. */
static int report(int r, bool as_json, const char *sentence, const char *name, const char *value)
{
	char text[HAKC_TEXT_BYTES];
	struct hakc_json json;

	if (r != 0)
		return r;
	if (!as_json) {
		printf(sentence, hakc_safe_text(value, text));
		return 0;
	}
	hakc_json_begin_answer(&json, stdout);
	hakc_json_string(&json, name, value);
	hakc_json_end_object(&json);
	return 0;
}

int hakc_verb_reload(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	(void)ret_degraded;
	return report(hakc_query_reload(query), as_json, "the configuration is %s\n",
		      "configuration", "reloaded");
}

int hakc_verb_log_level(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	const char *level = query->arguments->words[0];

	(void)ret_degraded;
	return report(hakc_query_log_level(query, level), as_json,
		      "the log's level is %s, until a reload or another daemon\n", "log_level",
		      level);
}

/* By the process's own descriptor: its pid may be another's by now. 0 or a negative errno, with the reason. */
static int end_process(struct hakc_query *query, int pidfd)
{
	int r = 0;

	if (pidfd < 0 || syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) != 0)
		r = pidfd < 0 ? -EBADF : -errno;
	if (r == -ESRCH) /* it has ended by itself */
		r = 0;
	if (r < 0)
		snprintf(query->reason, sizeof(query->reason),
			 "nothing more is granted to it, but it can't be ended: %s", strerror(-r));
	return r;
}

int hakc_verb_kick(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	const char *text = query->arguments->words[0];
	bool kills = query->arguments->kills;
	struct hakc_json json;
	int pidfd = -1, r;
	char *end;
	long pid;

	(void)ret_degraded;
	pid = strtol(text, &end, 10);
	if (*text < '1' || *text > '9' || *end || pid > INT32_MAX) {
		snprintf(query->reason, sizeof(query->reason), "kick takes a pid, see clients");
		return -EINVAL;
	}
	r = hakc_query_kick(query, (int32_t)pid, &pidfd);
	if (r == 0 && kills)
		r = end_process(query, pidfd);
	if (pidfd >= 0)
		close(pidfd);
	if (r != 0)
		return r;
	if (!as_json) {
		printf("pid %ld: %s\n", pid,
		       kills ? "is ended"
			     : "nothing more is granted to it; what it has stays its own");
		return 0;
	}
	hakc_json_begin_answer(&json, stdout);
	hakc_json_signed(&json, "pid", pid);
	hakc_json_boolean(&json, "killed", kills);
	hakc_json_end_object(&json);
	return 0;
}
