/* SPDX-License-Identifier: MIT */
/*
 * The shared table: a block of bucket heads and a block a word, every link a
 * ref. One process fills it, then sends its struct hakc_table and does not
 * touch it again; the receiver reads and frees. Nothing is locked, since a
 * table has one user at a time. It doubles when it holds a word a bucket, and
 * stays as it is where there is no memory to double.
 */
#include "client_lib/demo/table.h"

#include <errno.h>
#include <string.h>

#define BUCKETS_FIRST 256

static hakmem_ref_t *buckets_of(const struct hakc_table *table)
{
	return hakmem_ptr(table->buckets);
}

int hakc_table_init(struct hakc_table *table)
{
	hakmem_ref_t *buckets = hakmem_calloc(BUCKETS_FIRST, sizeof(*buckets));

	if (!buckets)
		return -errno;
	*table = (struct hakc_table){
		.buckets = hakmem_ref(buckets), .n_buckets = BUCKETS_FIRST, .n_allocated = 1};
	return 0;
}

static void grow(struct hakc_table *table)
{
	hakmem_ref_t *from = buckets_of(table);
	uint64_t n = table->n_buckets * 2;
	hakmem_ref_t *to = hakmem_calloc(n, sizeof(*to));

	if (!to)
		return;
	for (uint64_t i = 0; i < table->n_buckets; i++) {
		hakmem_ref_t ref = from[i];

		while (ref) {
			struct hakc_node *node = hakmem_ptr(ref);
			hakmem_ref_t next = node->next;

			node->next = to[node->hash & (n - 1)];
			to[node->hash & (n - 1)] = ref;
			ref = next;
		}
	}
	table->buckets = hakmem_ref(to);
	table->n_buckets = n;
	table->n_allocated++;
	hakmem_free(from);
}

int hakc_table_add(struct hakc_table *table, const char *word, size_t length)
{
	uint32_t hash = hakc_words_hash(word, length);
	hakmem_ref_t *bucket = &buckets_of(table)[hash & (table->n_buckets - 1)];
	struct hakc_node *node;

	for (hakmem_ref_t ref = *bucket; ref; ref = node->next) {
		node = hakmem_ptr(ref);
		if (node->hash == hash && node->length == length &&
		    memcmp(node->text, word, length) == 0) {
			node->count++;
			table->n_words++;
			return 0;
		}
	}
	node = hakmem_malloc(sizeof(*node) + length);
	if (!node)
		return -errno;
	*node = (struct hakc_node){
		.next = *bucket, .count = 1, .hash = hash, .length = (uint32_t)length};
	memcpy(node->text, word, length);
	*bucket = hakmem_ref(node);
	table->n_nodes++;
	table->n_words++;
	table->n_allocated++;
	if (table->n_nodes > table->n_buckets)
		grow(table);
	return 0;
}

/*
 * Goes through a table, hands each word to counts (NULL: to nobody) and frees
 * everything. Follows no more links than the table has nodes: the memory of a
 * process that died may hold anything by now.
 */
static int drain(const struct hakc_table *table, struct hakc_counts *counts)
{
	hakmem_ref_t *buckets = buckets_of(table);
	uint64_t n_nodes = 0, n_words = 0;
	int r = 0;

	if (!buckets || hakmem_usable_size(buckets) / sizeof(*buckets) < table->n_buckets)
		return -EBADMSG;
	for (uint64_t i = 0; i < table->n_buckets; i++) {
		hakmem_ref_t ref = buckets[i];

		while (ref) {
			struct hakc_node *node = hakmem_ptr(ref);

			if (!node || node->length > HAKC_WORD_MAX || n_nodes++ == table->n_nodes)
				return -EBADMSG;
			if (counts && r == 0)
				r = hakc_counts_add(counts, node->text, node->length, node->count);
			n_words += node->count;
			ref = node->next;
			hakmem_free(node);
		}
	}
	hakmem_free(buckets);
	if (n_nodes != table->n_nodes || n_words != table->n_words)
		return -EBADMSG;
	return r;
}

void hakc_table_deinit(struct hakc_table *table)
{
	if (table->buckets)
		drain(table, NULL);
	*table = (struct hakc_table){0};
}

int hakc_counts_merge(struct hakc_counts *counts, const struct hakc_table *table)
{
	return drain(table, counts);
}
