/* SPDX-License-Identifier: MIT */
/* hakmemctl exporter: what it answers to whom, with a daemon, without it, and to those who are no scraper. */
#include "tests/support/run.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/ctl.h"
#include "tests/support/keeper.h"
#include "tests/support/process.h"

enum { ANSWER_MAX = 256 * 1024, MANY = 80, PATIENCE_MS = 120000 };

static struct hakt_process exporter;
static struct sockaddr_in at;
static char answer[ANSWER_MAX];

/* On a port of the kernel's choice, with further options, up to three. */
static void start_exporter(const char *const *options)
{
	const char *arguments[8] = {HAKT_HAKMEMCTL, "exporter", "--listen", "127.0.0.1:0"};
	unsigned n = 4, port;

	while (options && *options)
		arguments[n++] = *options++;
	exporter = (struct hakt_process){0};
	hakt_process_start(&exporter, arguments);
	hakt_process_wait_output(&exporter, 1, "/metrics\n");
	assert_int_equal(sscanf(hakt_process_output(&exporter, 1), "http://127.0.0.1:%u/", &port),
			 1);
	at = (struct sockaddr_in){.sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void end_exporter(void)
{
	kill(exporter.pid, SIGTERM);
	hakt_process_wait_done(&exporter);
	hakt_process_end(&exporter);
}

static int start(void **state)
{
	hakt_keeper_setup(state);
	start_exporter(NULL);
	return 0;
}

static int stop(void **state)
{
	end_exporter();
	return hakt_keeper_teardown(state);
}

static int visit(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* Until the other side ends it, within two minutes; the daemon goes on meanwhile. */
static void read_all(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t n = 0;
	ssize_t r = 1;

	for (unsigned ms = 0; r > 0; ms += 100) {
		assert_true(ms < PATIENCE_MS);
		hakt_keeper_take(&hakt_keeper);
		if (poll(&p, 1, 100) == 0)
			continue;
		r = recv(fd, answer + n, sizeof(answer) - 1 - n, 0);
		n += r > 0 ? (size_t)r : 0;
	}
	answer[n] = 0;
	close(fd);
}

static void ask(const char *request)
{
	int fd = visit();

	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	read_all(fd);
}

static void get(const char *path)
{
	char request[256];

	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: here\r\n\r\n", path);
	ask(request);
}

static void expect(const char *text)
{
	if (!strstr(answer, text))
		fail_msg("no %s in: %.2000s", text, answer);
}

/* Asks until it says that. */
static void await(const char *text)
{
	const struct timespec pause = {.tv_nsec = 20000000};

	for (unsigned i = 0; i < 1000; i++) {
		get("/metrics");
		if (strstr(answer, text))
			return;
		nanosleep(&pause, NULL);
	}
	expect(text);
}

static void expect_none(const char *text)
{
	if (strstr(answer, text))
		fail_msg("%s in: %.2000s", text, answer);
}

static const char *body(void)
{
	const char *end = strstr(answer, "\r\n\r\n");

	assert_non_null(end);
	return end + 4;
}

/* Names and labels of all samples, in their order: what stands before the last blank of a line. */
static char *names_of(const char *text)
{
	char *names = calloc(1, strlen(text) + 2), *to = names;

	assert_non_null(names);
	for (const char *end; *text; text = *end ? end + 1 : end) {
		const char *blank;

		end = strchrnul(text, '\n');
		blank = *text == '#' ? NULL : memrchr(text, ' ', (size_t)(end - text));
		if (!blank)
			continue;
		memcpy(to, text, (size_t)(blank - text));
		to += blank - text;
		*to++ = '\n';
	}
	return names;
}

static void test_it_answers_what_the_verb_metrics_says(void **state)
{
	struct hakt_process ctl = {0};
	char *said, *answered;

	(void)state;
	get("/metrics");
	expect("HTTP/1.1 200 ");
	expect("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
	expect("\nhakmem_up 1\n");
	expect("\nhakmem_pool_limit_bytes{pool=\"default\"} 268435456\n");
	expect("\nhakmem_pool_anomalies{pool=\"default\"} 0\n");
	expect("\nhakmem_daemon_starts_total 1\n");
	hakt_process_run(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "metrics"));
	assert_int_equal(ctl.exit_code, 0);
	said = names_of(hakt_process_output(&ctl, 1));
	answered = names_of(body());
	assert_string_equal(answered, said);
	free(said);
	free(answered);
	hakt_process_end(&ctl);
}

static void test_there_is_a_page_that_leads_there_and_nothing_else(void **state)
{
	(void)state;
	get("/");
	expect("HTTP/1.1 200 ");
	expect("\r\nContent-Type: text/html");
	expect("<a href=\"/metrics\">");
	get("/metrics/");
	expect("HTTP/1.1 404 ");
	get("/../../etc/passwd");
	expect("HTTP/1.1 404 ");
	get("/metrics?of=all");
	expect("HTTP/1.1 200 ");
}

static void test_head_has_no_body(void **state)
{
	(void)state;
	ask("HEAD /metrics HTTP/1.1\r\nHost: here\r\n\r\n");
	expect("HTTP/1.1 200 ");
	expect("\r\nContent-Length: ");
	assert_string_equal(body(), "");
}

static void test_bad_requests_are_refused(void **state)
{
	static const struct {
		const char *request, *code;
	} all[] = {
		{"POST /metrics HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\n\r\nabc", " 405 "},
		{"DELETE / HTTP/1.1\r\nHost: here\r\n\r\n", " 405 "},
		{"GET /metrics HTTP/1.1\r\n\r\n", " 400 "},
		{"GET /metrics HTTP/7.1\r\nHost: here\r\n\r\n", " 505 "},
	};
	char *large = malloc(20000);

	(void)state;
	assert_non_null(large);
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		ask(all[i].request);
		expect(all[i].code);
		expect_none("hakmem_up");
	}
	ask(all[0].request);
	expect("\r\nAllow: GET, HEAD\r\n");
	snprintf(large, 20000, "GET /metrics HTTP/1.1\r\nHost: here\r\nX: %015000d\r\n\r\n", 0);
	ask(large);
	expect(" 431 ");
	free(large);
	get("/metrics"); /* it goes on */
	expect("\nhakmem_up 1\n");
}

static void test_who_says_nothing_is_cut_off_and_so_is_who_says_little(void **state)
{
	static const char *const slowly = "GET /metrics HTTP/1.1\r\nHost: here\r\nX: ";
	int silent = visit(), slow = visit();
	bool is_open = true;

	(void)state;
	assert_int_equal(send(slow, slowly, strlen(slowly), MSG_NOSIGNAL), strlen(slowly));
	/* A byte now and then, as long as it is taken: each is a sign of life. */
	for (unsigned ms = 0; is_open; ms += 200) {
		struct pollfd p = {.fd = slow, .events = POLLIN};

		assert_true(ms < PATIENCE_MS);
		hakt_keeper_take(&hakt_keeper);
		is_open = poll(&p, 1, 200) == 0 && send(slow, "x", 1, MSG_NOSIGNAL) == 1;
	}
	close(slow);
	read_all(silent);
	assert_string_equal(answer, "");
}

static void test_many_who_say_nothing_keep_nobody_out_for_ever(void **state)
{
	int fds[MANY];

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		fds[i] = visit();
	get("/metrics");
	expect("\nhakmem_up 1\n");
	for (unsigned i = 0; i < MANY; i++)
		close(fds[i]);
}

static void test_the_daemon_may_go_and_come_back(void **state)
{
	(void)state;
	get("/metrics");
	expect("\nhakmem_up 1\n");
	expect("\nhakmem_figures_age_seconds 0.000\n");
	hakt_keeper_kill(&hakt_keeper);
	await("\nhakmem_up 0\n"); /* the same text for a moment */
	expect_none("\nhakmem_figures_age_seconds 0.000\n");
	expect("\nhakmem_daemon_starts_total 1\n");
	expect("\nhakmem_pool_limit_bytes{pool=\"default\"} 268435456\n");
	expect_none("hakmem_daemon_uptime_seconds");
	hakt_keeper_start(&hakt_keeper);
	await("\nhakmem_up 1\n");
	expect("\nhakmem_daemon_starts_total 2\n");
	expect("\nhakmem_daemon_uptime_seconds ");
	hakt_process_wait_output(&exporter, 2, "hakmem_up is 0");
}

static void test_a_daemon_that_hangs_is_down(void **state)
{
	(void)state;
	end_exporter();
	start_exporter(HAKT_LIST("--timeout", "200"));
	kill(hakt_keeper.daemon.pid, SIGSTOP);
	get("/metrics");
	kill(hakt_keeper.daemon.pid, SIGCONT);
	expect("\nhakmem_up 0\n");
	await("\nhakmem_up 1\n");
}

static void test_without_any_daemon_it_says_that(void **state)
{
	(void)state;
	end_exporter();
	start_exporter(HAKT_LIST("--socket", "/nonexistent/hakmemd.sock"));
	get("/metrics");
	expect("\nhakmem_up 0\n");
	expect("\nhakmem_build_info{version=\"");
	expect_none("pool=");
}

/* hakmemctl exporter --listen WHERE ends so, and says that. */
static void expect_refusal(const char *where, int exit_code, const char *text)
{
	struct hakt_process ctl = {0};

	hakt_process_run(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "exporter", "--listen", where));
	if (ctl.exit_code != exit_code || !strstr(hakt_process_output(&ctl, 2), text))
		fail_msg("%s: %d, %s", where, ctl.exit_code, hakt_process_output(&ctl, 2));
	hakt_process_end(&ctl);
	hakt_keeper_take(&hakt_keeper);
}

static void test_where_it_can_not_listen_it_says_why(void **state)
{
	static const char *const wrong[] = {
		"",	 "9464",      "127.0.0.1", "127.0.0.1:",   "::1:9464",	 "localhost:80",
		"[::1]", "[::1:9464", "1.2.3:80",  "[1.2.3.4]:80", "1.2.3.4:-1", "1.2.3.4:65536"};
	char used[32];

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		expect_refusal(wrong[i], 2, "--listen takes ADDR:PORT");
	snprintf(used, sizeof(used), "127.0.0.1:%u", ntohs(at.sin_port));
	expect_refusal(used, 1, "can't listen on 127.0.0.1:");
}

/* Of an exporter that listens there: what it says on stderr by the time that it listens. */
static bool warns(const char *where, const char *expected)
{
	struct hakt_process ctl = {0};
	bool r;

	hakt_process_start(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "exporter", "--listen", where));
	hakt_process_wait_output(&ctl, 1, expected);
	r = strstr(hakt_process_output(&ctl, 2), "is not this machine's alone") != NULL;
	kill(ctl.pid, SIGINT);
	hakt_process_wait_done(&ctl);
	hakt_process_end(&ctl);
	hakt_keeper_take(&hakt_keeper);
	return r;
}

