/* SPDX-License-Identifier: MIT */
/*
 * soak MINUTES [--clients N] [--kills-per-second R] [--daemon-kills-per-minute R] [--seed S]: clients
 * pass blocks on and are killed all the time, and so is the daemon. The driver, this process, is
 * no client: it starts a daemon, whose keeper it is, and the clients, kills and replaces them, and
 * twice a minute lets everybody free everything, so that a leak is found near its cause. Last line:
 *   kills=N daemon_kills=N takes=N stale=N leaked=N anomalies=N corrupt=N
 * exit code 0 where the last three are 0 and there were takes.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/stress/soak/audit.h"
#include "tests/stress/soak/dump.h"
#include "tests/stress/soak/worker.h"
#include "tests/support/keeper.h"
#include "tests/support/now.h"
#include "tests/support/process.h"
#include "tests/support/random.h"
#include "tests/support/slowness.h"

/* Starting a client takes a sanitizer longer. */
#ifdef HAKT_IS_SANITIZED
#define RATE	    5
#define DAEMON_RATE 6
#else
#define RATE	    40
#define DAEMON_RATE 60
#endif
#define SECOND	    UINT64_C(1000000000)
#define ROUND_NS    (30 * SECOND)
#define PATIENCE_NS (120 * SECOND) /* by then something hangs */
#define EMPTY_NS    (20 * SECOND)  /* for what the daemon does behind a death */

struct soak_driver {
	struct soak_table *table;
	struct hakt_keeper keeper;
	const char *options[9];
	pid_t auditor;
	pid_t pids[SOAK_CLIENTS_MAX];	  /* -1: it has ended */
	bool is_killed[SOAK_CLIENTS_MAX]; /* and its end is waited for */
	uint64_t random;
	double rate;				/* of ends, a second */
	double daemon_rate;			/* a minute */
	double next_strike, next_daemon_strike; /* ns */
	uint64_t begin, end, next_line;
	uint64_t n_kills, n_daemon_kills, n_ends, n_rounds, leaked, anomalies;
	uint64_t stopped_until[SOAK_CLIENTS_MAX]; /* 0: it runs */
	bool is_terminal;
};

static void start_client(struct soak_driver *d, unsigned i)
{
	pid_t pid;

	hak_add_relaxed(&d->table->clients[i].life, 1); /* relaxed: the fork comes behind it */
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		soak_client_run(d->table, i);
	d->pids[i] = pid;
	if (pid < 0)
		soak_say(d->table, SOAK_NOBODY, SOAK_E_REFUSED, "fork: %s", strerror(errno));
}

