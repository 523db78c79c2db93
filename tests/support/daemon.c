/* SPDX-License-Identifier: MIT */
/* Starting and stopping a real daemon, and asking it as hakmemctl does. */
#include "tests/support/daemon.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client_lib/conn.h"
#include "tests/support/process.h"
#include "tests/support/run.h"

static void pause_10ms(void)
{
	const struct timespec pause = {.tv_nsec = 10000000};

	nanosleep(&pause, NULL);
}

void hakt_daemon_start(struct hakt_daemon *daemon, const char *const *options)
{
	const char *arguments[32] = {HAKT_HAKMEMD, "--foreground", "--socket", daemon->socket};
	unsigned n = 4;
	pid_t parent = getpid();

	hakt_process_prepare();
	hakt_directory_make(daemon->directory);
	snprintf(daemon->socket, sizeof(daemon->socket), "%s/d.sock", daemon->directory);
	setenv("HAKMEM_SOCKET", daemon->socket, 1);
	while (options && *options && n < 31)
		arguments[n++] = *options++;
	daemon->pid = fork();
	assert_true(daemon->pid >= 0);
	if (daemon->pid == 0) {
		hakt_process_die_with(parent);
		execv(HAKT_HAKMEMD, (char *const *)(uintptr_t)arguments);
		_exit(127);
	}
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

struct hakt_status hakt_daemon_status(const struct hakt_daemon *daemon)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__StatusQuery query = HAK__STATUS_QUERY__INIT;
	struct hakt_status status = {0};
	struct hakc_conn conn;
	Hak__Reply *reply;

	assert_int_equal(hakc_conn_init(&conn, daemon->socket, 20000), 0);
	assert_int_equal(
		hakc_conn_hello(&conn, HAK__PEER_KIND__PEER_TOOL, NULL, &reply, NULL, NULL), 0);
	hak__reply__free_unpacked(reply, NULL);
	request.body_case = HAK__REQUEST__BODY_STATUS;
	request.status = &query;
	assert_int_equal(hakc_conn_call(&conn, &request, &reply, NULL, NULL, NULL, NULL), 0);
	assert_int_equal(reply->body_case, HAK__REPLY__BODY_STATUS);
	assert_int_equal(reply->status->n_pools, 1);
	status.clients = reply->status->pools[0]->clients;
	status.granted_superslabs = reply->status->pools[0]->granted_superslabs;
	status.live_blocks = reply->status->pools[0]->live_blocks;
	status.resident_bytes = reply->status->pools[0]->resident_bytes;
	status.anomalies = reply->status->pools[0]->anomalies;
	hak__reply__free_unpacked(reply, NULL);
	hakc_conn_deinit(&conn);
	return status;
}

void hakt_daemon_wait_empty(const struct hakt_daemon *daemon)
{
	struct hakt_status s = {0};

	for (unsigned i = 0; i < 1000; i++) {
		s = hakt_daemon_status(daemon);
		if (s.clients == 0 && s.granted_superslabs == 0 && s.live_blocks == 0)
			return;
		pause_10ms();
	}
	fail_msg("left after 10 s: %u clients, %llu SuperSlabs, %llu blocks", s.clients,
		 s.granted_superslabs, s.live_blocks);
}
