/* SPDX-License-Identifier: MIT */
/*
 * hakmemctl: options, the verb, and what a failure means to the caller. Exit
 * codes are a promise to scripts, see enum exit_code; every error line says
 * what to do next.
 */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client_lib/ctl/query.h"
#include "client_lib/ctl/style.h"
#include "client_lib/ctl/verb.h"
#include "proto/error.h"
#include "proto/wire/size.h"
#include "proto/wire/socket_path.h"

#define DEFAULT_TIMEOUT_MS 5000u
#define TIMEOUT_MS_MAX	   86400000ul
#define DEFAULT_WAIT_MS	   1000u
#define WAIT_MS_MAX	   60000ul /* the daemon waits no longer */

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_REACHABLE = 3,
	EXIT_NOT_PERMITTED = 4,
	EXIT_OTHER_VERSION = 5,
	EXIT_DEGRADED = 6, /* answered: something is wrong with the pool */
};

struct arguments {
	const char *socket;
	unsigned timeout_ms;
	unsigned wait_ms;
	bool as_json;
	const char *pool; /* of --pool */
	Hak__PoolCreate creation;
	bool drains;
	bool follows;
	unsigned watch_ms;
	unsigned n_times;
	char **words;
	unsigned n_words;
	const struct hakc_verb *verb; /* NULL: help or version was asked for, and given */
};

static void print_help(void)
{
	printf("usage: hakmemctl [OPTION...] VERB\n"
	       "Asks hakmemd, the daemon of the shared heap.\n\nverbs:\n");
	for (const struct hakc_verb *verb = hakc_verbs; verb->name; verb++)
		printf("  %-16s %s\n", verb->name, verb->description);
	printf("\noptions:\n"
	       "  --socket PATH    the daemon's socket; default: HAKMEM_SOCKET, else the user's\n"
	       "                   ($XDG_RUNTIME_DIR/hakmem/hakmemd.sock) if there is one, else\n"
	       "                   " HAK_SOCKET_SYSTEM "\n"
	       "  --json           print JSON\n"
	       "  --bytes          sizes as plain numbers of bytes\n"
	       "  --no-headers     tables without headings and what stands below them\n"
	       "  --watch SECONDS  stats: again and again, with rates; --times N: so often\n"
	       "  --pool NAME      which pool: check, leaks, map, roots, slabs, trim; default: the "
	       "first;\n"
	       "                   stats, metrics and events: default: all\n"
	       "  --follow         events: waits for more of them\n"
	       "  --svg            map: as an SVG, to be written to a file\n"
	       "  --all            map: free SuperSlabs too, and nothing folded\n"
	       "  --ascii          map: nothing but ASCII; as where the locale has no UTF-8\n"
	       "  --timeout MS     longest wait for an answer, default %u\n"
	       "  --wait MS        trim: how long clients have to give back what they keep,\n"
	       "                   default %u, 60000 at most\n"
	       "  --capacity SIZE, --limit SIZE, --superslab-lg 20|21, --keep SECONDS,\n"
	       "  --client-limit SIZE, --user-limit SIZE, --user-clients N, --hardened,\n"
	       "  --owner USER, --group GROUP, --mode MODE,\n"
	       "  --retain SIZE    pool create: as of hakmemd's configuration, where they aren't "
	       "said\n"
	       "  --drain          pool delete: although clients are attached\n"
	       "  --help           print this\n"
	       "  --version        print the version\n"
	       "\nexit codes: 0 done, 1 failed, 2 wrong usage, 3 no daemon reachable,\n"
	       "4 not permitted, 5 daemon of another version, 6 degraded: check found\n"
	       "anomalies, leaks found blocks of nobody\n",
	       DEFAULT_TIMEOUT_MS, DEFAULT_WAIT_MS);
}

static int parse_ms(const char *text, unsigned long least, unsigned long most, unsigned *ret_ms)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value < least || value > most)
		return -EINVAL;
	*ret_ms = (unsigned)value;
	return 0;
}

static int parse_seconds(const char *text, unsigned *ret_ms)
{
	char *end;
	double value = strtod(text, &end);

	if (*text < '0' || *text > '9' || *end || !(value >= 0.1 && value <= 3600))
		return -EINVAL;
	*ret_ms = (unsigned)(value * 1000);
	return 0;
}

