/* SPDX-License-Identifier: MIT */
/*
 * bench-flood ROUNDS MILLISECONDS: what peers that are silent, or ask all the time, cost the others.
 *
 * A process measures pairs of malloc and free, which ask nobody, and refills, which ask the daemon,
 * beside a crowd of four processes, each kind in turn, ROUNDS times:
 *
 *   calm     nobody
 *   busy     they compute: what it costs that the daemon has to share its core. The others are compared with it
 *   silent   50 connections each, that never say hello; they sleep
 *   asking   a tool each, which asks for status again and again, as fast as answers come
 *   sending  a tool each, which sends requests and reads no answers: the daemon cuts off whose answers pile up
 *   garbage  they connect, send what is no packet, are cut off, and connect again
 *
 * The crowd and the daemon share the first core, the measuring process has the second; on a machine with one all share it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/support/bench.h"
#include "bench/support/clock.h"
#include "bench/support/refill.h"
#include "client_lib/include/hakmem.h"

#define CROWD	   4u
#define SILENT	   50u /* connections each */
#define ROUNDS_MAX 101u
#define WARM_UP_US 100000

enum kind { CALM, BUSY, SILENT_ONES, ASKING, SENDING, GARBAGE, N_KINDS };
static const char *const names[N_KINDS] = {"calm",   "busy",	"silent",
					   "asking", "sending", "garbage"};

struct figures {
	double pair_ns, refill_us, refill_p99_us;
};

static struct figures all[N_KINDS][ROUNDS_MAX];

static int connect_plainly(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, getenv("HAKMEM_SOCKET"), sizeof(address.sun_path) - 1);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void be_silent(void)
{
	int fds[SILENT];

	for (unsigned i = 0; i < SILENT; i++)
		fds[i] = connect_plainly();
	for (;;) { /* those that are cut off come again */
		char byte;

		usleep(100000);
		for (unsigned i = 0; i < SILENT; i++) {
			if (fds[i] >= 0 && recv(fds[i], &byte, 1, MSG_DONTWAIT) != 0)
				continue;
			close(fds[i]);
			fds[i] = connect_plainly();
		}
	}
}

/* A tool, which has said hello; ends the process where it can't. */
static struct hakc_conn say_hello(void)
{
	struct hakc_conn conn;
	Hak__Reply *reply;

	if (hakc_conn_init(&conn, getenv("HAKMEM_SOCKET"), 60000) < 0 ||
	    hakc_conn_hello(&conn, HAK__PEER_KIND__PEER_TOOL, NULL, &reply, NULL, NULL) != 0)
		_exit(1);
	hak__reply__free_unpacked(reply, NULL);
	return conn;
}

static void ask(void)
{
	struct hakc_conn conn = say_hello();
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__StatusQuery query = HAK__STATUS_QUERY__INIT;
	Hak__Reply *reply;

	request.body_case = HAK__REQUEST__BODY_STATUS;
	request.status = &query;
	while (hakc_conn_call(&conn, &request, &reply, NULL, NULL, NULL, NULL) == 0)
		hak__reply__free_unpacked(reply, NULL);
}

static void send_only(void)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__StatsQuery query = HAK__STATS_QUERY__INIT;
	unsigned char packet[256];
	size_t n;

	request.id = 1;
	request.body_case = HAK__REQUEST__BODY_STATS;
	request.stats = &query;
	n = hak__request__pack(&request, packet);
	for (;;) {
		struct hakc_conn conn = say_hello();

		while (send(conn.fd, packet, n, MSG_NOSIGNAL) == (ssize_t)n)
			;
		hakc_conn_deinit(&conn);
	}
}

static void send_garbage(void)
{
	static const char garbage[64] = {1, 2, 3, (char)0xff};
	char byte;

	for (;;) {
		int fd = connect_plainly();

		if (fd < 0)
			continue;
		if (send(fd, garbage, sizeof(garbage), MSG_NOSIGNAL) > 0)
			(void)!recv(fd, &byte, 1, 0);
		close(fd);
	}
}

