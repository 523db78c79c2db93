/* SPDX-License-Identifier: MIT */
/*
 * One thread, one loop: libmicrohttpd speaks HTTP, a signalfd ends it. Each scrape asks the daemon
 * over a connection of its own, so that one which is restarted, or hasn't started yet, makes no
 * difference but in what is answered.
 *
 * Who connects can cost little: a connection is for one answer, is cut off LIFE_MS after its beginning
 * whatever it has sent or taken by then, has HEAD_BYTES for its request, and there are VISITORS_MAX
 * of them. The daemon is asked no more than once in HOLD_MS: who comes sooner gets the same text, also
 * those who have waited while a daemon that hangs was waited for.
 */
#include "client_lib/ctl/exporter.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client_lib/ctl/listen_address.h"
#include "client_lib/ctl/metrics.h"
#include "client_lib/ctl/verb.h"

#define LIFE_MS	   10000
#define HOLD_MS	   100
#define HEAD_BYTES 8192u

enum { VISITORS_MAX = 32 };

/* A connection, from its beginning to its end. */
struct visitor {
	int fd; /* -1: there is none */
	int64_t since;
};

struct exporter {
	struct hakc_query *query;
	struct MHD_Daemon *http;
	struct hakc_metrics metrics;
	char *text; /* the last one; NULL: none yet */
	size_t n;
	int64_t made_at;
	bool is_known, was_up; /* whether the daemon answered, last time */
	struct visitor visitors[VISITORS_MAX];
	bool has_room; /* somebody has left since libmicrohttpd last looked who waits to come in */
};

static const char landing[] = "<!doctype html>\n<html lang=\"en\"><title>hakmem exporter</title>\n"
			      "<h1>hakmem exporter</h1>\n"
			      "<p><a href=\"/metrics\">Metrics</a>, for Prometheus.</p></html>\n";

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A line when it changes: a scrape every few seconds is no news. */
static void say_state(struct exporter *exporter, bool is_up)
{
	const struct hakc_query *query = exporter->query;

	if (exporter->is_known && exporter->was_up == is_up)
		return;
	if (is_up)
		fprintf(stderr, "hakmemctl: the daemon at %s answers\n", query->path);
	else
		fprintf(stderr, "hakmemctl: no daemon answers at %s (%s): hakmem_up is 0\n",
			query->path, query->reason);
	exporter->is_known = true;
	exporter->was_up = is_up;
}

/* 0 or -ENOMEM. */
static int make_text(struct exporter *exporter)
{
	struct hakc_metrics *metrics = &exporter->metrics;
	char *text = NULL;
	size_t n = 0;
	FILE *file;

	if (exporter->text && now_ms() - exporter->made_at < HOLD_MS)
		return 0;
	file = open_memstream(&text, &n);
	if (!file)
		return -ENOMEM;
	(void)hakc_query_again(exporter->query); /* what keeps it from the daemon it remembers */
	(void)hakc_metrics_get(exporter->query, metrics);
	hakc_query_deinit(exporter->query);
	hakc_metrics_print(metrics, file);
	hakc_metrics_deinit(metrics);
	if (fclose(file) != 0) {
		free(text);
		return -ENOMEM;
	}
	free(exporter->text);
	exporter->text = text;
	exporter->n = n;
	exporter->made_at = now_ms();
	say_state(exporter, metrics->has_figures && !metrics->figures.is_down);
	return 0;
}

/* The text is copied by libmicrohttpd. */
static enum MHD_Result reply(struct MHD_Connection *connection, unsigned code, const char *type,
			     const char *text, size_t n)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(n, (void *)(uintptr_t)text,
									MHD_RESPMEM_MUST_COPY);
	enum MHD_Result r = MHD_NO;

	if (!response)
		return MHD_NO;
	if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
	    MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES &&
	    (code != MHD_HTTP_METHOD_NOT_ALLOWED ||
	     MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") == MHD_YES))
		r = MHD_queue_response(connection, code, response);
	MHD_destroy_response(response);
	return r;
}

static enum MHD_Result reply_plainly(struct MHD_Connection *connection, unsigned code,
				     const char *text)
{
	return reply(connection, code, "text/plain; charset=utf-8", text, strlen(text));
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *body,
				  size_t *n_body, void **state)
{
	struct exporter *exporter = context;

	(void)version;
	(void)body;
	(void)n_body;
	(void)state;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return reply_plainly(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
				     "only GET and HEAD\n");
	if (strcmp(url, "/") == 0)
		return reply(connection, MHD_HTTP_OK, "text/html; charset=utf-8", landing,
			     sizeof(landing) - 1);
	if (strcmp(url, "/metrics") != 0)
		return reply_plainly(connection, MHD_HTTP_NOT_FOUND, "there is /metrics\n");
	if (make_text(exporter) < 0)
		return reply_plainly(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "no memory\n");
	return reply(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
		     exporter->text, exporter->n);
}