/* Who may do what with a pool. */
static int parse_access(int option, const char *text, Hak__PoolCreate *creation)
{
	const struct passwd *user = option == 'O' ? getpwnam(text) : NULL;
	const struct group *group = option == 'G' ? getgrnam(text) : NULL;
	unsigned number = 0;

	if (option == 'M') {
		char *end;
		unsigned long mode = strtoul(text, &end, 8);

		if (*text < '0' || *text > '7' || *end || mode > 0777)
			return -EINVAL;
		creation->mode = (uint32_t)mode;
		creation->sets_mode = true;
		return 0;
	}
	if (!user && !group && parse_ms(text, 0, UINT32_MAX - 1, &number) < 0)
		return -EINVAL;
	if (option == 'O')
		creation->owner = user ? user->pw_uid : number;
	else
		creation->group = group ? group->gr_gid : number;
	creation->sets_owner |= option == 'O';
	creation->sets_group |= option == 'G';
	return 0;
}

/* What a pool is made with; what is possible the daemon says. */
static int parse_setting(int option, const char *text, Hak__PoolCreate *creation)
{
	uint64_t number;

	if (option == 'O' || option == 'G' || option == 'M')
		return parse_access(option, text, creation);
	if (hak_size_parse(text, &number) < 0)
		return -EINVAL;
	if (option == 'C')
		creation->capacity_bytes = number;
	else if (option == 'L')
		creation->limit_bytes = number;
	else if (option == 'c')
		creation->client_limit_bytes = number;
	else if (option == 'u')
		creation->user_limit_bytes = number;
	else if (option == 'n')
		creation->user_clients = number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
	else if (option == 'S')
		creation->superslab_lg = (uint32_t)number;
	else if (option == 'K')
		creation->keep_seconds = number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
	else
		creation->retain_bytes = number;
	creation->sets_keep |= option == 'K';
	creation->sets_retain |= option == 'R';
	return 0;
}

static void set_style(int option)
{
	hakc_style.has_raw_bytes |= option == 'b';
	hakc_style.no_headers |= option == 'T';
	hakc_style.as_svg |= option == 'g';
	hakc_style.shows_all |= option == 'a';
	hakc_style.is_ascii |= option == 'A';
}

static int usage_error(const char *what, const char *which)
{
	fprintf(stderr, "hakmemctl: %s%s; hakmemctl --help lists verbs and options\n", what, which);
	return -EINVAL;
}

/* The verb, of one word or two, and the name that it takes; 0 or -EINVAL, which has been reported. */
static int parse_verb(int n, char **words, struct arguments *arguments)
{
	char two[64];
	int used = 1;

	if (n == 0)
		return usage_error("a verb is missing", "");
	arguments->verb = hakc_verb_lookup(words[0]);
	if (!arguments->verb && n > 1) {
		snprintf(two, sizeof(two), "%s %s", words[0], words[1]);
		arguments->verb = hakc_verb_lookup(two);
		used = 2;
	}
	if (!arguments->verb)
		return usage_error("no such verb: ", words[0]);
	if (arguments->verb->takes == HAKC_TAKES_WORDS) {
		arguments->words = words + used;
		arguments->n_words = (unsigned)(n - used);
		used = n;
	} else if (arguments->verb->takes == HAKC_TAKES_NAME) {
		if (used == n)
			return usage_error("the name of a pool is missing", "");
		arguments->creation.name = words[used++];
	}
	if (used < n)
		return usage_error("one verb only, not also ", words[used]);
	return 0;
}

