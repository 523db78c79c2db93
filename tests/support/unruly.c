/* SPDX-License-Identifier: MIT */
/*
 * Stands for a daemon under a supervisor. unruly fail: says why, exit code 7. unruly silent:
 * is never ready. unruly deaf: neither, and ends by SIGKILL alone. unruly flood: is ready, then
 * sends as fast as it can what a daemon shouldn't.
 */
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/send_fds.h"

static void flood(int fd)
{
	static char garbage[9000];
	int fds[100];
	unsigned seed = 1;

	for (size_t i = 0; i < sizeof(garbage); i++) /* lines, zeros, bytes that are no text */
		garbage[i] = (char)((seed = seed * 1103515245u + 12345u) >> 16);
	for (unsigned i = 0; i < 100; i++)
		fds[i] = fd;
	(void)hakt_send_fds(fd, "READY=1", 7, NULL, 0);
	for (unsigned i = 0; i < 3 && fork() > 0; i++) /* more than one reads away */
		;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned i = 0;; i++) {
		const char *text = i % 5 == 0	? "FDSTORE=1\nFDNAME=twice"
				   : i % 5 == 1 ? "FDNAME=what=for:this"
				   : i % 5 == 2 ? "FDSTOREREMOVE=1\nFDNAME=\nFDSTORE=1"
						: garbage;

		(void)hakt_send_fds(fd, text, text == garbage ? i % sizeof(garbage) : strlen(text),
				    fds, i % 100);
	}
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "", *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (strcmp(mode, "fail") == 0) {
		fputs("unruly: does not start\n", stderr);
		return 7;
	}
	if (!name || fd < 0 || strlen(name) >= sizeof(address.sun_path))
		return 1;
	strcpy(address.sun_path + 1, name + 1);
	if (connect(fd, (struct sockaddr *)&address,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))) != 0)
		return 1;
	if (strcmp(mode, "deaf") == 0) {
		signal(SIGINT, SIG_IGN);
		signal(SIGTERM, SIG_IGN);
	}
	fprintf(stderr, "unruly %d %s\n", (int)getpid(), getenv("LISTEN_FDNAMES"));
	if (strcmp(mode, "flood") == 0)
		flood(fd);
	for (;;)
		pause();
}
