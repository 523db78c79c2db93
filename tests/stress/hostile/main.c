/* SPDX-License-Identifier: MIT */
/*
 * hostile --minutes N [--seed S] [--hostile N] [--honest N] [--restart SECONDS] [--reset SECONDS]: a real daemon,
 * clients that work, clients that do all the harm they can (scribble.c, talk.c), and tools that ask it
 * everything, all the time. Of the clients that work some are killed now and then; the daemon is killed
 * every so many seconds (7; 0: never) and the next one takes over the pools, as they are; and the pool that
 * is attacked is reset (5; 0: never), with all of these in it. Last line:
 *   minutes=N scribbles=N packets=N deaths=N daemon_deaths=N hangs=N
 * deaths: of clients of both kinds. daemon_deaths: of daemons that nobody was told to kill; a start that
 * fails too. hangs: tools that crashed or had no answer in time, and a daemon that didn't stop.
 * 0 if the last two are 0, and there was work, resets too, and no client could do what it must not
 * be able to, which is said on stderr.
 *
 * In a pool that is attacked honest clients may see anything. `pools` below lists what there is: a line each
 * says "pool NAME: calls=N errors=N", and errors must be 0. In the end an audit of the others must find nothing.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/stress/hostile/hostile.h"
#include "tests/support/keeper.h"
#include "tests/support/now.h"
#include "tests/support/process.h"
#include "tests/support/random.h"
#include "tests/support/slowness.h"

#define CLIENTS_MAX 16u
#define TOOLS	    2u
#define PATIENCE_MS (UINT64_C(60000) * HAKT_SLOWNESS)

static const struct {
	const char *name;
	bool is_attacked;
} pools[] = {{"default", true}, {"quiet", false}, {"small", false}};

#define CONFIG                                                      \
	"[pool default]\ncapacity = 512M\nlimit = 128M\nkeep = 1\n" \
	"[pool quiet]\ncapacity = 512M\nlimit = 256M\nkeep = 1\n"   \
	"[pool small]\ncapacity = 512M\nlimit = 256M\nkeep = 1\n"   \
	"superslab_lg = 20\nclient_limit = 200M\n"

/* A process that is started again when it has ended. */
struct worker {
	pid_t pid; /* 0: none */
	uint64_t since;
	const char *verb; /* of a tool */
};

struct driver {
	struct hostile_table *table;
	struct hakt_keeper keeper;
	uint64_t seed, now, end, next_kill, next_restart, next_reset;
	uint64_t restart_ms, reset_ms;
	unsigned n_hostile, n_honest;
	struct worker hostile[CLIENTS_MAX], honest[CLIENTS_MAX], tools[TOOLS];
	uint64_t deaths, daemon_deaths, hangs, answers, restarts, resets, slowest_ms;
};

/* A child: what it says is of no interest, nor are the cores that it leaves. */
static pid_t start_child(struct driver *d, struct worker *worker)
{
	const struct rlimit none = {0, 0};
	pid_t parent = getpid();

	fflush(NULL);
	worker->since = d->now;
	worker->pid = fork();
	assert_true(worker->pid >= 0);
	if (worker->pid == 0) {
		hakt_process_die_with(parent);
		setrlimit(RLIMIT_CORE, &none);
	}
	return worker->pid;
}

static void start_hostile(struct driver *d, unsigned i)
{
	uint64_t seed = hakt_random(&d->seed);

	if (start_child(d, &d->hostile[i]) == 0)
		_exit(hostile_live(d->table, d->keeper.daemon.socket, seed));
}

static void start_honest(struct driver *d, unsigned i)
{
	struct hostile_pool *pool = &d->table->pools[i % d->table->n_pools];
	uint64_t seed = hakt_random(&d->seed);

	if (start_child(d, &d->honest[i]) != 0)
		return;
	if (pool->is_attacked) /* what it reports of its pool would fill the screen */
		assert_non_null(freopen("/dev/null", "w", stderr));
	_exit(hostile_work_honestly(d->table, pool, seed));
}

