/* SPDX-License-Identifier: MIT */
/*
 * Connecting to a unix socket doesn't wait: there is room in the backlog or not. Saying hello
 * doesn't either. So only the welcome is waited for, and only by who must have an answer.
 *
 * A daemon that comes back finds all its clients at the door: after a failure each waits for a
 * while that grows, and that differs from the others'.
 */
#include "client_lib/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client_lib/log.h"
#include "client_lib/thread.h"
#include "proto/error.h"

#define PAUSE_FIRST 1000   /* us */
#define PAUSE_MAX   100000 /* us, before the half more or less */

/* By heaps. Not in wiped pages: a forked child has our connections, and has to close them. */
static struct hakc_conn inherited[HAKC_HEAPS_MAX] = {[0 ... HAKC_HEAPS_MAX - 1] = {.fd = -1}};

int64_t hakc_link_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void hakc_link_close_inherited(void)
{
	hakc_conn_deinit(&inherited[hakc_thread_at()]);
}

/* Programs change their working directory. */
static void copy_path(char to[HAK_SOCKET_PATH_MAX], const char *path)
{
	char directory[HAK_SOCKET_PATH_MAX];
	int n = HAK_SOCKET_PATH_MAX;

	if (path[0] != '/' && getcwd(directory, sizeof(directory)))
		n = snprintf(to, HAK_SOCKET_PATH_MAX, "%s/%s", directory, path);
	if (n >= HAK_SOCKET_PATH_MAX)
		snprintf(to, HAK_SOCKET_PATH_MAX, "%s", path);
}

void hakc_link_init(struct hakc_link *link, const struct hakc_conn *conn, const char *path,
		    const struct hak_registry *header, const Hak__Welcome *welcome)
{
	*link = (struct hakc_link){
		.conn = *conn,
		.state = HAKC_LINK_UP,
		.pause = PAUSE_FIRST,
		.random = ((uint64_t)hakc_link_now() ^ (uint64_t)getpid() << 32) | 1,
		.timeout_ms = conn->timeout_ms,
		.header = header,
		.holder = welcome->holder,
		.holder_generation = welcome->holder_generation,
	};
	copy_path(link->path, path);
	inherited[hakc_thread_at()] = link->conn;
}

static void hang_up(struct hakc_link *link, enum hakc_link_state state)
{
	hakc_conn_deinit(&link->conn);
	link->state = state;
	inherited[hakc_thread_at()] = link->conn;
}

void hakc_link_deinit(struct hakc_link *link)
{
	hang_up(link, HAKC_LINK_NONE);
}

void hakc_link_lose(struct hakc_link *link)
{
	if (link->state != HAKC_LINK_UP)
		return;
	hakc_log(HAKC_LOG_WARN, "the daemon has gone; going on with what is granted");
	hang_up(link, HAKC_LINK_DOWN);
	link->next_try = 0;
}

static void end(struct hakc_link *link)
{
	hakc_log(HAKC_LOG_WARN, "the pool has ended; what is granted can be used until "
				"hakmem_detach, no more is");
	hang_up(link, HAKC_LINK_STALE);
}

/* An attempt failed: the next one in a while, half as long or half as long again by chance. */
static void put_off(struct hakc_link *link)
{
	hang_up(link, HAKC_LINK_DOWN);
	link->random ^= link->random << 13; /* xorshift */
	link->random ^= link->random >> 7;
	link->random ^= link->random << 17;
	link->next_try = hakc_link_now() + link->pause / 2 +
			 (int64_t)(link->random % (uint64_t)link->pause);
	link->pause = link->pause * 2 < PAUSE_MAX ? link->pause * 2 : PAUSE_MAX;
}

static int connect_again(struct hakc_link *link)
{
	Hak__Resume resume = HAK__RESUME__INIT;
	int r = hakc_conn_renew(&link->conn, link->path);

	link->is_nobody = r == -ENOENT || r == -ECONNREFUSED;
	link->refused = 0;
	inherited[hakc_thread_at()] = link->conn;
	if (r < 0)
		return r;
	resume.uuid.data = (uint8_t *)(uintptr_t)link->header->uuid;
	resume.uuid.len = HAK_UUID_BYTES;
	resume.generation = link->header->generation;
	resume.holder = link->holder;
	resume.holder_generation = link->holder_generation;
	return hakc_conn_send_resume(&link->conn, &resume);
}

static bool is_welcome(const struct hakc_link *link, const Hak__Reply *reply)
{
	return reply->id == link->conn.last_id && reply->body_case == HAK__REPLY__BODY_WELCOME &&
	       reply->welcome->holder == link->holder &&
	       reply->welcome->holder_generation == link->holder_generation;
}

/* The answer to our hello, if it is there. */
static void take_answer(struct hakc_link *link)
{
	Hak__Reply *reply;
	int r = hakc_conn_receive(&link->conn, 0, &reply);

	if (r == -ETIMEDOUT)
		return;
	if (r < 0) {
		put_off(link);
		return;
	}
	if (reply->error == HAK_E_ENDED) {
		end(link);
	} else if (reply->error == 0 && is_welcome(link, reply)) {
		link->state = HAKC_LINK_UP;
		link->is_fresh = true;
		link->pause = PAUSE_FIRST;
		hakc_log(HAKC_LOG_INFO, "the daemon is there again");
	} else {
		hakc_log(HAKC_LOG_WARN, "the daemon did not welcome us back: %s",
			 reply->reason && *reply->reason ? reply->reason
							 : hak_error_text(reply->error));
		if (reply->error == HAK_E_VERSION)
			link->refused = -hak_error_errno(reply->error);
		put_off(link);
	}
	hak__reply__free_unpacked(reply, NULL);
}

bool hakc_link_try(struct hakc_link *link)
{
	if (link->state == HAKC_LINK_NONE || link->state == HAKC_LINK_STALE)
		return false;
	if (hak_load_relaxed(&link->header->ended)) { /* a hint: the socket hangs up as well */
		end(link);
		return false;
	}
	if (link->state == HAKC_LINK_UP && !hakc_conn_is_alive(&link->conn))
		hakc_link_lose(link);
	if (link->state == HAKC_LINK_DOWN && hakc_link_now() >= link->next_try) {
		if (connect_again(link) < 0)
			put_off(link);
		else
			link->state = HAKC_LINK_GREETING;
	}
	if (link->state == HAKC_LINK_GREETING)
		take_answer(link);
	return link->state == HAKC_LINK_UP;
}

/* Until an answer may be there, or it is time to try again, or the deadline. */
static void pause_until(struct hakc_link *link, int64_t deadline)
{
	int64_t now = hakc_link_now(), until = deadline;
	struct timespec nap;

	if (link->state == HAKC_LINK_GREETING) {
		hakc_conn_wait(&link->conn, (unsigned)((deadline - now + 999) / 1000));
		return;
	}
	if (link->next_try < until)
		until = link->next_try;
	if (until <= now)
		return;
	nap.tv_sec = (until - now) / 1000000;
	nap.tv_nsec = (until - now) % 1000000 * 1000;
	nanosleep(&nap, NULL); /* a signal may cut it short */
}

int hakc_link_wait(struct hakc_link *link, int64_t deadline)
{
	if (link->is_nobody || link->refused)
		link->next_try = 0;
	while (!hakc_link_try(link)) {
		if (link->state == HAKC_LINK_STALE ||
		    (link->state == HAKC_LINK_DOWN && link->is_nobody))
			return -ESTALE;
		if (link->refused)
			return link->refused;
		if (hakc_link_now() >= deadline)
			return -ETIMEDOUT;
		pause_until(link, deadline);
	}
	return 0;
}
