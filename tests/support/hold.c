/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a daemon: giving back the memory of a SuperSlab or more waits
 * while the file that HAKT_HOLD names is there. So a test can do something while
 * a worker is in the middle of a collection.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LEAST (1 << 20)

__attribute__((visibility("default"))) int fallocate(int fd, int mode, off_t from, off_t bytes);

int fallocate(int fd, int mode, off_t from, off_t bytes)
{
	const char *hold = getenv("HAKT_HOLD");

	while (hold && (mode & FALLOC_FL_PUNCH_HOLE) && bytes >= LEAST && access(hold, F_OK) == 0)
		usleep(1000);
	return (int)syscall(SYS_fallocate, fd, mode, from, bytes);
}
