/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a daemon: looking for a file's data, which each step of an audit does, waits
 * while the file that HAKT_STALL names is there. So questions take as long as a test wants.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((visibility("default"))) off_t lseek(int fd, off_t offset, int whence);

off_t lseek(int fd, off_t offset, int whence)
{
	const char *stall = getenv("HAKT_STALL");

	while (stall && whence == SEEK_DATA && access(stall, F_OK) == 0)
		usleep(1000);
	return syscall(SYS_lseek, fd, offset, whence);
}
