/* SPDX-License-Identifier: MIT */
#include "tests/support/run.h"

#include "tests/support/still.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/shm/atomic.h"

#define START_MS UINT64_C(1000000)

static hak_u64 *ms;

void hakt_still_start(struct hakt_daemon *daemon, const char *modules, const char *const *options)
{
	const uint64_t start = START_MS;
	char path[128];
	int fd;

	hakt_daemon_prepare(daemon);
	hakt_directory_write(daemon->directory, "still", &start, sizeof(start));
	snprintf(path, sizeof(path), "%s/still", daemon->directory);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	ms = mmap(NULL, sizeof(*ms), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(ms != MAP_FAILED);
	close(fd);
	setenv("HAKT_STILL", path, 1);
	setenv("LD_PRELOAD", modules, 1);
	setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
	hakt_daemon_fork(daemon, options, NULL, NULL);
	unsetenv("LD_PRELOAD");
	unsetenv("HAKT_STILL");
	hakt_daemon_wait_listening(daemon);
}

void hakt_still_pass(unsigned by)
{
	hak_add_relaxed(ms, by); /* a number by itself */
}

int hakt_still_stop(struct hakt_daemon *daemon)
{
	/* Who still waits for a grace is looked at by time. */
	for (unsigned i = 0; i < 1000 && !hakt_daemon_is_empty(daemon); i++) {
		hakt_still_pass(10);
		usleep(10000);
	}
	munmap(ms, sizeof(*ms));
	return hakt_daemon_stop_empty(daemon);
}

void hakt_still_wait_counter(const struct hakt_daemon *daemon, const char *name, unsigned value)
{
	for (unsigned i = 0; i < 6000; i++) {
		if (hakt_daemon_counter(daemon, name) == value)
			return;
		usleep(10000);
	}
	fail_msg("after 60 s %s is %llu", name, hakt_daemon_counter(daemon, name));
}