/* How it ended, if it has: it must be by our signal or, told to, with 0. */
static bool has_ended(struct soak_driver *d, unsigned i, bool was_told, bool wait)
{
	int status;
	pid_t pid = waitpid(d->pids[i], &status, wait ? 0 : WNOHANG);

	if (pid == 0)
		return false;
	d->pids[i] = -1;
	if (pid > 0 && (was_told ? WIFEXITED(status) && WEXITSTATUS(status) == 0
				 : WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		return true;
	if (pid < 0 || !WIFEXITED(status)) /* one that exits has said why */
		soak_say(d->table, SOAK_NOBODY, SOAK_E_CORRUPT, "client %u ended by signal %d", i,
			 pid < 0 ? 0 : WTERMSIG(status));
	else if (soak_table_errors(d->table) == 0)
		soak_say(d->table, SOAK_NOBODY, SOAK_E_CORRUPT, "client %u ended with %d", i,
			 WEXITSTATUS(status));
	return true;
}

/* Nobody ends without us. */
static void look_after_all(struct soak_driver *d)
{
	int status;

	for (unsigned i = 0; i < d->table->n_clients; i++)
		if (!d->is_killed[i] && d->pids[i] > 0 && has_ended(d, i, false, false))
			soak_say(d->table, SOAK_NOBODY, SOAK_E_CORRUPT, "client %u has gone", i);
	if (waitpid(d->keeper.daemon.pid, &status, WNOHANG) != 0)
		soak_say(d->table, SOAK_NOBODY, SOAK_E_CORRUPT, "the daemon has gone");
	if (waitpid(d->auditor, &status, WNOHANG) != 0)
		soak_say(d->table, SOAK_NOBODY, SOAK_E_REFUSED, "the auditor has gone");
}

static void go_on(struct soak_driver *d, unsigned i)
{
	if (d->stopped_until[i] && d->pids[i] > 0)
		kill(d->pids[i], SIGCONT);
	d->stopped_until[i] = 0;
}

/* Waits until a client that was told to has ended. */
static void wait_ended(struct soak_driver *d, unsigned i)
{
	uint64_t end = hakt_now_ns() + PATIENCE_NS;

	while (!has_ended(d, i, true, false)) {
		hakt_keeper_take(&d->keeper); /* a daemon that has just begun waits for that */
		usleep(500);
		if (hakt_now_ns() < end)
			continue;
		soak_say(d->table, SOAK_NOBODY, SOAK_E_HANG, "client %u does not end", i);
		return;
	}
}

static void start_next(struct soak_driver *d, unsigned i)
{
	d->n_ends++;
	d->stopped_until[i] = 0;
	soak_table_bury(d->table, i);
	if (soak_table_errors(d->table) == 0)
		start_client(d, i);
}

/* Buries and replaces those that have been killed; all: waits for it. */
static void collect_killed(struct soak_driver *d, bool all)
{
	for (unsigned i = 0; i < d->table->n_clients; i++) {
		if (!d->is_killed[i] || !has_ended(d, i, false, all))
			continue;
		d->is_killed[i] = false;
		start_next(d, i);
	}
}

/* May the client end now? */
static bool may_end(struct soak_driver *d, unsigned i)
{
	/* No process: it has ended by itself, which is an error. */
	return !d->is_killed[i] && d->pids[i] > 0 && soak_table_begin_end(d->table, i);
}

static void kill_client(struct soak_driver *d, unsigned i)
{
	if (!may_end(d, i))
		return;
	kill(d->pids[i], SIGKILL);
	d->is_killed[i] = true;
	d->n_kills++;
}

static void tell_to_end(struct soak_driver *d, unsigned i, enum soak_order order)
{
	if (!may_end(d, i))
		return;
	go_on(d, i);
	hak_store_release(&d->table->clients[i].order, order);
	wait_ended(d, i);
	start_next(d, i);
}

/* Until the next strike of so many a second. */
static double pause_ns(struct soak_driver *d, double rate)
{
	return -log((double)(hakt_random(&d->random) % 1000000 + 1) / 1e6) / rate * 1e9;
}

/* One random end, or several at once; sometimes a client is stopped for a while before. */
static void strike(struct soak_driver *d)
{
	unsigned n = d->table->n_clients;
	unsigned i = (unsigned)(hakt_random(&d->random) % n);
	uint64_t kind = hakt_random(&d->random) % 100;

	if (kind < 4) {
		tell_to_end(d, i, kind < 2 ? SOAK_DETACH : SOAK_EXIT);
	} else if (kind < 7 && d->pids[i] > 0 && !d->is_killed[i]) {
		kill(d->pids[i], SIGSTOP);
		d->stopped_until[i] = hakt_now_ns() + hakt_random(&d->random) % (SECOND / 5) + 1;
	} else if (kind < 8) {
		for (unsigned k = 0; k < n / 2; k++)
			kill_client(d, (i + k) % n);
	} else {
		kill_client(d, i);
	}
}

/* Killed as often as that on average; what is not yet the keeper's waits in its socket. */
static void strike_daemon(struct soak_driver *d)
{
	hakt_keeper_take(&d->keeper);
	if (d->daemon_rate <= 0 || (double)hakt_now_ns() < d->next_daemon_strike)
		return;
	d->next_daemon_strike = (double)hakt_now_ns() + pause_ns(d, d->daemon_rate / 60);
	hakt_keeper_kill(&d->keeper);
	hakt_keeper_fork(&d->keeper, NULL, NULL); /* who connects meanwhile waits */
	d->n_daemon_kills++;
}

static void show(struct soak_driver *d)
{
	const struct soak_seen *seen = &d->table->seen; /* relaxed: for people */
	uint64_t now = hakt_now_ns();

	if (now < d->next_line)
		return;
	d->next_line = now + (d->is_terminal ? SECOND : 10 * SECOND);
	printf("%s%5llu s  kills %llu  of the daemon %llu  takes %llu  stale %llu  live %llu  "
	       "SuperSlabs %llu  orphans "
	       "%llu  checks %llu%s",
	       d->is_terminal ? "\r" : "", (unsigned long long)((now - d->begin) / SECOND),
	       (unsigned long long)d->n_kills, (unsigned long long)d->n_daemon_kills,
	       (unsigned long long)soak_table_count(d->table, SOAK_TAKEN),
	       (unsigned long long)soak_table_count(d->table, SOAK_STALE),
	       (unsigned long long)hak_load_relaxed(&seen->live_blocks),
	       (unsigned long long)hak_load_relaxed(&seen->superslabs),
	       (unsigned long long)hak_load_relaxed(&seen->orphans),
	       (unsigned long long)hak_load_relaxed(&seen->n_checks), d->is_terminal ? "" : "\n");
	fflush(stdout);
}

static bool is_wrong(struct soak_driver *d)
{
	return soak_table_errors(d->table) > 0 || d->leaked > 0 || d->anomalies > 0 ||
	       hak_load_relaxed(&d->table->seen.anomalies) > 0; /* relaxed: it is looked at again */
}

static void work(struct soak_driver *d, uint64_t until)
{
	for (uint64_t now; (now = hakt_now_ns()) < until && !is_wrong(d);) {
		for (unsigned i = 0; i < d->table->n_clients; i++)
			if (d->stopped_until[i] && now > d->stopped_until[i])
				go_on(d, i);
		if (d->rate > 0 && (double)now >= d->next_strike) {
			strike(d);
			d->next_strike = (double)now + pause_ns(d, d->rate);
		}
		strike_daemon(d);
		collect_killed(d, false);
		look_after_all(d);
		show(d);
		usleep(500);
	}
	collect_killed(d, true);
	for (unsigned i = 0; i < d->table->n_clients; i++)
		go_on(d, i);
}

/* Waits until all threads have finished the phase. */
static void wait_phase(struct soak_driver *d)
{
	uint64_t phase = hak_load_acquire(&d->table->phase), end = hakt_now_ns() + PATIENCE_NS;

	for (unsigned i = 0; i < d->table->n_clients; i++)
		for (unsigned t = 0; t < soak_n_threads(i);) {
			unsigned thread = i * SOAK_THREADS_MAX + t;

			if (is_wrong(d))
				return;
			if (hak_load_acquire(&d->table->threads[thread].done) == phase) {
				t++;
				continue;
			}
			strike_daemon(d);
			look_after_all(d);
			usleep(1000);
			if (hakt_now_ns() > end)
				soak_say(d->table, thread, SOAK_E_HANG, "phase %llu",
					 (unsigned long long)phase % SOAK_PHASES);
		}
}

static void next_phase(struct soak_driver *d)
{
	/* Only we write it. [release] so that who sees it sees all that we did for the dead. */
	hak_store_release(&d->table->phase, hak_load_relaxed(&d->table->phase) + 1);
}

/* Waits until the daemon has nothing any more that nobody has. */
static struct soak_state wait_empty(struct soak_driver *d, bool is_final)
{
	uint64_t end = hakt_now_ns() + EMPTY_NS;
	struct soak_state state;

	hakt_keeper_wait_ready(&d->keeper);
	for (;;) {
		state = soak_audit_ask(d->keeper.daemon.socket);
		if (state.is_known && state.live_blocks == 0 && state.nobodys == 0 &&
		    state.orphans == 0 &&
		    (!is_final || (state.clients == 0 && state.superslabs == 0)))
			break;
		if (hakt_now_ns() > end)
			break;
		usleep(100000);
	}
	return state;
}

static void count_leaks(struct soak_driver *d, const struct soak_state *state, bool is_final)
{
	uint64_t blocks = state->live_blocks + state->nobodys;
	uint64_t superslabs = state->orphans + (is_final ? state->superslabs : 0);

	d->anomalies += state->anomalies;
	if (!state->is_known)
		soak_say(d->table, SOAK_NOBODY, SOAK_E_REFUSED, "the daemon does not answer");
	if (state->refused)
		soak_say(d->table, SOAK_NOBODY, SOAK_E_REFUSED, "%llu frees or peers were refused",
			 (unsigned long long)state->refused);
	if (blocks || superslabs)
		fprintf(stderr,
			"soak: leak: seed %llu: %llu blocks live, of which nobody's %llu, %llu "
			"SuperSlabs, %llu orphans, though everybody has freed everything\n",
			(unsigned long long)d->table->seed, (unsigned long long)state->live_blocks,
			(unsigned long long)state->nobodys, (unsigned long long)state->superslabs,
			(unsigned long long)state->orphans);
	d->leaked += blocks ? blocks : superslabs;
	if (blocks) {
		pid_t pid;

		fflush(NULL);
		pid = fork();
		if (pid == 0)
			soak_dump_all();
		waitpid(pid, NULL, 0);
	}
}

/* Everybody frees everything; nothing may be left. */
static void settle(struct soak_driver *d)
{
	struct soak_state state;

	for (unsigned i = 0; i < SOAK_PHASES - 1; i++) {
		next_phase(d);
		wait_phase(d);
		/*
		 * Who can't know whether a block of its own was freed leaves, and takes it along;
		 * not earlier: it has flushed what it has freed of others.
		 */
		for (unsigned k = 0; i > 0 && k < d->table->n_clients && !is_wrong(d); k++)
			if (hak_load_acquire(&d->table->clients[k].n_unknown))
				tell_to_end(d, k, SOAK_DETACH);
	}
	wait_phase(d);
	if (is_wrong(d))
		return;
	state = wait_empty(d, false);
	count_leaks(d, &state, false);
	d->n_rounds++;
	if (hakt_now_ns() < d->end)
		next_phase(d);
}

/* All leave, and the pool must be empty. */
static void finish(struct soak_driver *d)
{
	struct soak_state state;

	kill(d->auditor, SIGKILL);
	waitpid(d->auditor, NULL, 0);
	d->anomalies += hak_load_relaxed(&d->table->seen.anomalies); /* relaxed: it is dead */
	if (is_wrong(d)) /* what is left of it is nobody's fault */
		return;
	for (unsigned i = 0; i < d->table->n_clients; i++)
		hak_store_release(&d->table->clients[i].order, SOAK_DETACH);
	for (unsigned i = 0; i < d->table->n_clients; i++)
		wait_ended(d, i);
	state = wait_empty(d, true);
	count_leaks(d, &state, true);
	if (!is_wrong(d))
		hakt_keeper_deinit(&d->keeper);
}

static void start(struct soak_driver *d, const char *limit)
{
	const char *const options[] = {"--limit",	   limit,	  "--capacity",
				       SOAK_CAPACITY_TEXT, "--log-level", "warn",
				       "--profile",	   "64K",	  NULL};

	memcpy(d->options, options, sizeof(options)); /* for each daemon */
	hakt_keeper_init(&d->keeper, d->options);
	hakt_keeper_listen(&d->keeper);
	hakt_keeper_start(&d->keeper);
	fflush(NULL);
	d->auditor = fork();
	if (d->auditor == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		soak_audit_run(d->table, d->keeper.daemon.socket);
	}
	for (unsigned i = 0; i < d->table->n_clients; i++)
		start_client(d, i);
}

static int report(struct soak_driver *d)
{
	const struct soak_table *t = d->table;
	uint64_t corrupt = soak_table_errors(t), takes = soak_table_count(t, SOAK_TAKEN);
	static const struct {
		const char *name;
		enum soak_count count;
	} counts[] = {
		{"steps", SOAK_STEPS},
		{"given", SOAK_GIVEN},
		{"revoked", SOAK_REVOKED},
		{"lost with the taker", SOAK_LOST},
		{"claimed late", SOAK_LATE},
		{"replayed", SOAK_REPLAYED},
		{"lent", SOAK_LENT_OUT},
		{"freed by the borrower", SOAK_LENT_FREED},
		{"of these got back", SOAK_UNFREED},
		{"published", SOAK_PUBLISHED},
		{"withdrawn", SOAK_WITHDRAWN},
		{"out of memory", SOAK_NO_MEMORY},
	};

	printf("%s%llu ends, %llu rounds, %llu checks", d->is_terminal ? "\n" : "",
	       (unsigned long long)d->n_ends, (unsigned long long)d->n_rounds,
	       (unsigned long long)hak_load_relaxed(&t->seen.n_checks)); /* relaxed: shown */
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		printf(", %s %llu", counts[i].name,
		       (unsigned long long)soak_table_count(t, counts[i].count));
	printf("\nkills=%llu daemon_kills=%llu takes=%llu stale=%llu leaked=%llu anomalies=%llu "
	       "corrupt=%llu\n",
	       (unsigned long long)d->n_kills, (unsigned long long)d->n_daemon_kills,
	       (unsigned long long)takes, (unsigned long long)soak_table_count(t, SOAK_STALE),
	       (unsigned long long)d->leaked, (unsigned long long)d->anomalies,
	       (unsigned long long)corrupt);
	fflush(stdout);
	return d->leaked || d->anomalies || corrupt || takes == 0;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: soak MINUTES [--clients 2..%u] [--kills-per-second R] "
		"[--daemon-kills-per-minute R] [--seed S] [--limit SIZE]\n",
		SOAK_CLIENTS_MAX);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"clients", required_argument, NULL, 'c'},
		{"kills-per-second", required_argument, NULL, 'k'},
		{"seed", required_argument, NULL, 's'},
		{"limit", required_argument, NULL, 'l'},
		{"daemon-kills-per-minute", required_argument, NULL, 'd'},
		{0}};
	static struct soak_driver d = {.rate = RATE, .daemon_rate = DAEMON_RATE};
	const char *limit = "1G";
	unsigned n_clients = 12;
	uint64_t seed = 0;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'c')
			n_clients = (unsigned)atoi(optarg);
		else if (option == 'k')
			d.rate = atof(optarg);
		else if (option == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (option == 'l')
			limit = optarg;
		else if (option == 'd')
			d.daemon_rate = atof(optarg);
		else
			return usage();
	}
	if (optind != argc - 1 || atof(argv[optind]) <= 0 || n_clients < 2 ||
	    n_clients > SOAK_CLIENTS_MAX)
		return usage();
	seed = seed ? seed : hakt_random_seed();
	d.table = soak_table_new(seed, n_clients);
	if (!d.table)
		return usage();
	printf("seed %llu\n", (unsigned long long)seed);
	d.random = seed;
	d.is_terminal = isatty(STDOUT_FILENO);
	d.begin = hakt_now_ns();
	d.end = d.begin + (uint64_t)(atof(argv[optind]) * 60e9);
	start(&d, limit);
	d.next_daemon_strike = (double)hakt_now_ns() + 1e9;
	do {
		uint64_t until = hakt_now_ns() + ROUND_NS;

		work(&d, until < d.end ? until : d.end);
		if (!is_wrong(&d))
			settle(&d);
	} while (hakt_now_ns() < d.end && !is_wrong(&d));
	finish(&d);
	return report(&d);
}