static void on_visit(void *context, struct MHD_Connection *connection, void **place,
		     enum MHD_ConnectionNotificationCode code)
{
	struct exporter *exporter = context;
	struct visitor *visitor = *place;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (visitor)
			visitor->fd = -1;
		exporter->has_room = true;
		return;
	}
	for (unsigned i = 0; i < VISITORS_MAX && !visitor; i++)
		if (exporter->visitors[i].fd < 0)
			visitor = &exporter->visitors[i];
	*place = visitor;
	if (!visitor)
		return;
	visitor->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
			      ->connect_fd;
	visitor->since = now_ms();
}

/*
 * Cuts off who has been here for too long; ms until the next one is due, or -1. libmicrohttpd's own
 * time-out begins anew with each byte, and closes what is shut down here.
 */
static int cut_off_late(struct exporter *exporter)
{
	int64_t now = now_ms(), next = -1;

	for (unsigned i = 0; i < VISITORS_MAX; i++) {
		const struct visitor *visitor = &exporter->visitors[i];
		int64_t left = visitor->since + LIFE_MS - now;

		if (visitor->fd < 0)
			continue;
		if (left <= 0)
			shutdown(visitor->fd, SHUT_RDWR);
		if (left > 0 && (next < 0 || left < next))
			next = left;
	}
	return (int)next;
}

static int serve(struct exporter *exporter, int signal_fd)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(exporter->http,
							       MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd fds[2] = {{.fd = signal_fd, .events = POLLIN},
				{.fd = info->epoll_fd, .events = POLLIN}};

	for (;;) {
		MHD_UNSIGNED_LONG_LONG own;
		int timeout = cut_off_late(exporter);

		if (MHD_get_timeout(exporter->http, &own) == MHD_YES &&
		    (timeout < 0 || own < (unsigned)timeout))
			timeout = (int)own;
		if (exporter->has_room) /* no event tells it that */
			timeout = 0;
		exporter->has_room = false;
		if (poll(fds, 2, timeout) < 0 && errno != EINTR)
			return -errno;
		if (fds[0].revents)
			return 0;
		if (MHD_run(exporter->http) != MHD_YES)
			return -EIO;
	}
}

/* From now on, what would end us is read from there. A descriptor, or a negative errno. */
static int hold_signals(void)
{
	sigset_t signals;
	int fd;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &signals, SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* On a socket that listens, until a signal ends it. */
static int run(struct exporter *exporter, int fd, int signal_fd)
{
	int r = -ENOMEM;

	for (unsigned i = 0; i < VISITORS_MAX; i++)
		exporter->visitors[i].fd = -1;
	exporter->http = MHD_start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, on_request, exporter, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)VISITORS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)LIFE_MS / 1000,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_BYTES,
		MHD_OPTION_NOTIFY_CONNECTION, on_visit, exporter, MHD_OPTION_END);
	if (exporter->http) {
		r = serve(exporter, signal_fd);
		MHD_stop_daemon(exporter->http); /* closes fd */
	} else {
		close(fd);
	}
	free(exporter->text);
	close(signal_fd);
	return r;
}

int hakc_verb_exporter(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	static struct exporter exporter;
	const char *listen = query->arguments->listen;
	struct hakc_listen_address address;
	char text[HAKC_LISTEN_ADDRESS_TEXT];
	int fd, signal_fd, r;

	(void)as_json;
	(void)ret_degraded;
	hakc_query_deinit(query); /* each scrape has its own */
	if (hakc_listen_address_parse(listen ? listen : HAKC_EXPORTER_LISTEN, &address) < 0) {
		snprintf(
			query->reason, sizeof(query->reason),
			"--listen takes ADDR:PORT, such as 127.0.0.1:9464 or [::1]:9464, not %.64s",
			listen);
		return -EINVAL;
	}
	fd = hakc_listen_address_open(&address);
	if (fd < 0) {
		fprintf(stderr,
			"hakmemctl: can't listen on %s (%s); choose another with --listen\n",
			hakc_listen_address_text(&address, text), strerror(-fd));
		return HAKC_VERB_SAID;
	}
	hakc_listen_address_text(&address, text);
	if (!hakc_listen_address_is_loopback(&address))
		fprintf(stderr,
			"hakmemctl: %s is not this machine's alone: whoever gets there can read "
			"these figures\n",
			text);
	signal_fd = hold_signals(); /* before it says that it serves: who hears that may end it */
	printf("http://%s/metrics\n", text);
	fflush(stdout);
	exporter.query = query;
	r = signal_fd < 0 ? signal_fd : run(&exporter, fd, signal_fd);
	if (r == 0)
		return 0;
	fprintf(stderr, "hakmemctl: the exporter can't go on (%s)\n", strerror(-r));
	return HAKC_VERB_SAID;
}
