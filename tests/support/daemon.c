/* SPDX-License-Identifier: MIT */
/* Starting and stopping a real daemon, and asking it as hakmemctl does. */
#include "tests/support/daemon.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client_lib/conn.h"
#include "tests/support/ctl.h"
#include "tests/support/process.h"
#include "tests/support/run.h"

static void pause_10ms(void)
{
	const struct timespec pause = {.tv_nsec = 10000000};

	nanosleep(&pause, NULL);
}

void hakt_daemon_prepare(struct hakt_daemon *daemon)
{
	hakt_process_prepare();
	hakt_directory_make(daemon->directory);
	snprintf(daemon->socket, sizeof(daemon->socket), "%s/d.sock", daemon->directory);
	setenv("HAKMEM_SOCKET", daemon->socket, 1);
}

void hakt_daemon_fork(struct hakt_daemon *daemon, const char *const *options,
		      void (*enter)(void *context), void *context)
{
	const char *arguments[32] = {HAKT_HAKMEMD, "--foreground", "--socket", daemon->socket};
	unsigned n = 4;
	pid_t parent = getpid();

	while (options && *options && n < 31)
		arguments[n++] = *options++;
	daemon->pid = fork();
	assert_true(daemon->pid >= 0);
	if (daemon->pid == 0) {
		hakt_process_die_with(parent);
		if (enter)
			enter(context);
		execv(HAKT_HAKMEMD, (char *const *)(uintptr_t)arguments);
		_exit(127);
	}
}

void hakt_daemon_wait_listening(const struct hakt_daemon *daemon)
{
	for (unsigned i = 0; i < 1000; i++) {
		struct hakc_conn conn;

		if (hakc_conn_init(&conn, daemon->socket, 5000) == 0) {
			hakc_conn_deinit(&conn);
			return;
		}
		assert_int_equal(waitpid(daemon->pid, NULL, WNOHANG), 0);
		pause_10ms();
	}
	fail_msg("hakmemd did not start to listen in 10 s");
}

void hakt_daemon_start(struct hakt_daemon *daemon, const char *const *options)
{
	hakt_daemon_prepare(daemon);
	hakt_daemon_fork(daemon, options, NULL, NULL);
	hakt_daemon_wait_listening(daemon);
}

void hakt_daemon_stop(struct hakt_daemon *daemon)
{
	int status;

	assert_int_equal(kill(daemon->pid, SIGTERM), 0);
	assert_int_equal(waitpid(daemon->pid, &status, 0), daemon->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(access(daemon->socket, F_OK), -1); /* a clean stop removes it */
	hakt_directory_remove(daemon->directory);
}

void hakt_daemon_kill(struct hakt_daemon *daemon)
{
	assert_int_equal(kill(daemon->pid, SIGKILL), 0);
	assert_int_equal(waitpid(daemon->pid, NULL, 0), daemon->pid);
}

/* Asks as a tool; the reply is to be freed. */
static Hak__Reply *ask(const struct hakt_daemon *daemon, Hak__Request *request)
{
	struct hakc_conn conn;
	Hak__Reply *reply;

	assert_int_equal(hakc_conn_init(&conn, daemon->socket, 20000), 0);
	assert_int_equal(
		hakc_conn_hello(&conn, HAK__PEER_KIND__PEER_TOOL, NULL, &reply, NULL, NULL), 0);
	hak__reply__free_unpacked(reply, NULL);
	assert_int_equal(hakc_conn_call(&conn, request, &reply, NULL, NULL, NULL, NULL), 0);
	hakc_conn_deinit(&conn);
	return reply;
}

struct hakt_status hakt_daemon_status(const struct hakt_daemon *daemon)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__StatusQuery query = HAK__STATUS_QUERY__INIT;
	struct hakt_status status = {0};
	const Hak__PoolStatus *pool;
	Hak__Reply *reply;

	request.body_case = HAK__REQUEST__BODY_STATUS;
	request.status = &query;
	reply = ask(daemon, &request);
	assert_int_equal(reply->body_case, HAK__REPLY__BODY_STATUS);
	assert_true(reply->status->n_pools >= 1); /* the first is "default" */
	pool = reply->status->pools[0];
	status.clients = pool->clients;
	status.granted_superslabs = pool->granted_superslabs;
	status.live_blocks = pool->live_blocks;
	status.resident_bytes = pool->resident_bytes;
	status.anomalies = pool->anomalies;
	status.reserve_superslabs = pool->reserve_superslabs;
	status.kept_superslabs = pool->kept_superslabs;
	status.orphan_superslabs = pool->orphan_superslabs;
	status.waiting_superslabs = pool->waiting_superslabs;
	snprintf(status.huge_pages, sizeof(status.huge_pages), "%s", pool->huge_pages);
	hak__reply__free_unpacked(reply, NULL);
	return status;
}

