/* SPDX-License-Identifier: MIT */
/*
 * The table that a worker fills: a block of bucket heads and a block a word. It
 * doubles when it holds a word a bucket, and stays as it is where there is no
 * memory to double. Giving it away block by block would be as many tickets as
 * words, and a worker could die between two of them; so it is packed into one
 * block: one ticket, which is taken or is not.
 */
#include "client_lib/demo/table.h"

#include <errno.h>
#include <string.h>

#include "client_lib/include/hakmem.h"

#define BUCKETS_FIRST 256

/* A word in a packed table; `text` ends at a multiple of its alignment. */
struct entry {
	uint64_t count;
	uint64_t length;
	char text[];
};

static size_t entry_bytes(size_t length)
{
	const size_t alignment = _Alignof(struct entry);

	return sizeof(struct entry) + (length + alignment - 1) / alignment * alignment;
}

int hakc_table_init(struct hakc_table *table)
{
	struct hakc_node **buckets = hakmem_calloc(BUCKETS_FIRST, sizeof(struct hakc_node *));

	if (!buckets)
		return -errno;
	*table = (struct hakc_table){
		.buckets = buckets, .n_buckets = BUCKETS_FIRST, .n_allocated = 1};
	return 0;
}

static void grow(struct hakc_table *table)
{
	uint64_t n = table->n_buckets * 2;
	struct hakc_node **to = hakmem_calloc(n, sizeof(struct hakc_node *));

	if (!to)
		return;
	for (uint64_t i = 0; i < table->n_buckets; i++) {
		struct hakc_node *node = table->buckets[i];

		while (node) {
			struct hakc_node *next = node->next;

			node->next = to[node->hash & (n - 1)];
			to[node->hash & (n - 1)] = node;
			node = next;
		}
	}
	hakmem_free(table->buckets);
	table->buckets = to;
	table->n_buckets = n;
	table->n_allocated++;
}

int hakc_table_add(struct hakc_table *table, const char *word, size_t length)
{
	uint32_t hash = hakc_words_hash(word, length);
	struct hakc_node **bucket = &table->buckets[hash & (table->n_buckets - 1)];
	struct hakc_node *node;

	for (node = *bucket; node; node = node->next) {
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
	*bucket = node;
	table->n_nodes++;
	table->n_words++;
	table->n_allocated++;
	if (table->n_nodes > table->n_buckets)
		grow(table);
	return 0;
}

void hakc_table_deinit(struct hakc_table *table)
{
	for (uint64_t i = 0; table->buckets && i < table->n_buckets; i++) {
		struct hakc_node *node = table->buckets[i];

		while (node) {
			struct hakc_node *next = node->next;

			hakmem_free(node);
			node = next;
		}
	}
	hakmem_free(table->buckets);
	*table = (struct hakc_table){0};
}

struct hakc_packed *hakc_table_pack(const struct hakc_table *table)
{
	size_t bytes = sizeof(struct hakc_packed);
	struct hakc_packed *packed;
	char *to;

	for (uint64_t i = 0; i < table->n_buckets; i++)
		for (const struct hakc_node *node = table->buckets[i]; node; node = node->next)
			bytes += entry_bytes(node->length);
	packed = hakmem_malloc(bytes);
	if (!packed)
		return NULL;
	*packed = (struct hakc_packed){
		.n_bytes = bytes, .n_distinct = table->n_nodes, .n_words = table->n_words};
	to = (char *)(packed + 1);
	for (uint64_t i = 0; i < table->n_buckets; i++) {
		for (const struct hakc_node *node = table->buckets[i]; node; node = node->next) {
			struct entry *entry = (struct entry *)to;

			*entry = (struct entry){.count = node->count, .length = node->length};
			memcpy(entry->text, node->text, node->length);
			to += entry_bytes(node->length);
		}
	}
	return packed;
}

int hakc_counts_merge(struct hakc_counts *counts, const struct hakc_packed *packed,
		      size_t bytes_most)
{
	size_t at = sizeof(*packed), end;
	uint64_t n_words = 0;
	int r = 0;

	if (bytes_most < sizeof(*packed) || packed->n_bytes < sizeof(*packed) ||
	    packed->n_bytes > bytes_most)
		return -EBADMSG;
	end = packed->n_bytes;
	for (uint64_t i = 0; i < packed->n_distinct && r == 0; i++) {
		const struct entry *entry = (const struct entry *)(const void *)((const char *)
											 packed +
										 at);

		if (end - at < sizeof(*entry) || entry->length > HAKC_WORD_MAX ||
		    end - at < entry_bytes(entry->length))
			return -EBADMSG;
		r = hakc_counts_add(counts, entry->text, entry->length, entry->count);
		n_words += entry->count;
		at += entry_bytes(entry->length);
	}
	return r == 0 && (at != end || n_words != packed->n_words) ? -EBADMSG : r;
}
