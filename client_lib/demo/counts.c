/* SPDX-License-Identifier: MIT */
/* The private table: chains in plain malloc, doubled at a word a bucket. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client_lib/demo/table.h"

#define BUCKETS_FIRST 1024

static int grow(struct hakc_counts *counts)
{
	size_t n = counts->n_buckets ? counts->n_buckets * 2 : BUCKETS_FIRST;
	struct hakc_count **to = calloc(n, sizeof(struct hakc_count *));

	if (!to)
		return -ENOMEM;
	for (size_t i = 0; i < counts->n_buckets; i++) {
		struct hakc_count *entry = counts->buckets[i];

		while (entry) {
			struct hakc_count *next = entry->next;

			entry->next = to[entry->hash & (n - 1)];
			to[entry->hash & (n - 1)] = entry;
			entry = next;
		}
	}
	free(counts->buckets);
	counts->buckets = to;
	counts->n_buckets = n;
	return 0;
}

static struct hakc_count *find(const struct hakc_counts *counts, uint32_t hash, const char *word,
			       size_t length)
{
	struct hakc_count *entry;

	if (counts->n_buckets == 0)
		return NULL;
	entry = counts->buckets[hash & (counts->n_buckets - 1)];
	while (entry && (entry->hash != hash || entry->length != length ||
			 memcmp(entry->text, word, length) != 0))
		entry = entry->next;
	return entry;
}

int hakc_counts_add(struct hakc_counts *counts, const char *word, size_t length, uint64_t count)
{
	uint32_t hash = hakc_words_hash(word, length);
	struct hakc_count *entry = find(counts, hash, word, length);
	struct hakc_count **bucket;

	if (!entry) {
		if (counts->n_distinct >= counts->n_buckets && grow(counts) < 0)
			return -ENOMEM;
		entry = malloc(sizeof(*entry) + length);
		if (!entry)
			return -ENOMEM;
		bucket = &counts->buckets[hash & (counts->n_buckets - 1)];
		*entry = (struct hakc_count){
			.next = *bucket, .hash = hash, .length = (uint32_t)length};
		memcpy(entry->text, word, length);
		*bucket = entry;
		counts->n_distinct++;
	}
	entry->count += count;
	counts->n_words += count;
	return 0;
}

uint64_t hakc_counts_lookup(const struct hakc_counts *counts, const char *word, size_t length)
{
	struct hakc_count *entry = find(counts, hakc_words_hash(word, length), word, length);

	return entry ? entry->count : 0;
}

static int compare(const void *left, const void *right)
{
	const struct hakc_count *a = *(const struct hakc_count *const *)left;
	const struct hakc_count *b = *(const struct hakc_count *const *)right;
	uint32_t common = a->length < b->length ? a->length : b->length;
	int r;

	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	r = memcmp(a->text, b->text, common);
	return r ? r : (a->length > b->length) - (a->length < b->length);
}

const struct hakc_count **hakc_counts_sort(const struct hakc_counts *counts)
{
	const struct hakc_count **sorted = malloc((counts->n_distinct + 1) * sizeof(*sorted));
	size_t n = 0;

	if (!sorted)
		return NULL;
	for (size_t i = 0; i < counts->n_buckets; i++)
		for (const struct hakc_count *entry = counts->buckets[i]; entry;
		     entry = entry->next)
			sorted[n++] = entry;
	qsort(sorted, n, sizeof(*sorted), compare);
	return sorted;
}

void hakc_counts_deinit(struct hakc_counts *counts)
{
	for (size_t i = 0; i < counts->n_buckets; i++) {
		struct hakc_count *entry = counts->buckets[i];

		while (entry) {
			struct hakc_count *next = entry->next;

			free(entry);
			entry = next;
		}
	}
	free(counts->buckets);
	*counts = (struct hakc_counts){0};
}
