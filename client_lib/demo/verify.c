/* SPDX-License-Identifier: MIT */
/*
 * --verify: the same files and the same words, counted by one process with
 * malloc. Every word and every total must agree.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client_lib/demo/reporter.h"

#define DIFFERENCES_SHOWN 10

static int note_unreadable(void *context, const char *path, int error)
{
	struct hakc_report *own = context;

	(void)path; /* the reader has named it */
	(void)error;
	own->n_unreadable++;
	return 0;
}

static void *get(void *context, size_t bytes)
{
	(void)context;
	return malloc(bytes ? bytes : 1);
}

static int add_word(void *context, const char *word, size_t length)
{
	return hakc_counts_add(context, word, length, 1);
}

static int count_file(void *context, const char *path)
{
	struct hakc_report *own = context;
	bool is_memory;
	void *text;
	size_t bytes;
	int r = hakc_files_load(path, get, free, NULL, &text, &bytes, &is_memory);

	if (r == 1)
		return 0;
	if (r < 0)
		return is_memory ? r : note_unreadable(own, path, -r);
	own->n_files++;
	own->bytes += bytes;
	if (hakc_words_is_binary(text, bytes))
		own->n_binary++;
	else
		r = hakc_words_each(text, bytes, add_word, &own->counts);
	free(text);
	return r;
}

static unsigned compare_total(const char *what, uint64_t shared, uint64_t own)
{
	if (shared == own)
		return 0;
	printf("verify: %s: %" PRIu64 " by the processes, %" PRIu64 " by one\n", what, shared, own);
	return 1;
}

/* Prints the first words of left whose count in right is another; n_differences so far. */
static unsigned compare_words(const struct hakc_counts *left, const struct hakc_counts *right,
			      bool left_is_shared, unsigned n_differences)
{
	for (size_t i = 0; i < left->n_buckets; i++) {
		for (const struct hakc_count *w = left->buckets[i]; w; w = w->next) {
			uint64_t other = hakc_counts_lookup(right, w->text, w->length);

			/* Those that both have are reported from one side only. */
			if (other == w->count || (!left_is_shared && other != 0))
				continue;
			if (n_differences++ < DIFFERENCES_SHOWN)
				printf("verify: \"%.*s\": %" PRIu64 " by the processes, %" PRIu64
				       " by one\n",
				       (int)w->length, w->text, left_is_shared ? w->count : other,
				       left_is_shared ? other : w->count);
		}
	}
	return n_differences;
}

int hakc_verify_run(const struct hakc_report *report, char *const *folders)
{
	struct hakc_report own = {0};
	struct hakc_files_visitor visitor = {count_file, note_unreadable, &own};
	unsigned n = 0;
	int r = hakc_files_each(folders, &visitor);

	if (r < 0) {
		fprintf(stderr, "hakmem-demo: can't verify (%s)\n", strerror(-r));
		goto out;
	}
	n = compare_words(&report->counts, &own.counts, true, 0);
	n = compare_words(&own.counts, &report->counts, false, n);
	n += compare_total("files", report->n_files, own.n_files);
	n += compare_total("bytes", report->bytes, own.bytes);
	n += compare_total("words", report->counts.n_words, own.counts.n_words);
	n += compare_total("distinct words", report->counts.n_distinct, own.counts.n_distinct);
	n += compare_total("binary files", report->n_binary, own.n_binary);
	n += compare_total("unreadable files", report->n_unreadable, own.n_unreadable);
	if (n == 0)
		printf("verify: agrees (%" PRIu64 " words, %zu distinct)\n", own.counts.n_words,
		       own.counts.n_distinct);
	else
		printf("verify: %u differences\n", n);
	r = n ? -EBADMSG : 0;
out:
	hakc_counts_deinit(&own.counts);
	return r;
}