static void test_who_listens_to_all_the_world_is_warned(void **state)
{
	(void)state;
	assert_true(warns("0.0.0.0:0", "http://0.0.0.0:"));
	assert_false(warns("127.0.0.2:0", "http://127.0.0.2:"));
	if (access("/proc/sys/net/ipv6", F_OK) != 0)
		return;
	assert_true(warns("[::]:0", "http://[::]:"));
	assert_false(warns("[::1]:0", "http://[::1]:"));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_it_answers_what_the_verb_metrics_says, start, stop),
	cmocka_unit_test_setup_teardown(test_there_is_a_page_that_leads_there_and_nothing_else,
					start, stop),
	cmocka_unit_test_setup_teardown(test_head_has_no_body, start, stop),
	cmocka_unit_test_setup_teardown(test_bad_requests_are_refused, start, stop),
	cmocka_unit_test_setup_teardown(test_who_says_nothing_is_cut_off_and_so_is_who_says_little,
					start, stop),
	cmocka_unit_test_setup_teardown(test_many_who_say_nothing_keep_nobody_out_for_ever, start,
					stop),
	cmocka_unit_test_setup_teardown(test_the_daemon_may_go_and_come_back, start, stop),
	cmocka_unit_test_setup_teardown(test_a_daemon_that_hangs_is_down, start, stop),
	cmocka_unit_test_setup_teardown(test_without_any_daemon_it_says_that, start, stop),
	cmocka_unit_test_setup_teardown(test_where_it_can_not_listen_it_says_why, start, stop),
	cmocka_unit_test_setup_teardown(test_who_listens_to_all_the_world_is_warned, start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
