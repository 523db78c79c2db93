/* SPDX-License-Identifier: MIT */
/*
 * MADV_COLLAPSE makes a huge page of a piece of which one page is there, also
 * where the system's settings keep files in memory from getting any: cheaper
 * than 512 small ones, and the kernel says whether it has. It is given its one
 * page by fallocate: a page that our page table maps too costs it more, and one
 * that can't be had is an errno, where a store would be SIGBUS. A kernel
 * without it may have MADV_HUGEPAGE: then the touch of one page brings 512.
 *
 * Nothing is decided for good, since a try may fail for want of a huge page
 * today, or because a client meddles with the file. After a failure some pieces
 * are left out, twice as many after each further one: looking for a huge page
 * in vain may take the kernel milliseconds.
 */
#include "daemon/mem/huge.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define PAGE	  4096u
#define PAUSE_MAX 64u

static int collapse(int fd, void *memory, uint64_t at)
{
	if (fallocate(fd, 0, (off_t)at, PAGE) != 0 ||
	    madvise(memory, HAKD_HUGE_BYTES, MADV_COLLAPSE) != 0)
		return -errno;
	return 0;
}

static int advise(int fd, void *memory, uint64_t at)
{
	unsigned char is_there[HAKD_HUGE_BYTES / PAGE];

	/* The page that collapse was given would stay the only one. */
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, PAGE) != 0 ||
	    madvise(memory, HAKD_HUGE_BYTES, MADV_HUGEPAGE) != 0 ||
	    madvise(memory, PAGE, MADV_POPULATE_WRITE) != 0 ||
	    mincore(memory, HAKD_HUGE_BYTES, is_there) != 0)
		return -errno;
	for (unsigned i = 0; i < sizeof(is_there); i++)
		if (!(is_there[i] & 1))
			return -EOPNOTSUPP;
	return 0;
}

/* Relaxed in all of this file: each word is a guess about the next try, and decides nothing else. */
static void note(struct hakd_huge *huge, enum hakd_huge_method method, int error)
{
	uint32_t failures = hak_load_relaxed(&huge->failures);

	hak_store_relaxed(&huge->error, (uint32_t)-error);
	hak_store_relaxed(&huge->method, (uint32_t)method);
	if (error == 0) {
		hak_store_relaxed(&huge->failures, 0);
		return;
	}
	hak_store_relaxed(&huge->pause, failures < 6 ? 1u << failures : PAUSE_MAX);
	hak_store_relaxed(&huge->failures, failures + 1);
}

int hakd_huge_try(struct hakd_huge *huge, int fd, void *memory, uint64_t at)
{
	uint32_t pause = hak_load_relaxed(&huge->pause);
	int r;

	if (pause > 0) {
		hak_store_relaxed(&huge->pause, pause - 1);
		return -EAGAIN;
	}
	r = collapse(fd, memory, at);
	if (r == 0) {
		note(huge, HAKD_HUGE_COLLAPSE, 0);
		return 0;
	}
	if (r == -EINVAL && advise(fd, memory, at) == 0) { /* a kernel that has no collapse */
		note(huge, HAKD_HUGE_ADVISE, 0);
		return 0;
	}
	note(huge, HAKD_HUGE_NONE, r);
	return -EAGAIN;
}

const char *hakd_huge_text(const struct hakd_huge *huge, char text[96])
{
	uint32_t error = hak_load_relaxed(&huge->error);

	switch (hak_load_relaxed(&huge->method)) {
	case HAKD_HUGE_COLLAPSE:
		return "collapse";
	case HAKD_HUGE_ADVISE:
		return "advise";
	default:
		if (error == 0)
			return "none: not tried yet";
		if (error == EINVAL)
			return "none: the kernel or its settings refuse them";
		if (error == ENOMEM)
			return "none: the machine has no free huge page";
		snprintf(text, 96, "none: %s", strerror((int)error));
		return text;
	}
}
