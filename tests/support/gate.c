/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a daemon: its flock waits until the file that HAKT_GATE names
 * is there, so that a test can do something between its open and its flock.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((visibility("default"))) int flock(int fd, int operation);

int flock(int fd, int operation)
{
	static const char text[] = "at the gate\n";
	const char *gate = getenv("HAKT_GATE");

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		return -1;
	while (gate && access(gate, F_OK) != 0)
		usleep(1000);
	return (int)syscall(SYS_flock, fd, operation);
}
