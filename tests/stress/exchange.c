/* SPDX-License-Identifier: MIT */
/*
 * exchange SELF N SEED OPS [keeps-own]: a process of an exchange; see group.h.
 * Ends with 0 only when it was told to, and everything was right.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/stress/group.h"
#include "tests/stress/party.h"

static bool send_batch(void *context, unsigned to, const struct hakt_item *batch, unsigned n)
{
	(void)context;
	if (send(HAKT_FD_OUTBOX + (int)to, batch, n * sizeof(*batch), MSG_DONTWAIT | MSG_NOSIGNAL) >
	    0)
		return true;
	if (errno != EAGAIN && errno != EINTR)
		hakt_die("send to %u: %s", to, strerror(errno));
	return false;
}

static unsigned receive_batch(void *context, struct hakt_item *batch)
{
	ssize_t n;

	(void)context;
	do {
		n = recv(HAKT_FD_INBOX, batch, HAKT_BATCH_MAX * sizeof(*batch), MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		hakt_die("receive: %s", strerror(errno));
	return n > 0 ? (unsigned)((size_t)n / sizeof(*batch)) : 0;
}

static void report(const struct hakt_party *party)
{
	struct hakmem_stats stats;
	struct hakt_report r = {.n_ops = party->n_ops};

	if (hakmem_stats(&stats, sizeof(stats)) < 0)
		hakt_die("no statistics");
	r.superslabs = stats.superslabs;
	r.refused_frees = stats.refused_frees;
	if (send(HAKT_FD_CONTROL, &r, sizeof(r), MSG_NOSIGNAL) != (ssize_t)sizeof(r))
		hakt_die("report: %s", strerror(errno));
}

/* The next command; 0: none yet. */
static char command(int flags)
{
	char byte = 0;
	ssize_t n = recv(HAKT_FD_CONTROL, &byte, 1, flags);

	if (n == 0)
		hakt_die("the test has gone");
	return n == 1 ? byte : 0;
}

static void work(struct hakt_party *party, uint64_t n_ops)
{
	do {
		for (unsigned i = 0; i < 64; i++)
			hakt_party_step(party);
		if (n_ops == 0 && command(MSG_DONTWAIT) == HAKT_STOP)
			break;
	} while (n_ops == 0 || party->n_ops < n_ops);
	report(party);
}

/* Obeys until it is told to end. */
static void serve(struct hakt_party *party)
{
	struct pollfd ready[] = {{.fd = HAKT_FD_CONTROL, .events = POLLIN},
				 {.fd = HAKT_FD_INBOX, .events = POLLIN}};

	for (;;) {
		if (poll(ready, 2, -1) < 0 && errno != EINTR)
			hakt_die("poll: %s", strerror(errno));
		hakt_party_serve(party);
		switch (command(MSG_DONTWAIT)) {
		case HAKT_DRAIN:
			hakt_party_serve(party); /* what came before the command */
			hakt_party_free_all(party);
			/* fall through */
		case HAKT_TRIM:
			if (hakmem_trim() < 0)
				hakt_die("trim failed");
			report(party);
			break;
		case HAKT_EXIT:
			return;
		default:
			break;
		}
	}
}

int main(int argc, char **argv)
{
	static struct hakt_party party = {.send = send_batch, .receive = receive_batch};

	if (argc < 5)
		hakt_die("usage: exchange SELF N SEED OPS [keeps-own]; tests start it");
	party.self = (unsigned)atoi(argv[1]);
	party.n = (unsigned)atoi(argv[2]);
	party.random = strtoull(argv[3], NULL, 10) + party.self;
	party.keeps_own = argc > 5;
	if (hakmem_attach(NULL) < 0)
		hakt_die("cannot attach");
	work(&party, strtoull(argv[4], NULL, 10));
	serve(&party);
	return hakmem_detach() < 0;
}
