/* SPDX-License-Identifier: MIT */
/*
 * hakmemctl: the verb, and what a failure means to the caller. Exit
 * codes are a promise to scripts, see enum exit_code; every error line says
 * what to do next.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client_lib/ctl/arguments.h"
#include "client_lib/ctl/query.h"
#include "client_lib/ctl/style.h"
#include "client_lib/ctl/verb.h"
#include "proto/error.h"
#include "proto/wire/socket_path.h"

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_REACHABLE = 3,
	EXIT_NOT_PERMITTED = 4,
	EXIT_OTHER_VERSION = 5,
	EXIT_DEGRADED = 6, /* answered: something is wrong with the pool */
};

/* Says what went wrong and what to do about it; r as hakc_query_* return it. */
static enum exit_code report(int r, const char *path, const char *reason)
{
	int number = r > 0 ? hak_error_errno((unsigned)r) : -r;

	if (r == -EINVAL) {
		hakc_arguments_wrong(reason, "");
		return EXIT_USAGE;
	}
	if (r == HAK_E_VERSION) {
		fprintf(stderr,
			"hakmemctl: the daemon at %s is of another version (%s); use the hakmemctl "
			"of its installation\n",
			path, reason);
		return EXIT_OTHER_VERSION;
	}
	if (r == HAK_E_DENIED) {
		fprintf(stderr,
			"hakmemctl: not permitted at %s (%s); run as root, the daemon's user, or "
			"one "
			"whom the pool's mode lets, see hakmemctl status\n",
			path, reason);
		return EXIT_NOT_PERMITTED;
	}
	if (number == EACCES || number == EPERM) {
		fprintf(stderr,
			"hakmemctl: not permitted at %s (%s); run as the daemon's user or join its "
			"group\n",
			path, reason);
		return EXIT_NOT_PERMITTED;
	}
	if (r == -ENOENT || r == -ECONNREFUSED) {
		fprintf(stderr,
			"hakmemctl: no daemon listens on %s (%s); start hakmemd or name its socket "
			"with --socket\n",
			path, reason);
		return EXIT_NOT_REACHABLE;
	}
	if (r == -ENOTCONN || r == -ETIMEDOUT) {
		fprintf(stderr,
			"hakmemctl: the daemon at %s did not answer (%s); see its log, or wait "
			"longer with --timeout\n",
			path, reason);
		return EXIT_NOT_REACHABLE;
	}
	fprintf(stderr, "hakmemctl: the daemon at %s can't be asked (%s); see its log\n", path,
		reason);
	return EXIT_FAILED;
}

static enum exit_code flush_output(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_DONE;
	fprintf(stderr, "hakmemctl: can't write the output (%s)\n", strerror(errno));
	return EXIT_FAILED;
}

int main(int argc, char **argv)
{
	char path[HAK_SOCKET_PATH_MAX];
	struct hakc_arguments arguments;
	struct hakc_query query;
	bool is_degraded = false;
	enum exit_code written;
	int r;

	if (hakc_arguments_parse(&arguments, argc, argv) < 0)
		return EXIT_USAGE;
	if (!arguments.verb)
		return (int)flush_output();
	if (hak_socket_path(arguments.socket, false, path) < 0) {
		hakc_arguments_wrong("the socket's path is longer than 107 bytes", "");
		return EXIT_USAGE;
	}
	r = hakc_query_init(&query, path, arguments.pool, arguments.timeout_ms);
	query.arguments = &arguments;
	if (r == 0 || arguments.verb->runs_without)
		r = arguments.verb->run(&query, arguments.as_json, &is_degraded);
	hakc_query_deinit(&query);
	if (r != 0)
		return (int)report(r, path, query.reason);
	written = flush_output();
	return (int)(written == EXIT_DONE && is_degraded ? EXIT_DEGRADED : written);
}
