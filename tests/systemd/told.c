/* SPDX-License-Identifier: MIT */
/*
 * A client that does what it is told, a word a line of stdin, and answers each by a line:
 *   fill N    N MiB more, in blocks of 256 bytes to 1 MiB, each with contents
 *   check     are the contents of all blocks what was written?
 *   free      frees all blocks
 *   attach    detaches, and attaches anew
 *   pid       ours
 * "ok", or the name of the errno and what it was about. Ends with stdin.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"

#define MIB	   ((size_t)1 << 20)
#define BLOCKS_MAX (1u << 20)

static struct block {
	unsigned char *bytes;
	size_t n;
} blocks[BLOCKS_MAX];
static unsigned n_blocks;

static unsigned char content_of(unsigned i)
{
	return (unsigned char)(i * 7 + 1);
}

static int fill(size_t bytes)
{
	size_t size = 256;

	for (size_t done = 0; done < bytes; done += size) {
		size = size < MIB ? size * 2 : 256;
		if (n_blocks == BLOCKS_MAX)
			return E2BIG;
		blocks[n_blocks].bytes = hakmem_malloc(size);
		if (!blocks[n_blocks].bytes)
			return errno;
		blocks[n_blocks].n = size;
		memset(blocks[n_blocks].bytes, content_of(n_blocks), size);
		n_blocks++;
	}
	return 0;
}

static int check(void)
{
	for (unsigned i = 0; i < n_blocks; i++)
		for (size_t at = 0; at < blocks[i].n; at++)
			if (blocks[i].bytes[at] != content_of(i))
				return EBADMSG;
	return 0;
}

static int free_all(void)
{
	while (n_blocks > 0)
		hakmem_free(blocks[--n_blocks].bytes);
	return 0;
}

static int attach_anew(void)
{
	int r = hakmem_detach();

	n_blocks = 0;
	return r < 0 ? -r : -hakmem_attach(NULL);
}

static int obey(const char *line)
{
	size_t mib;

	if (sscanf(line, "fill %zu", &mib) == 1)
		return fill(mib * MIB);
	if (strcmp(line, "check\n") == 0)
		return check();
	if (strcmp(line, "free\n") == 0)
		return free_all();
	if (strcmp(line, "attach\n") == 0)
		return attach_anew();
	return strcmp(line, "pid\n") == 0 ? printf("%d\n", (int)getpid()), -1 : EINVAL;
}

int main(void)
{
	char line[64];
	int r = -hakmem_attach(NULL);

	printf("%s\n", r == 0 ? "ok" : strerrorname_np(r));
	fflush(stdout);
	while (r == 0 && fgets(line, sizeof(line), stdin)) {
		int error = obey(line);

		if (error >= 0)
			printf("%s\n", error == 0 ? "ok" : strerrorname_np(error));
		fflush(stdout);
	}
	return r != 0;
}