static void compute(void)
{
	for (volatile unsigned i = 0;; i++)
		;
}

static pid_t start(enum kind kind)
{
	static void (*const works[N_KINDS])(void) = {NULL, compute,   be_silent,
						     ask,  send_only, send_garbage};
	pid_t pid = fork();

	if (pid < 0)
		bench_fail("starting the crowd");
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bench_pin(0);
	works[kind]();
	_exit(1);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double measure_pairs(double seconds)
{
	double start = bench_now(), end;
	uint64_t n = 0;

	do {
		for (unsigned i = 0; i < 10000; i++) {
			char *volatile block = hakmem_malloc(64);

			*block = 1;
			hakmem_free(block);
		}
		n += 10000;
		end = bench_now();
	} while (end - start < seconds);
	return (end - start) * 1e9 / (double)n;
}

static struct figures measure(struct bench_refill *client, double seconds)
{
	enum { MOST = 1 << 20 };
	static double us[MOST];
	struct figures now = {.pair_ns = measure_pairs(seconds)};
	double end = bench_now() + seconds;
	size_t n = 0;

	while (n < MOST && (n < 10 || bench_now() < end))
		us[n++] = (double)bench_refill(client) / 1e3;
	qsort(us, n, sizeof(us[0]), compare);
	now.refill_us = us[n / 2];
	now.refill_p99_us = us[(n - 1) * 99 / 100];
	return now;
}

static void run(struct bench_refill *client, enum kind kind, unsigned round, double seconds)
{
	pid_t crowd[CROWD];

	for (unsigned i = 0; i < CROWD && kind != CALM; i++)
		crowd[i] = start(kind);
	usleep(WARM_UP_US);
	all[kind][round] = measure(client, seconds);
	for (unsigned i = 0; i < CROWD && kind != CALM; i++) {
		int status;

		kill(crowd[i], SIGKILL);
		waitpid(crowd[i], &status, 0);
		if (!WIFSIGNALED(status))
			bench_fail("a process of the crowd has ended by itself");
	}
}

static double median(enum kind kind, size_t offset, unsigned rounds)
{
	double values[ROUNDS_MAX];

	for (unsigned i = 0; i < rounds; i++)
		memcpy(&values[i], (char *)&all[kind][i] + offset, sizeof(values[i]));
	qsort(values, rounds, sizeof(values[0]), compare);
	return values[rounds / 2];
}

static void report(const char *what, const char *unit, size_t offset, unsigned rounds)
{
	char text[64];

	for (unsigned kind = 0; kind < N_KINDS; kind++) {
		double of_kind = median((enum kind)kind, offset, rounds);
		enum kind with = kind > SILENT_ONES ? BUSY : CALM;

		snprintf(text, sizeof(text), "%s-%s", what, names[kind]);
		bench_report(text, of_kind, unit);
		if (kind == CALM)
			continue;
		snprintf(text, sizeof(text), "%s-%s-beside-%s", what, names[kind], names[with]);
		bench_report(text, of_kind / median(with, offset, rounds), "times");
	}
}

int main(int argc, char **argv)
{
	unsigned rounds = argc == 3 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	double seconds = argc == 3 ? strtod(argv[2], NULL) / 1000 : 0;
	struct bench_refill client;

	if (rounds == 0 || rounds > ROUNDS_MAX || !(seconds > 0)) {
		fprintf(stderr, "usage: %s ROUNDS MILLISECONDS\n", argv[0]);
		return 2;
	}
	bench_expect("hakmem_malloc");
	bench_pin(1);
	bench_refill_init(&client);
	for (unsigned round = 0; round < rounds; round++)
		for (unsigned kind = 0; kind < N_KINDS; kind++)
			run(&client, (enum kind)kind, round, seconds);
	report("pair", "ns", offsetof(struct figures, pair_ns), rounds);
	report("refill-p50", "us", offsetof(struct figures, refill_us), rounds);
	report("refill-p99", "us", offsetof(struct figures, refill_p99_us), rounds);
	return 0;
}
