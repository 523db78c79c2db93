/* SPDX-License-Identifier: MIT */
/* One table of options: what getopt_long gets, what is done, --help and completion come from it. */
#include "client_lib/ctl/arguments.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client_lib/ctl/guess.h"
#include "client_lib/ctl/help.h"
#include "client_lib/ctl/option.h"
#include "client_lib/ctl/style.h"
#include "client_lib/ctl/verb.h"
#include "proto/wire/size.h"
#include "proto/wire/socket_path.h"

#define DEFAULT_TIMEOUT_MS 5000u
#define DEFAULT_WAIT_MS	   1000u
#define FIRST_OPTION	   256 /* to getopt_long: none of its letters */

#define AT(member)	 offsetof(struct hakc_arguments, member)
#define STYLE_AT(member) offsetof(struct hakc_style, member)
#define POOL		 "pool create"

const struct hakc_option hakc_options[] = {
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
	{.name = "json",
	 .kind = FLAG,
	 .place = AT(as_json),
	 .not_verbs = "metrics,exporter,top,report,",
	 .help = "print JSON"},
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
	 .argument = "POOL",
	 .verbs = "stats,metrics,exporter,events,check,leaks,trim,roots,map,slabs,kick,top,report,"
		  "profile,profile start,profile stop,",
	 .help = "which pool; default: all for stats, metrics, exporter and events, else the "
		 "first"},
	{.name = "watch",
	 .kind = SECONDS,
	 .place = AT(watch_ms),
	 .argument = "SECONDS",
	 .verbs = "stats,",
	 .help = "again and again, with rates; 0.1 to 3600"},
	{.name = "times",
	 .letter = 'n',
	 .kind = NUMBER,
	 .place = AT(n_times),
	 .least = 1,
	 .most = UINT32_MAX,
	 .argument = "N",
	 .verbs = "stats,top,",
	 .help = "with --watch, or --batch: so often, then end"},
	{.name = "batch",
	 .letter = 'b',
	 .kind = FLAG,
	 .place = AT(is_batch),
	 .verbs = "top,",
	 .help = "text, without a terminal"},
	{.name = "delay",
	 .letter = 'd',
	 .kind = SECONDS,
	 .place = AT(delay_ms),
	 .argument = "SECONDS",
	 .verbs = "top,",
	 .help = "between two looks, default 1; 0.1 to 3600"},
	{.name = "tab",
	 .kind = TEXT,
	 .place = AT(tab),
	 .argument = "clients|classes|superslabs",
	 .verbs = "top,",
	 .help = "which one at first; with --batch only that one"},
	{.name = "sort",
	 .kind = TEXT,
	 .place = AT(sort),
	 .argument = "COLUMN",
	 .verbs = "top,",
	 .help = "by that column of the tab, default of clients"},
	{.name = "html",
	 .kind = FLAG,
	 .place = AT(as_html),
	 .verbs = "report,",
	 .help = "as one page that needs nothing else"},
	{.name = "output",
	 .kind = TEXT,
	 .place = AT(output),
	 .argument = "PATH",
	 .verbs = "report,",
	 .help = "a file, default stdout"},
	{.name = "for",
	 .kind = SECONDS,
	 .place = AT(for_ms),
	 .argument = "SECONDS",
	 .verbs = "report,",
	 .help = "how long it looks, default 2; 0.1 to 3600"},
	{.name = "follow",
	 .kind = FLAG,
	 .place = AT(follows),
	 .verbs = "events,",
	 .help = "wait for more of them"},
	{.name = "listen",
	 .kind = TEXT,
	 .place = AT(listen),
	 .argument = "ADDR:PORT",
	 .verbs = "exporter,",
	 .help = "where, default 127.0.0.1:9464; [::1]:9464"},
	{.name = "svg",
	 .kind = STYLE,
	 .place = STYLE_AT(as_svg),
	 .verbs = "map,",
	 .help = "an SVG, to be written to a file"},
	{.name = "all",
	 .kind = STYLE,
	 .place = STYLE_AT(shows_all),
	 .verbs = "map,profile,",
	 .help = "free SuperSlabs too, and nothing folded; all stacks, with all frames"},
	{.name = "ascii",
	 .kind = STYLE,
	 .place = STYLE_AT(is_ascii),
	 .verbs = "map,",
	 .help = "nothing but ASCII; as where the locale has no UTF-8"},
	{.name = "per-process",
	 .kind = STYLE,
	 .place = STYLE_AT(per_process),
	 .verbs = "profile,",
	 .help = "what each process allocated, not all that run the same"},
	{.name = "collapsed",
	 .kind = STYLE,
	 .place = STYLE_AT(as_collapsed),
	 .verbs = "profile,",
	 .help = "a line a stack, for flame graphs"},
	{.name = "pprof",
	 .kind = STYLE,
	 .place = STYLE_AT(as_pprof),
	 .verbs = "profile,",
	 .help = "a profile for pprof, to be written to a file"},
	{.name = "no-symbols",
	 .kind = STYLE,
	 .place = STYLE_AT(no_symbols),
	 .verbs = "profile,",
	 .help = "files and addresses, no functions: reads none of these files"},
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
	{.name = "profile",
	 .kind = SIZE,
	 .place = AT(creation.profile_bytes),
	 .argument = "SIZE",
	 .verbs = POOL ",",
	 .help = "one in so many bytes that are allocated is sampled (none)"},
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
	{.name = NULL},
};

