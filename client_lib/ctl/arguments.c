/* SPDX-License-Identifier: MIT */
/* One table of options: what getopt_long gets, what is done, and what --help says come from it. */
#include "client_lib/ctl/arguments.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client_lib/ctl/style.h"
#include "client_lib/ctl/verb.h"
#include "proto/wire/size.h"
#include "proto/wire/socket_path.h"

#define DEFAULT_TIMEOUT_MS 5000u
#define DEFAULT_WAIT_MS	   1000u

/* What an option sets, at its row's place. */
enum kind {
	HELP,
	VERSION,
	FLAG,	 /* a bool */
	SAID,	 /* nothing but the bool behind `said` */
	STYLE,	 /* a bool of hakc_style */
	TEXT,	 /* a string */
	NUMBER,	 /* an unsigned, from `least` to `most` */
	SECONDS, /* an unsigned, of milliseconds */
	SIZE,	 /* a uint64_t */
	COUNT,	 /* a uint32_t; that it is said, in the bool behind `said` */
	USER,	 /* a uint32_t, likewise */
	GROUP,
	MODE,
};

#define AT(member)	 offsetof(struct hakc_arguments, member)
#define STYLE_AT(member) offsetof(struct hakc_style, member)
#define POOL		 "pool create"

static const struct row {
	const char *name;
	enum kind kind;
	size_t place;
	size_t said; /* 0: nobody asks */
	unsigned long least, most;
	const char *argument; /* NULL: it takes none */
	const char *verbs;    /* that it is for, with a comma behind each; NULL: for all */
	const char *help;
} rows[] = {
	{.name = "socket",
	 .kind = TEXT,
	 .place = AT(socket),
	 .argument = "PATH",
	 .help = "the daemon's socket; default: HAKMEM_SOCKET, else the user's\n"
		 "($XDG_RUNTIME_DIR/hakmem/hakmemd.sock) if there is one, "
		 "else\n" HAK_SOCKET_SYSTEM},
	{.name = "timeout",
	 .kind = NUMBER,
	 .place = AT(timeout_ms),
	 .least = 1,
	 .most = 86400000,
	 .argument = "MS",
	 .help = "longest wait for an answer, default 5000"},
	{.name = "json", .kind = FLAG, .place = AT(as_json), .help = "print JSON"},
	{.name = "bytes",
	 .kind = STYLE,
	 .place = STYLE_AT(has_raw_bytes),
	 .help = "sizes as plain numbers of bytes"},
	{.name = "no-headers",
	 .kind = STYLE,
	 .place = STYLE_AT(no_headers),
	 .help = "tables without headings and what stands below them"},
	{.name = "pool",
	 .kind = TEXT,
	 .place = AT(pool),
	 .argument = "NAME",
	 .verbs = "stats,metrics,events,check,leaks,trim,roots,map,slabs,kick,",
	 .help = "which pool; default: all for stats, metrics and events, else the first"},
	{.name = "watch",
	 .kind = SECONDS,
	 .place = AT(watch_ms),
	 .argument = "SECONDS",
	 .verbs = "stats,",
	 .help = "again and again, with rates; 0.1 to 3600"},
	{.name = "times",
	 .kind = NUMBER,
	 .place = AT(n_times),
	 .least = 1,
	 .most = UINT32_MAX,
	 .argument = "N",
	 .verbs = "stats,",
	 .help = "with --watch: so often, then end"},
	{.name = "follow",
	 .kind = FLAG,
	 .place = AT(follows),
	 .verbs = "events,",
	 .help = "wait for more of them"},
	{.name = "svg",
	 .kind = STYLE,
	 .place = STYLE_AT(as_svg),
	 .verbs = "map,",
	 .help = "an SVG, to be written to a file"},
	{.name = "all",
	 .kind = STYLE,
	 .place = STYLE_AT(shows_all),
	 .verbs = "map,",
	 .help = "free SuperSlabs too, and nothing folded"},
	{.name = "ascii",
	 .kind = STYLE,
	 .place = STYLE_AT(is_ascii),
	 .verbs = "map,",
	 .help = "nothing but ASCII; as where the locale has no UTF-8"},
	{.name = "wait",
	 .kind = NUMBER,
	 .place = AT(wait_ms),
	 .most = 60000, /* the daemon waits no longer */
	 .argument = "MS",
	 .verbs = "trim,",
	 .help = "how long clients have to give back what they keep, default 1000"},
	{.name = "kill",
	 .kind = FLAG,
	 .place = AT(kills),
	 .verbs = "kick,",
	 .help = "end the process, too"},
	{.name = "drain",
	 .kind = FLAG,
	 .place = AT(drains),
	 .verbs = "pool delete,",
	 .help = "although clients are attached"},
	{.name = "capacity",
	 .kind = SIZE,
	 .place = AT(creation.capacity_bytes),
	 .argument = "SIZE",
	 .verbs = POOL ",",
	 .help = "address space of the pool (64G)"},
	{.name = "limit",
	 .kind = SIZE,
	 .place = AT(creation.limit_bytes),
	 .argument = "SIZE",
	 .verbs = POOL ",",
	 .help = "memory that it may use (half of the machine's)"},
	{.name = "superslab-lg",
	 .kind = COUNT,
	 .place = AT(creation.superslab_lg),
	 .argument = "20|21",
	 .verbs = POOL ",",
	 .help = "SuperSlabs of 1 or 2 MiB (21)"},
	{.name = "keep",
	 .kind = COUNT,
	 .place = AT(creation.keep_seconds),
	 .said = AT(creation.sets_keep),
	 .argument = "SECONDS",
	 .verbs = POOL ",",
	 .help = "that free memory is kept (10)"},
	{.name = "retain",
	 .kind = SIZE,
	 .place = AT(creation.retain_bytes),
	 .said = AT(creation.sets_retain),
	 .argument = "SIZE",
	 .verbs = POOL ",",
	 .help = "of that the daemon keeps no more (128M)"},
	{.name = "client-limit",
	 .kind = SIZE,
	 .place = AT(creation.client_limit_bytes),
	 .argument = "SIZE",
	 .verbs = POOL ",",
	 .help = "memory that a client may have (no limit)"},
	{.name = "user-limit",
	 .kind = SIZE,
	 .place = AT(creation.user_limit_bytes),
	 .argument = "SIZE",
	 .verbs = POOL ",",
	 .help = "and all clients of a user (no limit)"},
	{.name = "user-clients",
	 .kind = COUNT,
	 .place = AT(creation.user_clients),
	 .argument = "N",
	 .verbs = POOL ",",
	 .help = "clients of a user (no limit)"},
	{.name = "hardened",
	 .kind = SAID,
	 .said = AT(creation.hardened),
	 .verbs = POOL ",",
	 .help = "processes that attach find misuse of the heap at the call"},
	{.name = "owner",
	 .kind = USER,
	 .place = AT(creation.owner),
	 .said = AT(creation.sets_owner),
	 .argument = "USER",
	 .verbs = POOL ",",
	 .help = "(the daemon's)"},
	{.name = "group",
	 .kind = GROUP,
	 .place = AT(creation.group),
	 .said = AT(creation.sets_group),
	 .argument = "GROUP",
	 .verbs = POOL ",",
	 .help = "(the daemon's)"},
	{.name = "mode",
	 .kind = MODE,
	 .place = AT(creation.mode),
	 .said = AT(creation.sets_mode),
	 .argument = "MODE",
	 .verbs = POOL ",",
	 .help = "of owner, group, others: 4 read, 2 write, 1 administer (766)"},
	{.name = "help", .kind = HELP, .help = "print this; with a verb, what is about that"},
	{.name = "version", .kind = VERSION, .help = "print the version"},
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

int hakc_arguments_wrong(const char *what, const char *which)
{
	fprintf(stderr, "hakmemctl: %s%s; hakmemctl --help lists verbs and options\n", what, which);
	return -EINVAL;
}

static bool is_of(const struct row *row, const struct hakc_verb *verb)
{
	size_t n = strlen(verb->name);

	for (const char *at = row->verbs; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, verb->name, n) == 0 && at[n] == ',')
			return true;
	}
	return false;
}

