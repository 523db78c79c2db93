/* SPDX-License-Identifier: MIT */
/*
 * A client for tests/monitoring/run.sh: attaches; after a line on stdin it allocates until its pool has
 * nothing left; after another one it frees all and leaves.
 */
#include <errno.h>
#include <stdio.h>

#include "client_lib/include/hakmem.h"

enum { BLOCKS_MAX = 4096, BYTES = 1 << 20 };

static void *blocks[BLOCKS_MAX];

static void say(const char *what)
{
	puts(what);
	fflush(stdout);
}

int main(void)
{
	char line[16];
	unsigned n = 0;

	if (hakmem_attach(NULL) < 0)
		return 1;
	say("attached");
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	while (n < BLOCKS_MAX && (blocks[n] = hakmem_malloc(BYTES)))
		n++;
	if (n == 0 || n == BLOCKS_MAX || errno != ENOMEM)
		return 1;
	say("full");
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	while (n > 0)
		hakmem_free(blocks[--n]);
	return hakmem_detach() < 0;
}
