/* SPDX-License-Identifier: MIT */
/*
 * bench-overhead SIZE: fills the pool with blocks of one size until there is no
 * memory, says `blocks N private BYTES`, and holds them until stdin ends. Of
 * this process `private` is what the library has made it need besides the pool.
 * Who started it asks the daemon meanwhile what the pool takes: bench/overhead.sh.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/support/bench.h"
#include "client_lib/include/hakmem.h"

/* Anonymous memory that this process has, bytes. */
static unsigned long long private_bytes(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long long kib = 0;
	char line[128];

	if (!file)
		bench_fail("/proc/self/status");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "RssAnon: %llu kB", &kib) == 1)
			break;
	fclose(file);
	return kib * 1024;
}

int main(int argc, char **argv)
{
	unsigned long long before, n = 0;
	char *end = "";
	char byte;
	size_t size = argc == 2 ? strtoull(argv[1], &end, 10) : 0;

	if (size == 0 || *end) {
		fprintf(stderr, "usage: %s SIZE\n", argv[0]);
		return 2;
	}
	bench_expect("hakmem_malloc");
	before = private_bytes();
	for (char *block; (block = hakmem_malloc(size)); n++)
		*block = 1;
	if (errno != ENOMEM || n == 0)
		bench_fail("allocating");
	printf("blocks %llu private %llu\n", n, private_bytes() - before);
	fflush(stdout);
	return read(STDIN_FILENO, &byte, 1) < 0;
}