/* Its lines begin below each other. */
static void print_row(const struct row *row)
{
	char left[48];

	snprintf(left, sizeof(left), "--%s%s%s", row->name, row->argument ? " " : "",
		 row->argument ? row->argument : "");
	printf("  %-20s ", left);
	for (const char *c = row->help; *c; c++)
		if (*c == '\n')
			printf("\n%23s", "");
		else
			putchar(*c);
	putchar('\n');
}

static void print_verb(const struct hakc_verb *verb)
{
	printf("usage: hakmemctl [OPTION...] %s%s%s\n%s\n\noptions:\n", verb->name,
	       *verb->argument ? " " : "", verb->argument, verb->description);
	for (unsigned i = 0; i < N_ROWS; i++)
		if (is_of(&rows[i], verb))
			print_row(&rows[i]);
	for (unsigned i = 0; i < N_ROWS; i++)
		if (!rows[i].verbs)
			print_row(&rows[i]);
}

static void print_help(void)
{
	printf("usage: hakmemctl [OPTION...] VERB\n"
	       "Asks hakmemd, the daemon of the shared heap.\n\nverbs:\n");
	for (const struct hakc_verb *verb = hakc_verbs; verb->name; verb++)
		printf("  %-16s %s\n", verb->name, verb->description);
	printf("\noptions of all:\n");
	for (unsigned i = 0; i < N_ROWS; i++)
		if (!rows[i].verbs)
			print_row(&rows[i]);
	for (const struct hakc_verb *verb = hakc_verbs; verb->name; verb++) {
		bool has_title = false;

		for (unsigned i = 0; i < N_ROWS; i++) {
			if (!is_of(&rows[i], verb) || strcmp(rows[i].name, "pool") == 0)
				continue;
			if (!has_title)
				printf("\noptions of %s:\n", verb->name);
			has_title = true;
			print_row(&rows[i]);
		}
	}
	printf("\n  --pool NAME          is for stats, metrics, events, check, leaks, trim, "
	       "roots,\n"
	       "                       map, slabs and kick\n"
	       "SIZE is a number of bytes, or one with K, M, G or T behind it.\n"
	       "\nexit codes: 0 done, 1 failed, 2 wrong usage, 3 no daemon reachable,\n"
	       "4 not permitted, 5 daemon of another version, 6 degraded: check found\n"
	       "anomalies, leaks found blocks of nobody\n");
}

