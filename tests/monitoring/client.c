/* SPDX-License-Identifier: MIT */
/*
 * A client that does what stdin says, a line each, and says on stdout when it has:
 *   fill    allocates until its pool has nothing left
 *   ref     allocates a block and says its ref
 *   take N  takes the block of that ref
 *   leave   frees all, detaches, and ends
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client_lib/include/hakmem.h"

enum { BLOCKS_MAX = 4096, SPAN_BYTES = 1 << 20, SMALL_BYTES = 1000 };

static void *blocks[BLOCKS_MAX];
static unsigned n_blocks;

static void say(const char *what)
{
	puts(what);
	fflush(stdout);
}

static void keep(void *block)
{
	if (!block || n_blocks == BLOCKS_MAX)
		exit(1);
	blocks[n_blocks++] = block;
}

static void fill(void)
{
	void *block;

	while ((block = hakmem_malloc(SPAN_BYTES)))
		keep(block);
	if (errno != ENOMEM)
		exit(1);
	say("full");
}

/* The block is whose takes it. */
static void refer(void)
{
	void *block = hakmem_malloc(SMALL_BYTES);

	if (!block)
		exit(1);
	printf("ref %llu\n", (unsigned long long)hakmem_ref(block));
	fflush(stdout);
}

static void take(const char *ref)
{
	void *block;

	if (hakmem_take(strtoull(ref, NULL, 10), &block) < 0)
		exit(1);
	keep(block);
	say("taken");
}

int main(void)
{
	char line[64];

	if (hakmem_attach(NULL) < 0)
		return 1;
	say("attached");
	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "fill\n") == 0)
			fill();
		else if (strcmp(line, "ref\n") == 0)
			refer();
		else if (strncmp(line, "take ", 5) == 0)
			take(line + 5);
		else
			break;
	}
	while (n_blocks > 0)
		hakmem_free(blocks[--n_blocks]);
	return hakmem_detach() < 0;
}
