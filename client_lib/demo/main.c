/* SPDX-License-Identifier: MIT */
/*
 * hakmem-demo counts the words of folders with several processes that share one
 * heap: a reader loads files, workers count, a reporter reports, and workers may
 * be killed at any moment. This process starts them and replaces the killed. At
 * the end it asks the daemon whether everything came back.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client_lib/ctl/query.h"
#include "client_lib/demo/channel.h"
#include "client_lib/demo/crew.h"
#include "proto/wire/socket_path.h"

#define TIMEOUT_MS	   5000u
#define EMPTY_WITHIN_TRIES 200 /* of 50 ms */

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_REACHABLE = 3,
};

struct arguments {
	struct hakc_task task;
	const char *socket;
	bool is_answered; /* --help or --version */
};

static const char usage[] =
	"usage: hakmem-demo [--workers N] [--kill-every MS] [--verify] [--socket PATH] "
	"[FOLDER...]\n"
	"Counts the words of the folders' files (default: /usr/share/doc and\n"
	"/usr/share/common-licenses) with processes that share one heap.\n\n"
	"  --workers N      processes that count, 1 to 256, default 4\n"
	"  --kill-every MS  kill -9 one of them, chosen at random, every 1 to 60000\n"
	"                   milliseconds, and start another one in its place; twice\n"
	"                   the pause as long as nothing is counted in between\n"
	"  --verify         count again in one process without hakmem, and compare\n"
	"  --socket PATH    the daemon's socket\n"
	"  --help           print this\n"
	"  --version        print the version\n\n"
	"exit codes: 0 done, 1 failed or not agreeing, 2 wrong usage, 3 no daemon reachable\n";

/* A whole number from 1 to most. */
static int parse_number(const char *option, const char *text, unsigned most, unsigned *ret_n)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n < 1 || n > most) {
		fprintf(stderr, "hakmem-demo: %s takes 1 to %u, not %s\n", option, most, text);
		return -EINVAL;
	}
	*ret_n = (unsigned)n;
	return 0;
}

static int parse(int argc, char **argv, struct arguments *arguments)
{
	static char doc[] = "/usr/share/doc", licenses[] = "/usr/share/common-licenses";
	static char *const default_folders[] = {doc, licenses, NULL};
	static const struct option options[] = {
		{"workers", required_argument, NULL, 'w'},
		{"kill-every", required_argument, NULL, 'k'},
		{"verify", no_argument, NULL, 'c'},
		{"socket", required_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	struct hakc_task *task = &arguments->task;
	int option;

	*arguments = (struct arguments){.task = {.n_workers = 4, .folders = default_folders}};
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'w':
			if (parse_number("--workers", optarg, HAKC_WORKERS_MAX, &task->n_workers) <
			    0)
				return -EINVAL;
			break;
		case 'k':
			if (parse_number("--kill-every", optarg, HAKC_KILL_EVERY_MOST,
					 &task->kill_every_ms) < 0)
				return -EINVAL;
			break;
		case 'c':
			task->verifies = true;
			break;
		case 's':
			arguments->socket = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			arguments->is_answered = true;
			return 0;
		case 'v':
			printf("hakmem-demo %s\n", HAKMEM_VERSION);
			arguments->is_answered = true;
			return 0;
		default:
			fputs("hakmem-demo: hakmem-demo --help lists the options\n", stderr);
			return -EINVAL;
		}
	}
	if (optind < argc)
		task->folders = argv + optind;
	return 0;
}

static bool may_spawn(void)
{
	const char *autospawn = getenv("HAKMEM_AUTOSPAWN");

	return autospawn && strcmp(autospawn, "1") == 0;
}

/* Finds the socket, for this process and the children, and asks whether the daemon is there. */
static enum exit_code find_daemon(const char *given, char path[HAK_SOCKET_PATH_MAX])
{
	struct hakc_query query;
	int r;

	if (hak_socket_path(given, may_spawn(), path) < 0) {
		fputs("hakmem-demo: the socket's path is longer than 107 bytes\n", stderr);
		return EXIT_USAGE;
	}
	if (given && setenv("HAKMEM_SOCKET", path, 1) < 0)
		return EXIT_FAILED;
	r = hakc_query_init(&query, path, NULL, TIMEOUT_MS);
	hakc_query_deinit(&query);
	if (r == 0 || (may_spawn() && (r == -ENOENT || r == -ECONNREFUSED)))
		return EXIT_DONE;
	if (r == -ENOENT || r == -ECONNREFUSED || r == -ENOTCONN || r == -ETIMEDOUT) {
		fprintf(stderr,
			"hakmem-demo: no daemon answers on %s (%s); start hakmemd or name its "
			"socket with --socket\n",
			path, query.reason);
		return EXIT_NOT_REACHABLE;
	}
	fprintf(stderr, "hakmem-demo: the daemon at %s refused (%s)\n", path, query.reason);
	return EXIT_FAILED;
}

/* What the daemon says about our pool; 0, -ENOENT or as hakc_query_*. */
static int ask_pool(const char *path, const char *pool, Hak__PoolStatus *ret_pool)
{
	struct hakc_query query;
	Hak__Reply *reply;
	int r = hakc_query_init(&query, path, NULL, TIMEOUT_MS);

	if (r == 0)
		r = hakc_query_status(&query, &reply);
	hakc_query_deinit(&query);
	if (r != 0)
		return r;
	r = -ENOENT;
	for (size_t i = 0; i < reply->status->n_pools; i++) {
		if (strcmp(reply->status->pools[i]->name, pool) == 0) {
			*ret_pool = *reply->status->pools[i];
			ret_pool->name = NULL; /* goes with the reply */
			r = 0;
		}
	}
	hak__reply__free_unpacked(reply, NULL);
	return r;
}

static int wait_until_empty(const char *path)
{
	const struct timespec pause = {.tv_nsec = 50000000};
	const char *given = getenv("HAKMEM_POOL");
	const char *name = given && *given ? given : "default";
	Hak__PoolStatus pool = HAK__POOL_STATUS__INIT;
	int r = 0;

	for (unsigned i = 0; i < EMPTY_WITHIN_TRIES; i++) {
		r = ask_pool(path, name, &pool);
		if (r != 0)
			break;
		if (pool.granted_superslabs == 0 && pool.live_blocks == 0 && pool.clients == 0) {
			printf("pool: empty\n");
			return 0;
		}
		nanosleep(&pause, NULL);
	}
	if (r != 0)
		fprintf(stderr, "hakmem-demo: can't ask the daemon at %s about pool %s\n", path,
			name);
	else
		printf("pool: %" PRIu32 " clients, %" PRIu64 " SuperSlabs, %" PRIu64
		       " blocks are left after 10 s\n",
		       pool.clients, pool.granted_superslabs, pool.live_blocks);
	return -EBUSY;
}

static enum exit_code run(const struct hakc_task *task, const char *path)
{
	uint64_t n_killed;
	int r = hakc_crew_run(task, &n_killed);

	printf("workers killed: %" PRIu64 "\n", n_killed);
	if (wait_until_empty(path) < 0 || r != 0)
		return EXIT_FAILED;
	return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_DONE : EXIT_FAILED;
}

int main(int argc, char **argv)
{
	char path[HAK_SOCKET_PATH_MAX];
	struct arguments arguments;
	enum exit_code code;

	if (parse(argc, argv, &arguments) < 0)
		return EXIT_USAGE;
	if (arguments.is_answered)
		return EXIT_DONE;
	code = find_daemon(arguments.socket, path);
	if (code == EXIT_DONE)
		code = run(&arguments.task, path);
	return (int)code;
}