static int parse_number(const char *text, int base, unsigned long least, unsigned long most,
			unsigned long *ret_value)
{
	char *end;

	errno = 0;
	*ret_value = strtoul(text, &end, base);
	if (*text < '0' || *text > '9' || *end || errno || *ret_value < least || *ret_value > most)
		return -EINVAL;
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

/* What is possible the daemon says. */
static int parse_count(const char *text, uint32_t *ret_value)
{
	uint64_t number;

	if (hak_size_parse(text, &number) < 0)
		return -EINVAL;
	*ret_value = number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
	return 0;
}

static int parse_id(enum kind kind, const char *text, uint32_t *ret_id)
{
	const struct passwd *user = kind == USER ? getpwnam(text) : NULL;
	const struct group *group = kind == GROUP ? getgrnam(text) : NULL;
	unsigned long number = 0;

	if (!user && !group && parse_number(text, 10, 0, UINT32_MAX - 1, &number) < 0)
		return -EINVAL;
	*ret_id = user ? user->pw_uid : group ? group->gr_gid : (uint32_t)number;
	return 0;
}

static int parse_mode(const char *text, uint32_t *ret_mode)
{
	unsigned long mode;

	if (parse_number(text, 8, 0, 0777, &mode) < 0)
		return -EINVAL;
	*ret_mode = (uint32_t)mode;
	return 0;
}

/* 0 or -EINVAL. */
static int set(struct hakc_arguments *arguments, const struct row *row, const char *text)
{
	void *place = (char *)arguments + row->place;
	unsigned long number;

	if (row->said)
		*(protobuf_c_boolean *)((char *)arguments + row->said) = true;
	switch (row->kind) {
	case FLAG:
		*(bool *)place = true;
		return 0;
	case SAID:
		return 0;
	case STYLE:
		*((bool *)((char *)&hakc_style + row->place)) = true;
		return 0;
	case TEXT:
		*(const char **)place = text;
		return 0;
	case NUMBER:
		if (parse_number(text, 10, row->least, row->most, &number) < 0)
			return -EINVAL;
		*(unsigned *)place = (unsigned)number;
		return 0;
	case SECONDS:
		return parse_seconds(text, place);
	case SIZE:
		return hak_size_parse(text, place);
	case COUNT:
		return parse_count(text, place);
	case USER:
	case GROUP:
		return parse_id(row->kind, text, place);
	case MODE:
		return parse_mode(text, place);
	default:
		return -EINVAL;
	}
}

static int wrong_value(const struct row *row, const char *text)
{
	char what[128];

	if (row->kind == NUMBER)
		snprintf(what, sizeof(what), "--%s takes %lu to %lu%s, not ", row->name, row->least,
			 row->most, strcmp(row->argument, "MS") == 0 ? " milliseconds" : "");
	else if (row->kind == SECONDS)
		snprintf(what, sizeof(what), "--%s takes 0.1 to 3600 seconds, not ", row->name);
	else
		snprintf(what, sizeof(what), "--%s takes %s, not ", row->name, row->argument);
	return hakc_arguments_wrong(what, text);
}

/* The verb, of one word or two; how many words that is, 0: there is none of that name. */
static int find_verb(int n, char **words, const struct hakc_verb **ret_verb)
{
	char two[64];

	*ret_verb = n > 0 ? hakc_verb_lookup(words[0]) : NULL;
	if (*ret_verb)
		return 1;
	if (n > 1) {
		snprintf(two, sizeof(two), "%s %s", words[0], words[1]);
		*ret_verb = hakc_verb_lookup(two);
	}
	return *ret_verb ? 2 : 0;
}

/* The verb and what stands behind it; 0 or -EINVAL, which has been reported. */
static int parse_verb(int n, char **words, struct hakc_arguments *arguments)
{
	int used = find_verb(n, words, &arguments->verb);

	if (n == 0)
		return hakc_arguments_wrong("a verb is missing", "");
	if (used == 0)
		return hakc_arguments_wrong("no such verb: ", words[0]);
	if (arguments->verb->takes == HAKC_TAKES_WORDS) {
		arguments->words = words + used;
		arguments->n_words = (unsigned)(n - used);
		used = n;
	} else if (arguments->verb->takes == HAKC_TAKES_ONE) {
		if (used == n)
			return hakc_arguments_wrong("it needs to be said: ",
						    arguments->verb->argument);
		arguments->creation.name = words[used];
		arguments->words = words + used++;
		arguments->n_words = 1;
	}
	if (used < n)
		return hakc_arguments_wrong("one verb only, not also ", words[used]);
	return 0;
}

/* Of a verb, if one is named. */
static void help(int n, char **words)
{
	const struct hakc_verb *verb;

	if (find_verb(n, words, &verb) > 0)
		print_verb(verb);
	else
		print_help();
}

int hakc_arguments_parse(struct hakc_arguments *arguments, int argc, char **argv)
{
	struct option options[N_ROWS + 1] = {0};
	bool wants_help = false;
	int option, at;

	for (unsigned i = 0; i < N_ROWS; i++)
		options[i] = (struct option){
			rows[i].name, rows[i].argument ? required_argument : no_argument, NULL, 0};
	*arguments = (struct hakc_arguments){.timeout_ms = DEFAULT_TIMEOUT_MS,
					     .wait_ms = DEFAULT_WAIT_MS,
					     .creation = HAK__POOL_CREATE__INIT};
	while ((option = getopt_long(argc, argv, "", options, &at)) != -1) {
		if (option != 0) /* getopt_long has said what is wrong */
			return hakc_arguments_wrong("wrong option", "");
		if (rows[at].kind == VERSION) {
			printf("hakmemctl %s\n", HAKMEM_VERSION);
			return 0;
		}
		wants_help |= rows[at].kind == HELP;
		if (rows[at].kind != HELP && set(arguments, &rows[at], optarg) < 0)
			return wrong_value(&rows[at], optarg);
	}
	if (!wants_help)
		return parse_verb(argc - optind, argv + optind, arguments);
	help(argc - optind, argv + optind);
	return 0;
}
