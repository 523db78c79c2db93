/* SPDX-License-Identifier: MIT */
/*
 * A program that allocates in a function whose name is known, by which a profile has to call it,
 * however it was linked: COUNT blocks of each SIZE, by each way to allocate in turn. Says "made", and
 * waits for a line.
 */
#include <stdio.h>
#include <stdlib.h>

#include "client_lib/include/hakmem.h"

static __attribute__((noinline)) void *allocate_in_a_known_function(int how, size_t size)
{
	void *volatile block = NULL; /* no call is a last one, so that it has a frame */

	switch (how) {
	case 0:
		block = hakmem_malloc(size);
		break;
	case 1:
		block = hakmem_calloc(1, size);
		break;
	case 2:
		block = hakmem_aligned_alloc(64, size);
		break;
	default:
		block = hakmem_realloc(hakmem_malloc(16), size);
	}
	return block;
}

int main(int argc, char **argv)
{
	if (argc < 3 || hakmem_attach(NULL) != 0)
		return 1;
	for (int i = 2; i < argc; i++)
		for (int n = atoi(argv[1]); n > 0; n--)
			if (!allocate_in_a_known_function(n % 4, (size_t)atoi(argv[i])))
				return 1;
	puts("made");
	fflush(stdout);
	getchar();
	return 0;
}
