/* SPDX-License-Identifier: MIT */
/*
 * hakmemctl: the verb, and what a failure means to the caller. Exit
 * codes are a promise to scripts, see exit_code.h; every error line says
 * what to do next.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client_lib/ctl/arguments.h"
#include "client_lib/ctl/complete.h"
#include "client_lib/ctl/exit_code.h"
#include "client_lib/ctl/query.h"
#include "client_lib/ctl/text.h"
#include "client_lib/ctl/verb.h"
#include "proto/error.h"
#include "proto/wire/socket_path.h"

/* What to do when the daemon has refused it. */
static void report_refusal(int r, const char *path, const struct hakc_query *query)
{
	const struct hakc_arguments *arguments = query->arguments;
	const char *pool = arguments->pool ? arguments->pool : arguments->creation.name;
	char text[HAKC_TEXT_BYTES];

	if (r == HAK_E_NO_POOL && pool && *pool)
		fprintf(stderr,
			"hakmemctl: there is no pool %s at %s; hakmemctl pools lists those that "
			"are\n",
			hakc_safe_text(pool, text), path);
	else
		fprintf(stderr,
			"hakmemctl: the daemon at %s refuses it: %s; hakmemctl %s --help says what "
			"it takes\n",
			path, query->reason, arguments->verb->name);
}

/* Says what went wrong and what to do about it; r as hakc_query_* return it. */
static enum hakc_exit_code report(int r, const char *path, const struct hakc_query *query)
{
	int number = r > 0 ? hak_error_errno((unsigned)r) : -r;
	const char *reason = query->reason;

	if (r == HAKC_VERB_SAID)
		return HAKC_EXIT_FAILED;
	if (r == -EINVAL) {
		hakc_arguments_wrong(reason, "");
		return HAKC_EXIT_USAGE;
	}
	if (r == HAK_E_VERSION) {
		fprintf(stderr,
			"hakmemctl: the daemon at %s is of another version (%s); use the hakmemctl "
			"of its installation\n",
			path, reason);
		return HAKC_EXIT_OTHER_VERSION;
	}
	if (r == HAK_E_DENIED) {
		fprintf(stderr,
			"hakmemctl: not permitted at %s (%s); run as root, the daemon's user, or "
			"one "
			"whom the pool's mode lets, see hakmemctl status\n",
			path, reason);
		return HAKC_EXIT_NOT_PERMITTED;
	}
	if (number == EACCES || number == EPERM) {
		fprintf(stderr,
			"hakmemctl: not permitted at %s (%s); run as the daemon's user or join its "
			"group\n",
			path, reason);
		return HAKC_EXIT_NOT_PERMITTED;
	}
	if (r == -ENOENT || r == -ECONNREFUSED) {
		fprintf(stderr,
			"hakmemctl: no daemon listens on %s (%s); start hakmemd or name its socket "
			"with --socket\n",
			path, reason);
		return HAKC_EXIT_NOT_REACHABLE;
	}
	if (r == -ENOTCONN || r == -ETIMEDOUT) {
		fprintf(stderr,
			"hakmemctl: the daemon at %s did not answer (%s); see its log, or wait "
			"longer with --timeout\n",
			path, reason);
		return HAKC_EXIT_NOT_REACHABLE;
	}
	if (r > 0)
		report_refusal(r, path, query);
	else
		fprintf(stderr, "hakmemctl: the daemon at %s can't be asked (%s); see its log\n",
			path, reason);
	return HAKC_EXIT_FAILED;
}

static enum hakc_exit_code flush_output(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return HAKC_EXIT_DONE;
	fprintf(stderr, "hakmemctl: can't write the output (%s)\n", strerror(errno));
	return HAKC_EXIT_FAILED;
}

int main(int argc, char **argv)
{
	char path[HAK_SOCKET_PATH_MAX];
	struct hakc_arguments arguments;
	struct hakc_query query;
	bool is_degraded = false;
	enum hakc_exit_code written;
	int r;

	if (argc > 2 && strcmp(argv[1], HAKC_COMPLETE) == 0) {
		hakc_complete(argc - 2, argv + 2);
		return (int)flush_output();
	}
	if (hakc_arguments_parse(&arguments, argc, argv) < 0)
		return HAKC_EXIT_USAGE;
	if (!arguments.verb)
		return (int)flush_output();
	if (hak_socket_path(arguments.socket, false, path) < 0) {
		hakc_arguments_wrong("the socket's path is longer than 107 bytes", "");
		return HAKC_EXIT_USAGE;
	}
	r = hakc_query_init(&query, path, arguments.pool, arguments.timeout_ms);
	query.arguments = &arguments;
	if (r == 0 || arguments.verb->runs_without)
		r = arguments.verb->run(&query, arguments.as_json, &is_degraded);
	hakc_query_deinit(&query);
	if (r != 0)
		return (int)report(r, path, &query);
	written = flush_output();
	return (int)(written == HAKC_EXIT_DONE && is_degraded ? HAKC_EXIT_DEGRADED : written);
}
