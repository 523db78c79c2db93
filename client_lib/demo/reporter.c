/* SPDX-License-Identifier: MIT */
/*
 * The reporter: receives tables, merges them into a private one and frees their
 * blocks, which are the workers'. A process's blocks go when it detaches, so
 * the children stay until everything is merged; closing the control pipe lets
 * them go. One that ends earlier has failed, and the whole count with it.
 */
#include "client_lib/demo/reporter.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_EVERY_MS 200
#define TOP_WORDS     20

struct reporter {
	struct hakc_channels *channels;
	struct hakc_crew *crew;
	struct hakc_report *report;
	unsigned n_done;
	uint64_t n_sent; /* files, as the reader says at its end */
	double looked_at;
	bool shows_progress;
};

double hakc_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void clear_progress(const struct reporter *reporter)
{
	if (reporter->shows_progress)
		fputs("\r\033[K", stderr);
}

/* Collects the child if it has ended, and says how; 0: it is there, or ended well. */
static int look_at_child(struct hakc_crew *crew, unsigned i, int flags, bool may_end)
{
	const char *what = i == 0 ? "reader" : "worker";
	pid_t pid = crew->pids[i], r;
	int status;

	if (pid == 0)
		return 0;
	do {
		r = waitpid(pid, &status, flags);
	} while (r < 0 && errno == EINTR);
	if (r == 0)
		return 0;
	crew->pids[i] = 0;
	if (r < 0)
		return 0;
	if (may_end && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		fprintf(stderr, "hakmem-demo: a %s (pid %d) was killed by signal %d (%s)\n", what,
			(int)pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		fprintf(stderr, "hakmem-demo: a %s (pid %d) ended too early with exit code %d\n",
			what, (int)pid, WEXITSTATUS(status));
	return -ECHILD;
}

static int look_at_children(struct hakc_crew *crew, int flags, bool may_end)
{
	int r = 0;

	for (unsigned i = 0; i < crew->n_children; i++)
		if (look_at_child(crew, i, flags, may_end) < 0)
			r = -ECHILD;
	return r;
}

/* Five times a second: who has died, how far are we. */
static int look_around(struct reporter *reporter)
{
	const struct hakc_report *report = reporter->report;
	double now = hakc_now();

	if ((now - reporter->looked_at) * 1000 < LOOK_EVERY_MS)
		return 0;
	reporter->looked_at = now;
	if (reporter->shows_progress)
		fprintf(stderr, "\r\033[K%" PRIu64 " files, %.1f MB, %" PRIu64 " words",
			report->n_files, (double)report->bytes / 1e6, report->counts.n_words);
	return look_at_children(reporter->crew, WNOHANG, false);
}

static int merge(struct reporter *reporter, const struct hakc_result *result)
{
	struct hakc_report *report = reporter->report;
	int r = 0;

	if (result->table.buckets)
		r = hakc_counts_merge(&report->counts, &result->table);
	report->n_files++;
	report->bytes += result->bytes;
	report->n_binary += result->is_binary != 0;
	report->n_allocated += result->table.n_allocated;
	if (r < 0)
		fprintf(stderr, "hakmem-demo: the words of file %" PRIu64 " can't be merged (%s)\n",
			result->number, strerror(-r));
	return r;
}

static int take(struct reporter *reporter, const struct hakc_result *result)
{
	struct hakc_report *report = reporter->report;

	switch (result->kind) {
	case HAKC_RESULT_FILE:
		return merge(reporter, result);
	case HAKC_RESULT_LOST:
		report->n_files++;
		report->n_lost++;
		report->bytes += result->bytes;
		return 0;
	case HAKC_RESULT_READER_DONE:
		reporter->n_sent = result->number;
		report->n_allocated += result->reader.n_allocated;
		report->n_unreadable += result->reader.n_unreadable;
		report->n_lost += result->reader.n_lost;
		reporter->n_done++;
		return 0;
	case HAKC_RESULT_WORKER_DONE:
		reporter->n_done++;
		return 0;
	default:
		return -EBADMSG;
	}
}

static int collect(struct reporter *reporter)
{
	int fd = reporter->channels->results_out;
	int r = 0;

	while (r == 0 && reporter->n_done < reporter->crew->n_children) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		struct hakc_result result;

		if (poll(&ready, 1, LOOK_EVERY_MS) > 0) {
			r = hakc_channel_receive(fd, &result, sizeof(result));
			if (r == 0)
				r = -ECHILD;
			else if (r > 0)
				r = take(reporter, &result);
		}
		if (r == 0)
			r = look_around(reporter);
	}
	clear_progress(reporter);
	return r;
}

int hakc_reporter_run(struct hakc_channels *channels, struct hakc_crew *crew,
		      struct hakc_report *report)
{
	struct reporter reporter = {.channels = channels,
				    .crew = crew,
				    .report = report,
				    .looked_at = hakc_now(),
				    .shows_progress = isatty(STDERR_FILENO)};
	int r = collect(&reporter);

	if (r < 0) {
		/* Likely a child's death is the cause; it may take a moment to show. */
		const struct timespec pause = {.tv_nsec = 100000000};

		nanosleep(&pause, NULL);
		look_at_children(crew, WNOHANG, false);
		fprintf(stderr, "hakmem-demo: the count failed (%s)\n",
			r == -ECHILD ? "a process of it has gone" : strerror(-r));
		return r;
	}
	if (report->counts.n_words > 0)
		hakmem_trim(); /* frees that still wait in a cache reach their owners while these live */
	hakc_channels_close(&channels->control_in);
	r = look_at_children(crew, 0, true);
	if (r == 0 && reporter.n_sent != report->n_files) {
		fprintf(stderr, "hakmem-demo: %" PRIu64 " files were sent, %" PRIu64 " came back\n",
			reporter.n_sent, report->n_files);
		r = -EBADMSG;
	}
	return r;
}

void hakc_crew_end(struct hakc_crew *crew)
{
	for (unsigned i = 0; i < crew->n_children; i++)
		if (crew->pids[i] > 0)
			kill(crew->pids[i], SIGTERM);
	for (unsigned i = 0; i < crew->n_children; i++) {
		while (crew->pids[i] > 0 && waitpid(crew->pids[i], NULL, 0) < 0 && errno == EINTR)
			;
		crew->pids[i] = 0;
	}
}

int hakc_report_print(const struct hakc_report *report)
{
	const struct hakc_count **sorted = hakc_counts_sort(&report->counts);
	double seconds = report->seconds > 0 ? report->seconds : 1e-9;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < report->counts.n_distinct && i < TOP_WORDS; i++)
		printf("%12" PRIu64 "  %.*s\n", sorted[i]->count, (int)sorted[i]->length,
		       sorted[i]->text);
	free(sorted);
	printf("files: %" PRIu64 "\n", report->n_files);
	printf("bytes: %" PRIu64 "\n", report->bytes);
	printf("words: %" PRIu64 " (%zu distinct)\n", report->counts.n_words,
	       report->counts.n_distinct);
	printf("blocks allocated: %" PRIu64 "\n", report->n_allocated);
	printf("seconds: %.3f\n", report->seconds);
	printf("MB/s: %.1f\n", (double)report->bytes / 1e6 / seconds);
	printf("unreadable files: %" PRIu64 "\n", report->n_unreadable);
	printf("binary files: %" PRIu64 "\n", report->n_binary);
	if (report->n_lost)
		printf("files without memory: %" PRIu64 "\n", report->n_lost);
	return 0;
}
