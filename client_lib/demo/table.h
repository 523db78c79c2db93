/* SPDX-License-Identifier: MIT */
#ifndef HAKC_DEMO_TABLE_H
#define HAKC_DEMO_TABLE_H

/*
 * Words and their counts, twice: a shared table, which one process fills and
 * another merges and frees, and a private one of plain malloc.
 */

#include <stddef.h>
#include <stdint.h>

#include "client_lib/demo/words.h"
#include "client_lib/include/hakmem.h"

/* A word in the shared heap. Linked by refs, so good wherever the pool is mapped. */
struct hakc_node {
	hakmem_ref_t next; /* 0: the last of its bucket */
	uint64_t count;
	uint32_t hash;
	uint32_t length;
	char text[];
};

/* What a process knows about a shared table; travels in a message. */
struct hakc_table {
	hakmem_ref_t buckets; /* a block of n_buckets refs of nodes; 0: no table */
	uint64_t n_buckets;   /* a power of two */
	uint64_t n_nodes;
	uint64_t n_words;
	uint64_t n_allocated; /* blocks, those of smaller bucket arrays included */
};

/* 0 or a negative errno. */
int hakc_table_init(struct hakc_table *table);
int hakc_table_add(struct hakc_table *table, const char *word, size_t length);

/* Frees whatever can be reached; for the process that fills it. */
void hakc_table_deinit(struct hakc_table *table);

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
 * Moves a shared table of any process into counts and frees its blocks. 0;
 * -ENOMEM; -EBADMSG: the table is not what its numbers say, because its process
 * died meanwhile.
 */
int hakc_counts_merge(struct hakc_counts *counts, const struct hakc_table *table);

/* All words, the most frequent first, then by alphabet; to be freed. NULL: no memory. */
const struct hakc_count **hakc_counts_sort(const struct hakc_counts *counts);

void hakc_counts_deinit(struct hakc_counts *counts);

#endif