static void start_tool(struct driver *d, unsigned i)
{
	static const char *const verbs[] = {"status", "stats", "clients", "check", "leaks",
					    "roots",  "trim",  "map",	  "slabs", "dump-config"};
	uint64_t r = hakt_random(&d->seed);
	const char *arguments[8] = {"hakmemctl", "--timeout"};
	char timeout[32];
	unsigned n = 2;

	d->tools[i].verb = verbs[r % (sizeof(verbs) / sizeof(verbs[0]))];
	if (d->reset_ms > 0 && d->now >= d->next_reset) {
		d->next_reset = d->now + d->reset_ms;
		d->tools[i].verb = "pool";
	}
	snprintf(timeout, sizeof(timeout), "%llu", (unsigned long long)PATIENCE_MS);
	if (start_child(d, &d->tools[i]) != 0)
		return;
	if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
		_exit(126);
	arguments[n++] = timeout;
	arguments[n++] = d->tools[i].verb;
	if (strcmp(d->tools[i].verb, "trim") == 0)
		arguments[n++] = "--wait=20";
	else if (strcmp(d->tools[i].verb, "map") == 0)
		arguments[n++] = r >> 33 & 1 ? "--svg" : "--all";
	if (strcmp(d->tools[i].verb, "pool") == 0) {
		arguments[n++] = "reset";
		arguments[n++] = pools[0].name;
	}
	if (r >> 32 & 1)
		arguments[n++] = "--json";
	execv(HAKT_HAKMEMCTL, (char *const *)(uintptr_t)arguments);
	_exit(127);
}

/* Has it ended? */
static bool has_ended(struct worker *worker, int *ret_status)
{
	if (worker->pid <= 0 || waitpid(worker->pid, ret_status, WNOHANG) == 0)
		return false;
	worker->pid = 0;
	return true;
}

static void look_after_clients(struct driver *d)
{
	int status;

	for (unsigned i = 0; i < d->n_hostile; i++)
		if (has_ended(&d->hostile[i], &status)) {
			d->deaths++;
			start_hostile(d, i);
		}
	for (unsigned i = 0; i < d->n_honest; i++)
		if (has_ended(&d->honest[i], &status)) {
			d->deaths++;
			start_honest(d, i);
		}
	if (d->now < d->next_kill || d->n_honest == 0)
		return;
	d->next_kill = d->now + 100 + hakt_random(&d->seed) % 1000;
	kill(d->honest[hakt_random(&d->seed) % d->n_honest].pid, SIGKILL);
}

/* Any exit code is an answer: a daemon that is being started again is none yet. */
static void look_after_tools(struct driver *d)
{
	int status;

	for (unsigned i = 0; i < TOOLS; i++) {
		struct worker *tool = &d->tools[i];

		if (has_ended(tool, &status)) {
			bool is_late = d->now - tool->since >= PATIENCE_MS;

			d->answers++;
			d->resets += status == 0 && strcmp(tool->verb, "pool") == 0;
			if (d->now - tool->since > d->slowest_ms)
				d->slowest_ms = d->now - tool->since;
			if (is_late || !WIFEXITED(status) || WEXITSTATUS(status) > 6) {
				fprintf(stderr, "hostile: hakmemctl %s: status %#x after %llu ms\n",
					tool->verb, (unsigned)status,
					(unsigned long long)(d->now - tool->since));
				d->hangs++;
			}
			start_tool(d, i);
		} else if (d->now - tool->since > 2 * PATIENCE_MS) {
			kill(tool->pid, SIGKILL);
		}
	}
}

static void show_log(const struct driver *d)
{
	char *log = hakt_keeper_log(&d->keeper);
	size_t n = strlen(log), most = 8000;

	fprintf(stderr, "%s\n", n > most ? log + n - most : log);
	free(log);
}

static void note_daemon_death(struct driver *d, int status)
{
	fprintf(stderr, "hostile: the daemon has ended, status %#x; its log ends with:\n",
		(unsigned)status);
	show_log(d);
	d->daemon_deaths++;
}

