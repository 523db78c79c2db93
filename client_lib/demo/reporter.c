/* SPDX-License-Identifier: MIT */
/*
 * The reporter: takes each table, so that its worker may die from then on, merges
 * it into a private one and frees it. It decides what has been counted: each
 * number once, whichever worker's table comes first.
 */
#include "client_lib/demo/reporter.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SHOW_EVERY_MS 200
#define TOP_WORDS     20
#define SPACE_FIRST   1024

struct reporter {
	int results, done;
	struct hakc_report report;
	bool *is_done; /* by number */
	size_t n_space;
	uint64_t n_done;
	uint64_t n_sent; /* files, as the reader says when it has been through */
	bool is_all_sent;
	bool shows_progress;
	double shown_at;
};

double hakc_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void show_progress(struct reporter *reporter)
{
	const struct hakc_report *report = &reporter->report;
	double now = hakc_now();

	if (!reporter->shows_progress || (now - reporter->shown_at) * 1000 < SHOW_EVERY_MS)
		return;
	reporter->shown_at = now;
	fprintf(stderr, "\r\033[K%" PRIu64 " files, %.1f MB, %" PRIu64 " words", report->n_files,
		(double)report->bytes / 1e6, report->counts.n_words);
}

static int make_space(struct reporter *reporter, uint64_t number)
{
	size_t n = reporter->n_space ? reporter->n_space : SPACE_FIRST;
	bool *is_done;

	while (n <= number)
		n *= 2;
	if (n == reporter->n_space)
		return 0;
	is_done = realloc(reporter->is_done, n * sizeof(*is_done));
	if (!is_done)
		return -ENOMEM;
	memset(is_done + reporter->n_space, 0, (n - reporter->n_space) * sizeof(*is_done));
	reporter->is_done = is_done;
	reporter->n_space = n;
	return 0;
}

/* 0: the words are counted; -ESTALE: the table died with its worker, nothing has changed. */
static int take_table(struct reporter *reporter, const struct hakc_result *result)
{
	void *table;
	int r;

	if (result->table == 0)
		return 0;
	r = hakmem_take(result->table, &table);
	if (r == 0) {
		r = hakc_counts_merge(&reporter->report.counts, table, hakmem_usable_size(table));
		hakmem_free(table);
	}
	if (r < 0 && r != -ESTALE)
		fprintf(stderr, "hakmem-demo: the words of file %" PRIu64 " can't be merged (%s)\n",
			result->number, strerror(-r));
	return r;
}

/* The second table of a file that is done. */
static void drop_table(const struct hakc_result *result)
{
	void *table;

	if (result->table && hakmem_take(result->table, &table) == 0)
		hakmem_free(table);
}

static int count(struct reporter *reporter, const struct hakc_result *result)
{
	struct hakc_report *report = &reporter->report;
	int r = make_space(reporter, result->number);

	if (r < 0)
		return r;
	if (reporter->is_done[result->number]) {
		drop_table(result);
		return 0;
	}
	r = take_table(reporter, result);
	if (r == -ESTALE)
		return 0; /* the reader hands the file out again */
	if (r < 0)
		return r;
	reporter->is_done[result->number] = true;
	reporter->n_done++;
	if (result->kind == HAKC_RESULT_GONE) {
		report->n_unreadable++;
	} else {
		report->n_files++;
		report->bytes += result->bytes;
		report->n_lost += result->kind == HAKC_RESULT_LOST;
		report->n_binary += result->is_binary != 0;
		report->n_allocated += result->n_allocated;
	}
	return hakc_channel_send(reporter->done, &result->number, sizeof(result->number));
}

static int hear(struct reporter *reporter, const struct hakc_result *result)
{
	switch (result->kind) {
	case HAKC_RESULT_FILE:
	case HAKC_RESULT_LOST:
	case HAKC_RESULT_GONE:
		return count(reporter, result);
	case HAKC_RESULT_ALL_SENT:
		reporter->is_all_sent = true;
		reporter->n_sent = result->reader.n_files;
		reporter->report.n_unreadable += result->reader.n_unreadable;
		reporter->report.n_lost += result->reader.n_lost;
		return 0;
	default:
		return -EBADMSG;
	}
}

static int collect(struct reporter *reporter)
{
	struct hakc_result result;
	int r = 0;

	while (r == 0 && !(reporter->is_all_sent && reporter->n_done == reporter->n_sent)) {
		r = hakc_channel_receive(reporter->results, &result, sizeof(result));
		if (r == 0)
			r = -EPIPE;
		else if (r > 0)
			r = hear(reporter, &result);
		show_progress(reporter);
	}
	if (reporter->shows_progress)
		fputs("\r\033[K", stderr);
	return r;
}

static int print(const struct hakc_report *report)
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

int hakc_reporter_run(const struct hakc_channels *channels, char *const *folders, bool verifies,
		      double started)
{
	static char name[] = "demo-reporter";
	struct hakc_channels own = *channels;
	struct reporter reporter = {.results = own.results_out,
				    .done = own.done_in,
				    .shows_progress = isatty(STDERR_FILENO),
				    .shown_at = hakc_now()};
	int r;

	program_invocation_short_name = name;
	hakc_channel_close(&own.crew_in);
	hakc_channel_close(&own.crew_out);
	hakc_channel_close(&own.results_in);
	hakc_channel_close(&own.done_out);
	r = collect(&reporter);
	reporter.report.seconds = hakc_now() - started;
	hakmem_detach(); /* -ENOTCONN if there was nothing to take */
	if (r < 0)
		fprintf(stderr, "hakmem-demo: the count failed (%s)\n",
			r == -EPIPE ? "a process of it has gone" : strerror(-r));
	else
		r = print(&reporter.report);
	if (r == 0 && verifies)
		r = hakc_verify_run(&reporter.report, folders);
	if (r == 0 && reporter.report.n_lost)
		r = -ENOMEM;
	hakc_counts_deinit(&reporter.report.counts);
	free(reporter.is_done);
	return r == 0 && fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
