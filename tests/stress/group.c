/* SPDX-License-Identifier: MIT */
/*
 * An inbox is a socket pair that all may send into. The test keeps both ends
 * of all of them, so messages outlive the members that were to read them.
 */
#include "tests/support/run.h"
#include "tests/stress/group.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEND_BUFFER_BYTES 16384
#define ABOVE_FDS	  64 /* ours, so that they don't collide with those of members */

static int move_up(int fd)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, ABOVE_FDS);

	assert_true(moved >= 0);
	close(fd);
	return moved;
}

static void make_pair(int *ret_in, int *ret_out)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	*ret_in = move_up(ends[0]);
	*ret_out = move_up(ends[1]);
}

void hakt_group_init(struct hakt_group *group, unsigned n)
{
	const int bytes = SEND_BUFFER_BYTES;

	*group = (struct hakt_group){.n = n};
	for (unsigned i = 0; i < n; i++) {
		make_pair(&group->inbox_in[i], &group->inbox_out[i]);
		setsockopt(group->inbox_in[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	}
}

/* SIGKILL; how it ended. */
static int end_member(struct hakt_member *member)
{
	int status;

	kill(member->pid, SIGKILL);
	assert_int_equal(waitpid(member->pid, &status, 0), member->pid);
	close(member->control);
	*member = (struct hakt_member){0};
	return status;
}

void hakt_group_deinit(struct hakt_group *group)
{
	for (unsigned i = 0; i < group->n; i++) {
		if (group->members[i].pid)
			end_member(&group->members[i]);
		close(group->inbox_in[i]);
		close(group->inbox_out[i]);
	}
	group->n = 0;
}

/* In the child: takes the numbers that `exchange` expects, and becomes it. */
static void become_member(const struct hakt_group *group, unsigned member, int control,
			  uint64_t seed, uint64_t n_ops, bool keeps_own)
{
	char self[16], n[16], seed_text[32], ops[32];
	char program[] = HAKT_EXCHANGE, own[] = "keeps-own";
	char *arguments[] = {program, self, n, seed_text, ops, keeps_own ? own : NULL, NULL};

	/* Without a test there is no reason to go on. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(self, sizeof(self), "%u", member);
	snprintf(n, sizeof(n), "%u", group->n);
	snprintf(seed_text, sizeof(seed_text), "%llu", (unsigned long long)seed);
	snprintf(ops, sizeof(ops), "%llu", (unsigned long long)n_ops);
	if (dup2(control, HAKT_FD_CONTROL) < 0 || dup2(group->inbox_out[member], HAKT_FD_INBOX) < 0)
		_exit(126);
	for (unsigned i = 0; i < group->n; i++)
		if (dup2(group->inbox_in[i], HAKT_FD_OUTBOX + (int)i) < 0)
			_exit(126);
	execv(program, arguments);
	_exit(127);
}

void hakt_group_start(struct hakt_group *group, unsigned member, uint64_t seed, uint64_t n_ops,
		      bool keeps_own)
{
	struct hakt_member *m = &group->members[member];
	int theirs;

	make_pair(&m->control, &theirs);
	m->pid = fork();
	assert_true(m->pid >= 0);
	if (m->pid == 0)
		become_member(group, member, theirs, seed, n_ops, keeps_own);
	close(theirs);
}

void hakt_group_tell(struct hakt_group *group, unsigned member, enum hakt_command command)
{
	char byte = (char)command;

	assert_int_equal(send(group->members[member].control, &byte, 1, MSG_NOSIGNAL), 1);
}

struct hakt_report hakt_group_hear(struct hakt_group *group, unsigned member)
{
	struct hakt_report report;
	ssize_t n = recv(group->members[member].control, &report, sizeof(report), 0);

	if (n != (ssize_t)sizeof(report))
		fail_msg("member %u ended, or told nonsense: see above", member);
	assert_int_equal(report.refused_frees, 0);
	return report;
}

struct hakt_report hakt_group_tell_all(struct hakt_group *group, unsigned n,
				       enum hakt_command command)
{
	struct hakt_report sum = {0};

	for (unsigned i = 0; i < n; i++)
		hakt_group_tell(group, i, command);
	for (unsigned i = 0; i < n; i++) {
		struct hakt_report report = hakt_group_hear(group, i);

		sum.n_ops += report.n_ops;
		sum.superslabs += report.superslabs;
	}
	return sum;
}

void hakt_group_exit(struct hakt_group *group, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		hakt_group_tell(group, i, HAKT_EXIT);
	for (unsigned i = 0; i < n; i++) {
		struct hakt_member *m = &group->members[i];
		int status;

		assert_int_equal(waitpid(m->pid, &status, 0), m->pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
		close(m->control);
		*m = (struct hakt_member){0};
	}
}

void hakt_group_kill(struct hakt_group *group, unsigned member)
{
	int status = end_member(&group->members[member]);

	/* One that had ended by itself had found something wrong. */
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
