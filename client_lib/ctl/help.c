/* SPDX-License-Identifier: MIT */
/* What the tables of verbs, options and exit codes say of themselves. */
#include "client_lib/ctl/help.h"

#include <stdio.h>
#include <string.h>

#include "client_lib/ctl/exit_code.h"
#include "client_lib/ctl/option.h"
#include "client_lib/ctl/verb.h"

enum {
	MANY = 2 /* verbs that an option is for: it is told once, with them */,
	LEFT = 20 /* columns of an option */
};

/* Its lines begin below each other. */
static void print_option(const struct hakc_option *option)
{
	char left[64], letter[8] = "";

	if (option->letter)
		snprintf(letter, sizeof(letter), ", -%c", option->letter);
	snprintf(left, sizeof(left), "--%s%s%s%s", option->name, letter,
		 option->argument ? " " : "", option->argument ? option->argument : "");
	if (strlen(left) > LEFT)
		printf("  %s\n%*s", left, LEFT + 3, "");
	else
		printf("  %-*s ", LEFT, left);
	for (const char *c = option->help; *c; c++)
		if (*c == '\n')
			printf("\n%*s", LEFT + 3, "");
		else
			putchar(*c);
	putchar('\n');
}

static unsigned count_verbs(const struct hakc_option *option)
{
	unsigned n = 0;

	for (const struct hakc_verb *verb = hakc_verbs; verb->name; verb++)
		n += hakc_option_is_for(option, verb);
	return n;
}

static void print_verb(const struct hakc_verb *verb)
{
	printf("usage: hakmemctl [OPTION...] %s%s%s\n%s\n\noptions:\n", verb->name,
	       *verb->argument ? " " : "", verb->argument, verb->description);
	for (const struct hakc_option *option = hakc_options; option->name; option++)
		if (option->verbs && hakc_option_is_for(option, verb))
			print_option(option);
	for (const struct hakc_option *option = hakc_options; option->name; option++)
		if (!option->verbs && hakc_option_is_for(option, verb))
			print_option(option);
}

/* Those of a few verbs only. */
static void print_own_options(const struct hakc_verb *verb)
{
	bool has_title = false;

	for (const struct hakc_option *option = hakc_options; option->name; option++) {
		if (!option->verbs || !hakc_option_is_for(option, verb) ||
		    count_verbs(option) >= MANY)
			continue;
		if (!has_title)
			printf("\noptions of %s:\n", verb->name);
		has_title = true;
		print_option(option);
	}
}

static void print_shared_option(const struct hakc_option *option)
{
	int column = printf("\noption of");

	for (const struct hakc_verb *verb = hakc_verbs; verb->name; verb++) {
		if (!hakc_option_is_for(option, verb))
			continue;
		if (column + (int)strlen(verb->name) > 76)
			column = printf("\n ") - 1;
		column += printf(" %s", verb->name);
	}
	printf(":\n");
	print_option(option);
}

static void print_exit_codes(void)
{
	static const struct {
		int code;
		const char *text;
	} codes[] = {
#define X(NAME, code, text) {code, text},
		HAKC_EXIT_CODES(X)
#undef X
	};
	size_t n = sizeof(codes) / sizeof(codes[0]);

	printf("\nexit codes: ");
	for (size_t i = 0; i < n; i++)
		printf("%s%d %s%s\n", i ? "            " : "", codes[i].code, codes[i].text,
		       i + 1 < n ? ";" : "");
}

static void print_all(void)
{
	printf("usage: hakmemctl [OPTION...] VERB\n"
	       "Asks hakmemd, the daemon of the shared heap.\n\nverbs:\n");
	for (const struct hakc_verb *verb = hakc_verbs; verb->name; verb++)
		printf("  %-16s %s\n", verb->name, verb->description);
	printf("\noptions of all:\n");
	for (const struct hakc_option *option = hakc_options; option->name; option++)
		if (!option->verbs)
			print_option(option);
	for (const struct hakc_option *option = hakc_options; option->name; option++)
		if (option->verbs && count_verbs(option) >= MANY)
			print_shared_option(option);
	for (const struct hakc_verb *verb = hakc_verbs; verb->name; verb++)
		print_own_options(verb);
	printf("\nSIZE is a number of bytes, or one with K, M, G or T behind it.\n");
	print_exit_codes();
}

void hakc_help_print(int n, char **words)
{
	const struct hakc_verb *verb;

	if (hakc_verb_find(n, words, &verb) > 0)
		print_verb(verb);
	else
		print_all();
}
