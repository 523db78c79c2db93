/* SPDX-License-Identifier: MIT */
/*
 * container-client MEBIBYTES: attaches, allocates and fills so much, says
 * "held BYTES pid OURS" and waits for its end. What fails is said, and 1.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"

#define BLOCK_BYTES (UINT64_C(1) << 20)

int main(int argc, char **argv)
{
	unsigned long n = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
	int r = hakmem_attach(NULL);

	if (r < 0 || n == 0)
		return fprintf(stderr, "container-client: %s\n", n ? strerror(-r) : "how many?"), 1;
	for (unsigned long i = 0; i < n; i++) {
		char *block = hakmem_malloc(BLOCK_BYTES);

		if (!block)
			return fprintf(stderr, "container-client: block %lu: %s\n", i,
				       strerror(errno)),
			       1;
		memset(block, 'c', BLOCK_BYTES);
	}
	printf("held %llu pid %d\n", (unsigned long long)(n * BLOCK_BYTES), (int)getpid());
	fflush(stdout);
	for (;;)
		pause();
}