enum { N_OPTIONS = sizeof(hakc_options) / sizeof(hakc_options[0]) - 1 };

int hakc_arguments_wrong(const char *what, const char *which)
{
	fprintf(stderr, "hakmemctl: %s%s; hakmemctl --help lists verbs and options\n", what, which);
	return -EINVAL;
}

/* Is the verb's name in a list with a comma behind each? */
static bool names(const char *list, const struct hakc_verb *verb)
{
	size_t n = strlen(verb->name);

	for (const char *at = list; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, verb->name, n) == 0 && at[n] == ',')
			return true;
	}
	return false;
}

bool hakc_option_is_for(const struct hakc_option *option, const struct hakc_verb *verb)
{
	return !names(option->not_verbs, verb) && (!option->verbs || names(option->verbs, verb));
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

static int parse_id(enum hakc_option_kind kind, const char *text, uint32_t *ret_id)
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
static int set(struct hakc_arguments *arguments, const struct hakc_option *option, const char *text)
{
	void *place = (char *)arguments + option->place;
	unsigned long number;

	if (option->said)
		*(protobuf_c_boolean *)((char *)arguments + option->said) = true;
	switch (option->kind) {
	case FLAG:
		*(bool *)place = true;
		return 0;
	case SAID:
		return 0;
	case STYLE:
		*((bool *)((char *)&hakc_style + option->place)) = true;
		return 0;
	case TEXT:
		*(const char **)place = text;
		return 0;
	case NUMBER:
		if (parse_number(text, 10, option->least, option->most, &number) < 0)
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
		return parse_id(option->kind, text, place);
	case MODE:
		return parse_mode(text, place);
	default:
		return -EINVAL;
	}
}

static int wrong_value(const struct hakc_option *option, const char *text)
{
	char what[128];

	if (option->kind == NUMBER)
		snprintf(what, sizeof(what), "--%s takes %lu to %lu%s, not ", option->name,
			 option->least, option->most,
			 strcmp(option->argument, "MS") == 0 ? " milliseconds" : "");
	else if (option->kind == SECONDS)
		snprintf(what, sizeof(what), "--%s takes 0.1 to 3600 seconds, not ", option->name);
	else
		snprintf(what, sizeof(what), "--%s takes %s, not ", option->name, option->argument);
	return hakc_arguments_wrong(what, text);
}

/* What was meant, or nothing. */
static void suggest(const struct hakc_guess *guess, const char *dashes, char *text, size_t n)
{
	*text = 0;
	if (guess->best)
		snprintf(text, n, " (did you mean %s%s?)", dashes, guess->best);
}

static int no_such_verb(int n, char **words)
{
	struct hakc_guess guess = {.distance = 0};
	char both[64], meant[64], text[128];

	snprintf(both, sizeof(both), "%s %s", words[0], n > 1 ? words[1] : "");
	for (const struct hakc_verb *verb = hakc_verbs; verb->name; verb++)
		if (n > 1 && strchr(verb->name, ' '))
			hakc_guess_try(&guess, both, verb->name);
	for (const struct hakc_verb *verb = hakc_verbs; verb->name; verb++)
		hakc_guess_try(&guess, words[0], verb->name);
	suggest(&guess, "", meant, sizeof(meant));
	snprintf(text, sizeof(text), "%.40s%s",
		 guess.best && strchr(guess.best, ' ') ? both : words[0], meant);
	return hakc_arguments_wrong("no such verb: ", text);
}

/* getopt's list of letters, each with a ':' behind it if it takes a value. */
static void list_letters(char letters[2 * N_OPTIONS + 2])
{
	*letters++ = ':'; /* what is missing is told by it */
	for (unsigned i = 0; i < N_OPTIONS; i++) {
		if (hakc_options[i].letter)
			*letters++ = hakc_options[i].letter;
		if (hakc_options[i].letter && hakc_options[i].argument)
			*letters++ = ':';
	}
	*letters = 0;
}

/* Which option it is; N_OPTIONS: none. By its number, or by its letter. */
static unsigned index_of(int answer)
{
	unsigned i = 0;

	if (answer >= FIRST_OPTION)
		return (unsigned)(answer - FIRST_OPTION);
	while (i < N_OPTIONS && (!answer || hakc_options[i].letter != answer))
		i++;
	return i;
}

/* Of getopt_long's answer, which isn't that one is there. */
static int wrong_option(int answer, const char *word)
{
	const struct hakc_option *option;
	struct hakc_guess guess = {.distance = 0};
	char meant[64], text[128];

	if (index_of(optopt) < N_OPTIONS) {
		option = &hakc_options[index_of(optopt)];
		snprintf(text, sizeof(text), "--%s %s", option->name,
			 answer == ':' ? "needs " : "takes no value");
		return hakc_arguments_wrong(text, answer == ':' ? option->argument : "");
	}
	if (optopt) { /* a letter */
		snprintf(text, sizeof(text), "-%c", optopt);
		return hakc_arguments_wrong("no such option: ", text);
	}
	for (option = hakc_options; option->name; option++)
		hakc_guess_try(&guess, word + strspn(word, "-"), option->name);
	suggest(&guess, "--", meant, sizeof(meant));
	snprintf(text, sizeof(text), "%.40s%s", word, meant);
	return hakc_arguments_wrong("no such option: ", text);
}

/* The verb and what stands behind it; 0 or -EINVAL, which has been reported. */
static int parse_verb(int n, char **words, struct hakc_arguments *arguments)
{
	int used = hakc_verb_find(n, words, &arguments->verb);

	if (n == 0)
		return hakc_arguments_wrong("a verb is missing", "");
	if (used == 0)
		return no_such_verb(n, words);
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

/* An option that says nothing to the verb was meant for another one. */
static int check_options(const bool *given, const struct hakc_verb *verb)
{
	char text[128];

	for (unsigned i = 0; i < N_OPTIONS; i++) {
		if (!given[i] || hakc_option_is_for(&hakc_options[i], verb))
			continue;
		snprintf(text, sizeof(text), "--%s is not for ", hakc_options[i].name);
		return hakc_arguments_wrong(text, verb->name);
	}
	return 0;
}

int hakc_arguments_parse(struct hakc_arguments *arguments, int argc, char **argv)
{
	struct option options[N_OPTIONS + 1] = {0};
	bool given[N_OPTIONS] = {false}, wants_help = false;
	char letters[2 * N_OPTIONS + 2];
	int answer, r;

	for (int i = 0; i < N_OPTIONS; i++)
		options[i] = (struct option){hakc_options[i].name,
					     hakc_options[i].argument ? required_argument
								      : no_argument,
					     NULL, FIRST_OPTION + i};
	*arguments = (struct hakc_arguments){.timeout_ms = DEFAULT_TIMEOUT_MS,
					     .wait_ms = DEFAULT_WAIT_MS,
					     .creation = HAK__POOL_CREATE__INIT};
	list_letters(letters);
	opterr = 0;
	while ((answer = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		const struct hakc_option *option;

		if (index_of(answer) == N_OPTIONS)
			return wrong_option(answer, argv[optind - 1]);
		option = &hakc_options[index_of(answer)];
		if (option->kind == VERSION) {
			printf("hakmemctl %s\n", HAKMEM_VERSION);
			return 0;
		}
		given[option - hakc_options] = true;
		wants_help |= option->kind == HELP;
		if (option->kind != HELP && set(arguments, option, optarg) < 0)
			return wrong_value(option, optarg);
	}
	if (wants_help) {
		hakc_help_print(argc - optind, argv + optind);
		return 0;
	}
	r = parse_verb(argc - optind, argv + optind, arguments);
	return r < 0 ? r : check_options(given, arguments->verb);
}