/* 0 or -EINVAL, which has been reported. */
static int parse(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"timeout", required_argument, NULL, 't'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{"bytes", no_argument, NULL, 'b'},
		{"no-headers", no_argument, NULL, 'T'},
		{"svg", no_argument, NULL, 'g'},
		{"all", no_argument, NULL, 'a'},
		{"ascii", no_argument, NULL, 'A'},
		{"wait", required_argument, NULL, 'w'},
		{"pool", required_argument, NULL, 'p'},
		{"watch", required_argument, NULL, 'W'},
		{"follow", no_argument, NULL, 'f'},
		{"times", required_argument, NULL, 'N'},
		{"drain", no_argument, NULL, 'd'},
		{"capacity", required_argument, NULL, 'C'},
		{"limit", required_argument, NULL, 'L'},
		{"superslab-lg", required_argument, NULL, 'S'},
		{"keep", required_argument, NULL, 'K'},
		{"retain", required_argument, NULL, 'R'},
		{"owner", required_argument, NULL, 'O'},
		{"client-limit", required_argument, NULL, 'c'},
		{"user-limit", required_argument, NULL, 'u'},
		{"user-clients", required_argument, NULL, 'n'},
		{"group", required_argument, NULL, 'G'},
		{"mode", required_argument, NULL, 'M'},
		{"hardened", no_argument, NULL, 'H'},
		{NULL, 0, NULL, 0},
	};
	int option;

	*arguments = (struct arguments){.timeout_ms = DEFAULT_TIMEOUT_MS,
					.wait_ms = DEFAULT_WAIT_MS,
					.creation = HAK__POOL_CREATE__INIT};
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			arguments->socket = optarg;
			break;
		case 'j':
			arguments->as_json = true;
			break;
		case 't':
			if (parse_ms(optarg, 1, TIMEOUT_MS_MAX, &arguments->timeout_ms) < 0)
				return usage_error("--timeout takes 1 to 86400000 milliseconds, "
						   "not ",
						   optarg);
			break;
		case 'w':
			if (parse_ms(optarg, 0, WAIT_MS_MAX, &arguments->wait_ms) < 0)
				return usage_error("--wait takes 0 to 60000 milliseconds, not ",
						   optarg);
			break;
		case 'W':
			if (parse_seconds(optarg, &arguments->watch_ms) < 0)
				return usage_error("--watch takes 0.1 to 3600 seconds, not ",
						   optarg);
			break;
		case 'f':
			arguments->follows = true;
			break;
		case 'N':
			if (parse_ms(optarg, 1, UINT32_MAX, &arguments->n_times) < 0)
				return usage_error("--times takes a number, not ", optarg);
			break;
		case 'p':
			arguments->pool = optarg;
			break;
		case 'd':
			arguments->drains = true;
			break;
		case 'H':
			arguments->creation.hardened = true;
			break;
		case 'C':
		case 'L':
		case 'S':
		case 'K':
		case 'R':
		case 'c':
		case 'u':
		case 'n':
		case 'O':
		case 'G':
		case 'M':
			if (parse_setting(option, optarg, &arguments->creation) < 0)
				return usage_error("no size, number, user or mode of a pool: ",
						   optarg);
			break;
		case 'b':
		case 'T':
		case 'g':
		case 'a':
		case 'A':
			set_style(option);
			break;
		case 'h':
			print_help();
			return 0;
		case 'v':
			printf("hakmemctl %s\n", HAKMEM_VERSION);
			return 0;
		default: /* getopt_long has said what is wrong */
			return usage_error("wrong option", "");
		}
	}
	return parse_verb(argc - optind, argv + optind, arguments);
}

/* Says what went wrong and what to do about it; r as hakc_query_* return it. */
static enum exit_code report(int r, const char *path, const char *reason)
{
	int number = r > 0 ? hak_error_errno((unsigned)r) : -r;

	if (r == -EINVAL) {
		usage_error(reason, "");
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
	struct arguments arguments;
	struct hakc_query query;
	bool is_degraded = false;
	enum exit_code written;
	int r;

	if (parse(argc, argv, &arguments) < 0)
		return EXIT_USAGE;
	if (!arguments.verb)
		return (int)flush_output();
	if (hak_socket_path(arguments.socket, false, path) < 0) {
		usage_error("the socket's path is longer than 107 bytes", "");
		return EXIT_USAGE;
	}
	r = hakc_query_init(&query, path, arguments.pool, arguments.timeout_ms);
	query.wait_ms = arguments.wait_ms;
	query.pool = arguments.creation;
	query.drains = arguments.drains;
	query.follows = arguments.follows;
	query.watch_ms = arguments.watch_ms;
	query.n_times = arguments.n_times;
	query.words = arguments.words;
	query.n_words = arguments.n_words;
	if (r == 0 || arguments.verb->runs_without)
		r = arguments.verb->run(&query, arguments.as_json, &is_degraded);
	hakc_query_deinit(&query);
	if (r != 0)
		return (int)report(r, path, query.reason);
	written = flush_output();
	return (int)(written == EXIT_DONE && is_degraded ? EXIT_DEGRADED : written);
}
