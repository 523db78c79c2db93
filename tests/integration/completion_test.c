/* SPDX-License-Identifier: MIT */
/* What bash offers, by its own means: deploy/completion/hakmemctl is read, and its function asked. */
#include "tests/support/run.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/audit.h"
#include "tests/support/ctl.h"
#include "tests/support/process.h"

/*
 * offered WORD...: what the last one can become, sorted. verbs: those of the help. $nowhere names a
 * socket that isn't there.
 */
#define PRELUDE                                                                                   \
	"set -u; source \"$0\"; ctl=$1; nowhere=/nonexistent/d.sock; "                            \
	"offered() { COMP_WORDS=(\"$ctl\" \"$@\") COMP_CWORD=$#; COMPREPLY=(); "                  \
	"_hakmemctl \"$ctl\" \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"; "     \
	"printf '%s\\n' \"${COMPREPLY[@]}\" | sort; }; "                                          \
	"verbs() { \"$ctl\" --help | sed -n '/^verbs:/,/^$/s/^  \\([a-z -]*[a-z]\\)  .*/\\1/p'; " \
	"}; "                                                                                     \
	"options() { grep -oE '^  --[a-z-]+' | tr -d ' ' | sort -u; }; "

/* The script says that and nothing else. */
static void expect(const char *script, const char *expected)
{
	struct hakt_process bash = {0};
	char all[2048];

	snprintf(all, sizeof(all), "%s%s", PRELUDE, script);
	hakt_process_run(&bash, HAKT_LIST("/bin/bash", "--norc", "-c", all, HAKT_COMPLETION,
					  HAKT_HAKMEMCTL));
	assert_string_equal(hakt_process_output(&bash, 2), "");
	assert_string_equal(hakt_process_output(&bash, 1), expected);
	hakt_process_end(&bash);
}

static void test_bash_asks_for_hakmemctl(void **state)
{
	(void)state;
	expect("complete -p hakmemctl", "complete -F _hakmemctl hakmemctl\n");
}

static void test_every_verb_is_offered(void **state)
{
	(void)state;
	expect("diff <(offered '') <(verbs | cut -d' ' -f1 | sort -u); verbs | wc -l | grep -c ..",
	       "1\n");
	expect("diff <(offered pool '') <(verbs | sed -n 's/^pool //p' | sort)", "");
	expect("offered st", "stats\nstatus\n");
	expect("offered --json st", "stats\nstatus\n");
	expect("offered --pool default st", "stats\nstatus\n");
	expect("offered pool d", "delete\n");
	/* A verb alone, and with a word more another one. */
	expect("diff <(offered profile '') <(verbs | sed -n 's/^profile //p' | sort)", "");
	expect("offered profile start ''; offered profile sta", "\nstart\n");
	expect("offered nonsense ''; offered status ''; offered pool create ''", "\n\n\n");
}

static void test_every_option_is_offered_to_the_verbs_that_take_it(void **state)
{
	(void)state;
	expect("while read -r verb; do diff <(offered $verb --) <(\"$ctl\" $verb --help | "
	       "options); "
	       "done < <(verbs)",
	       "");
	expect("diff <(offered --) <(\"$ctl\" --help | options)", "");
	expect("offered metrics --j; offered kick --k; offered kick 1 --k", "\n--kill\n--kill\n");
}

static void test_values_that_are_known_are_offered(void **state)
{
	(void)state;
	expect("offered log-level ''", "debug\nerror\ninfo\nwarn\n");
	expect("offered log-level info ''", "\n");
	expect("offered pool create --superslab-lg ''", "20\n21\n");
	expect("offered --timeout ''", "\n");
	expect("offered top --tab ''", "classes\nclients\nsuperslabs\n");
	expect("offered -n 3 st", "stats\nstatus\n");
	expect("offered stats kept", "kept_hits\nkept_superslabs\n");
	expect("offered stats kept_hits 'claim'", "claims\n");
	expect("offered events a", "adopted\nattached\n");
}

/* In a child: is in lab alone. */
static int be_in_lab(const void *context)
{
	struct hakmem_pool *lab;

	(void)context;
	HAKT_EXPECT(hakmem_pool_open("lab", NULL, &lab) == 0);
	hakt_child_say("is in");
	hakt_child_wait();
	return 0;
}

static void test_pools_and_pids_are_the_daemon_s(void **state)
{
	struct hakt_process child = {0};
	char expected[32];

	(void)state;
	hakmem_free(hakmem_malloc(100));
	snprintf(expected, sizeof(expected), "%d\n", (int)getpid());
	expect("\"$ctl\" pool create lab --limit 4M >/dev/null; offered --pool ''; "
	       "offered pool delete l; offered map --pool = de; offered map --pool =",
	       "default\nlab\nlab\ndefault\ndefault\nlab\n");
	hakt_process_fork(&child, be_in_lab, NULL);
	hakt_process_wait_output(&child, 1, "is in");
	expect("offered kick ''", expected); /* nobody of lab: that takes --pool */
	hakt_process_kill(&child);
	hakt_process_end(&child);
	hakt_ctl_wait_pool_of(getenv("HAKMEM_SOCKET"), "lab", "clients", 0);
	expect("offered --pool default kick ''", expected);
	expect("offered --pool lab kick ''; \"$ctl\" pool delete lab >/dev/null", "\n");
	expect("offered --socket $nowhere --pool ''; offered --socket = $nowhere kick ''", "\n\n");
}

static void test_of_files_users_and_groups_bash_knows(void **state)
{
	(void)state;
	expect("cd /; offered --socket et; offered --socket = et", "etc\netc\n");
	expect("offered pool create --owner roo; offered pool create --group roo", "root\nroot\n");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_bash_asks_for_hakmemctl),
	cmocka_unit_test(test_every_verb_is_offered),
	cmocka_unit_test(test_every_option_is_offered_to_the_verbs_that_take_it),
	cmocka_unit_test(test_values_that_are_known_are_offered),
	cmocka_unit_test(test_pools_and_pids_are_the_daemon_s),
	cmocka_unit_test(test_of_files_users_and_groups_bash_knows),
};

HAKT_MAIN(tests, hakt_audit_start, hakt_audit_stop)