static void look_after_daemon(struct driver *d)
{
	pid_t pid = d->keeper.daemon.pid;
	int status;

	hakt_keeper_take(&d->keeper);
	if (waitpid(pid, &status, WNOHANG) == pid) {
		note_daemon_death(d, status);
		hakt_keeper_fork(&d->keeper, NULL, NULL);
	}
	if (d->restart_ms == 0 || d->now < d->next_restart)
		return;
	d->next_restart = d->now + d->restart_ms;
	hakt_keeper_kill(&d->keeper);
	hakt_keeper_fork(&d->keeper, NULL, NULL);
	d->restarts++;
}

static void end_workers(struct worker *workers, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (workers[i].pid > 0)
			kill(workers[i].pid, SIGKILL);
	for (unsigned i = 0; i < n; i++)
		if (workers[i].pid > 0)
			waitpid(workers[i].pid, NULL, 0);
}

/* Its memory is full of garbage: it has to stop all the same. */
static void stop_daemon(struct driver *d)
{
	pid_t pid = d->keeper.daemon.pid;
	int64_t end = hakt_now_ms() + PATIENCE_MS;
	int status;

	if (kill(pid, SIGINT) != 0)
		return;
	while (waitpid(pid, &status, WNOHANG) == 0) {
		hakt_keeper_take(&d->keeper);
		usleep(1000);
		if (hakt_now_ms() < end)
			continue;
		fprintf(stderr, "hostile: the daemon does not stop; its log ends with:\n");
		show_log(d);
		d->hangs++;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		note_daemon_death(d, status);
}

/* Its clients have been killed; nobody harmed it. */
static void audit(struct driver *d, struct hostile_pool *pool)
{
	struct worker tool;
	int status;

	if (start_child(d, &tool) == 0) {
		execl(HAKT_HAKMEMCTL, "hakmemctl", "--timeout", "60000", "--pool", pool->name,
		      "check", NULL);
		_exit(127);
	}
	while (!has_ended(&tool, &status)) {
		look_after_daemon(d);
		usleep(1000);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		hak_add_relaxed(&pool->errors, 1);
}

static void run(struct driver *d, uint64_t ms)
{
	d->now = (uint64_t)hakt_now_ms();
	d->end = d->now + ms;
	d->next_restart = d->now + d->restart_ms;
	d->next_reset = d->now + d->reset_ms;
	for (unsigned i = 0; i < d->n_hostile; i++)
		start_hostile(d, i);
	for (unsigned i = 0; i < d->n_honest; i++)
		start_honest(d, i);
	for (unsigned i = 0; i < TOOLS; i++)
		start_tool(d, i);
	while (d->now < d->end && d->daemon_deaths < 10) {
		look_after_clients(d);
		look_after_tools(d);
		look_after_daemon(d);
		usleep(1000);
		d->now = (uint64_t)hakt_now_ms();
	}
	/* What has been asked is answered before all ends. */
	for (d->end = d->now + 2 * PATIENCE_MS; d->now < d->end; d->now = (uint64_t)hakt_now_ms()) {
		unsigned n = 0;

		for (unsigned i = 0; i < TOOLS; i++)
			n += d->tools[i].pid > 0 && waitpid(d->tools[i].pid, NULL, WNOHANG) == 0;
		if (n == 0)
			break;
		look_after_daemon(d);
		usleep(1000);
	}
	d->hangs += d->now >= d->end;
	end_workers(d->hostile, d->n_hostile);
	end_workers(d->honest, d->n_honest);
	for (unsigned i = 0; i < d->table->n_pools; i++)
		if (!pools[i].is_attacked)
			audit(d, &d->table->pools[i]);
	stop_daemon(d);
}

/* The verdict. */
static int judge(const struct driver *d, double minutes)
{
	const struct hostile_table *table = d->table;
	uint64_t scribbles = hak_load_relaxed(&table->scribbles);
	uint64_t packets = hak_load_relaxed(&table->packets);
	uint64_t wrong = d->daemon_deaths + d->hangs + hak_load_relaxed(&table->breaches);

	for (unsigned i = 0; i < table->n_pools; i++) {
		const struct hostile_pool *pool = &table->pools[i];
		uint64_t errors = hak_load_relaxed(&pool->errors);

		printf("pool %s%s: calls=%llu errors=%llu\n", pool->name,
		       pool->is_attacked ? ", attacked" : "",
		       (unsigned long long)hak_load_relaxed(&pool->calls),
		       (unsigned long long)errors);
		wrong += errors;
	}
	printf("answers=%llu slowest=%llu ms restarts=%llu resets=%llu\n",
	       (unsigned long long)d->answers, (unsigned long long)d->slowest_ms,
	       (unsigned long long)d->restarts, (unsigned long long)d->resets);
	wrong += d->reset_ms > 0 && d->resets == 0;
	printf("minutes=%g scribbles=%llu packets=%llu deaths=%llu daemon_deaths=%llu hangs=%llu\n",
	       minutes, (unsigned long long)scribbles, (unsigned long long)packets,
	       (unsigned long long)d->deaths, (unsigned long long)d->daemon_deaths,
	       (unsigned long long)d->hangs);
	return wrong == 0 && scribbles > 0 && packets > 0 && d->deaths > 0 && d->answers > 0 ? 0
											     : 1;
}

static struct hostile_table *make_table(void)
{
	struct hostile_table *table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE,
					   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(table != MAP_FAILED);
	for (; table->n_pools < sizeof(pools) / sizeof(pools[0]); table->n_pools++) {
		struct hostile_pool *pool = &table->pools[table->n_pools];

		snprintf(pool->name, sizeof(pool->name), "%s", pools[table->n_pools].name);
		pool->is_attacked = pools[table->n_pools].is_attacked;
	}
	return table;
}

int main(int argc, char **argv)
{
	static char config[HAKT_DIRECTORY_BYTES + 8];
	static const char *const options[] = {"--config", config, "--log-level", "error", NULL};
	static const struct option known[] = {
		{"minutes", required_argument, NULL, 'm'},
		{"seed", required_argument, NULL, 's'},
		{"hostile", required_argument, NULL, 'x'},
		{"honest", required_argument, NULL, 'h'},
		{"restart", required_argument, NULL, 'r'},
		{"reset", required_argument, NULL, 'e'},
		{0},
	};
	static struct driver d = {
		.n_hostile = 3, .n_honest = 6, .restart_ms = 7000, .reset_ms = 5000};
	double minutes = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 'm')
			minutes = strtod(optarg, NULL);
		else if (c == 's')
			setenv("HAKT_SEED", optarg, 1);
		else if (c == 'x')
			d.n_hostile = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'h')
			d.n_honest = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'r')
			d.restart_ms = (uint64_t)(strtod(optarg, NULL) * 1000);
		else if (c == 'e')
			d.reset_ms = (uint64_t)(strtod(optarg, NULL) * 1000);
		else
			return 2;
	}
	if (minutes <= 0 || d.n_hostile > CLIENTS_MAX || d.n_honest > CLIENTS_MAX)
		return fprintf(stderr, "hostile: --minutes, and up to %u clients of a kind\n",
			       CLIENTS_MAX),
		       2;
	d.seed = hakt_random_seed();
	d.table = make_table();
	d.keeper.has_log = true;
	hakt_keeper_init(&d.keeper, options);
	hakt_directory_write(d.keeper.daemon.directory, "conf", CONFIG, sizeof(CONFIG) - 1);
	snprintf(config, sizeof(config), "%s/conf", d.keeper.daemon.directory);
	hakt_keeper_listen(&d.keeper);
	hakt_keeper_start(&d.keeper);
	setenv("HAKMEM_TIMEOUT_MS", "5000", 1);
	run(&d, (uint64_t)(minutes * 60000));
	return judge(&d, minutes);
}