unsigned long long hakt_daemon_counter(const struct hakt_daemon *daemon, const char *name)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__StatsQuery query = HAK__STATS_QUERY__INIT;
	unsigned long long value = 0;
	bool is_there = false;
	Hak__Reply *reply;

	request.body_case = HAK__REQUEST__BODY_STATS;
	request.stats = &query;
	reply = ask(daemon, &request);
	assert_int_equal(reply->body_case, HAK__REPLY__BODY_STATS);
	for (size_t i = 0; i < reply->stats->n_daemon; i++) {
		if (strcmp(reply->stats->daemon[i]->name, name) != 0)
			continue;
		value = reply->stats->daemon[i]->value;
		is_there = true;
	}
	hak__reply__free_unpacked(reply, NULL);
	if (!is_there)
		fail_msg("no counter %s", name);
	return value;
}

void hakt_daemon_wait_resident(const struct hakt_daemon *daemon, unsigned long long most)
{
	struct hakt_status s = {0};

	for (unsigned i = 0; i < 6000; i++) {
		s = hakt_daemon_status(daemon);
		if (s.resident_bytes <= most)
			return;
		pause_10ms();
	}
	fail_msg("after 60 s still %llu bytes, %llu SuperSlabs kept and %llu in reserve",
		 s.resident_bytes, s.kept_superslabs, s.reserve_superslabs);
}

struct hakt_status hakt_daemon_wait_reserve(const struct hakt_daemon *daemon, unsigned n)
{
	struct hakt_status s = {0};

	for (unsigned i = 0; i < 3000; i++) {
		s = hakt_daemon_status(daemon);
		if (s.reserve_superslabs >= n)
			return s;
		pause_10ms();
	}
	fail_msg("after 30 s there are %llu SuperSlabs in reserve", s.reserve_superslabs);
	return s;
}

bool hakt_daemon_is_empty(const struct hakt_daemon *daemon)
{
	struct hakt_status s = hakt_daemon_status(daemon);

	return s.clients == 0 && s.granted_superslabs == 0 && s.waiting_superslabs == 0 &&
	       s.live_blocks == 0;
}

void hakt_daemon_wait_empty(const struct hakt_daemon *daemon)
{
	struct hakt_status s;

	for (unsigned i = 0; i < 1000; i++) {
		if (hakt_daemon_is_empty(daemon))
			return;
		pause_10ms();
	}
	s = hakt_daemon_status(daemon);
	fail_msg("left after 10 s: %u clients, %llu SuperSlabs granted and %llu waiting, %llu "
		 "blocks",
		 s.clients, s.granted_superslabs, s.waiting_superslabs, s.live_blocks);
}

int hakt_daemon_stop_empty(struct hakt_daemon *daemon)
{
	hakt_daemon_wait_empty(daemon);
	hakt_daemon_stop(daemon);
	return 0;
}

void hakt_daemon_wait_disconnected(const struct hakt_daemon *daemon, pid_t client)
{
	char client_state[HAKT_CTL_STATE_BYTES];

	for (unsigned i = 0; i < 6000; i++) {
		hakt_ctl_client_state(daemon->socket, client, client_state);
		assert_string_not_equal(client_state, "");
		if (strcmp(client_state, "disconnected") == 0)
			return;
		pause_10ms();
	}
	fail_msg("client %d does not hang up", (int)client);
}

void hakt_daemon_wait_looks(const struct hakt_daemon *daemon)
{
	unsigned long long from = hakt_daemon_counter(daemon, "leases_looked_at");

	for (unsigned i = 0; i < 6000; i++) {
		if (hakt_daemon_counter(daemon, "leases_looked_at") >= from + 3)
			return;
		pause_10ms();
	}
	fail_msg("no lease is looked at");
}

void hakt_daemon_wait_clients(const struct hakt_daemon *daemon, unsigned n)
{
	for (unsigned i = 0; i < 6000 && hakt_daemon_status(daemon).clients > n; i++)
		pause_10ms();
	assert_int_equal(hakt_daemon_status(daemon).clients, n);
}

void hakt_daemon_wait_orphans(const struct hakt_daemon *daemon, unsigned n)
{
	for (unsigned i = 0; i < 6000 && hakt_daemon_status(daemon).orphan_superslabs != n; i++)
		pause_10ms();
	assert_int_equal(hakt_daemon_status(daemon).orphan_superslabs, n);
}

void hakt_daemon_wait_waiting(const struct hakt_daemon *daemon, unsigned n)
{
	for (unsigned i = 0; i < 6000 && hakt_daemon_status(daemon).waiting_superslabs != n; i++)
		pause_10ms();
	assert_int_equal(hakt_daemon_status(daemon).waiting_superslabs, n);
}
