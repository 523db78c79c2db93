/* SPDX-License-Identifier: MIT */
#ifndef HAKC_DEMO_TABLE_H
#define HAKC_DEMO_TABLE_H

/*
 * Words and their counts, three times: the table that a worker fills, of many
 * blocks of the shared heap; the one block that it is packed into and given away
 * as; and the reporter's private one of plain malloc.
 */

#include <stddef.h>
#include <stdint.h>

#include "client_lib/demo/words.h"

/*
 * A word of a table that is being filled. Nobody else sees it, so its links are
 * plain pointers. When the worker is killed these are thousands of blocks that
 * the daemon finds.
 */
struct hakc_node {
	struct hakc_node *next;
	uint64_t count;
	uint32_t hash;
	uint32_t length;
	char text[];
};

struct hakc_table {
	struct hakc_node **buckets; /* a block; NULL: no table */
	uint64_t n_buckets;	    /* a power of two */
	uint64_t n_nodes;
	uint64_t n_words;
	uint64_t n_allocated; /* blocks, those of smaller bucket arrays included */
};

/* 0 or a negative errno. */
int hakc_table_init(struct hakc_table *table);
int hakc_table_add(struct hakc_table *table, const char *word, size_t length);

void hakc_table_deinit(struct hakc_table *table);

/*
 * A packed table: one block, this and then n_distinct words, each with its count,
 * one behind the other. Without addresses, so good wherever the pool is mapped.
 */
struct hakc_packed {
	uint64_t n_bytes; /* all of it */
	uint64_t n_distinct;
	uint64_t n_words;
};

/* In a new block of the shared heap; the table stays. NULL and errno. */
struct hakc_packed *hakc_table_pack(const struct hakc_table *table);

/* A private table. Zeroed is empty. */
struct hakc_count {
	struct hakc_count *next;
	uint64_t count;
	uint32_t hash;
	uint32_t length;
	char text[];
};

struct hakc_counts {
	struct hakc_count **buckets;
	size_t n_buckets;
	size_t n_distinct;
	uint64_t n_words;
};

/* 0 or -ENOMEM. */
int hakc_counts_add(struct hakc_counts *counts, const char *word, size_t length, uint64_t count);

/* The word's count; 0: it is not there. */
uint64_t hakc_counts_lookup(const struct hakc_counts *counts, const char *word, size_t length);

/*
 * Adds a packed table, of so many bytes at most, to counts. 0; -ENOMEM; -EBADMSG:
 * it isn't what its numbers say.
 */
int hakc_counts_merge(struct hakc_counts *counts, const struct hakc_packed *packed,
		      size_t bytes_most);

/* All words, the most frequent first, then by alphabet; to be freed. NULL: no memory. */
const struct hakc_count **hakc_counts_sort(const struct hakc_counts *counts);

void hakc_counts_deinit(struct hakc_counts *counts);

#endif
