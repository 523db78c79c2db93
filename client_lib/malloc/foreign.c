/* SPDX-License-Identifier: MIT */
/*
 * Who made a pointer that isn't ours? A shared pool, if libhakmem is in the
 * process and says that it contains the address. The C library's allocator, if
 * the address lies in the program break's heap, its main arena: what it made
 * before we were loaded, or for callers of its internal names, is there.
 * Anything else is no block that somebody could free.
 *
 * These pointers are rare, so everything is looked up when one comes.
 */
#include "client_lib/malloc/foreign.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "client_lib/log.h"

enum maker { MAKER_NOBODY, MAKER_POOL, MAKER_NEXT };

/* A function of libhakmem, or of the allocator behind us; NULL: there is none. */
static void *lookup(enum maker maker, const char *name)
{
	return dlsym(maker == MAKER_POOL ? RTLD_DEFAULT : RTLD_NEXT, name);
}

static bool is_in_break(uintptr_t address)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	bool found = false;

	while (maps && !found && fgets(line, sizeof(line), maps)) {
		uintptr_t from, to;

		found = strstr(line, "[heap]") && sscanf(line, "%zx-%zx", &from, &to) == 2 &&
			address >= from && address < to;
	}
	if (maps)
		fclose(maps);
	return found;
}

static enum maker maker_of(const void *block)
{
	int (*contains)(const void *);

	*(void **)&contains = lookup(MAKER_POOL, "hakmem_contains");
	if (contains && contains(block))
		return MAKER_POOL;
	if ((uintptr_t)block % 16 == 0 && is_in_break((uintptr_t)block))
		return MAKER_NEXT;
	return MAKER_NOBODY;
}

void hakc_foreign_free(void *block)
{
	enum maker maker = maker_of(block);
	void (*call)(void *) = NULL;

	if (maker != MAKER_NOBODY)
		*(void **)&call = lookup(maker, maker == MAKER_POOL ? "hakmem_free" : "free");
	if (call)
		call(block);
	else
		hakc_log(HAKC_LOG_ERROR, "free of %p refused: no allocator has made it", block);
}

size_t hakc_foreign_usable_size(void *block)
{
	enum maker maker = maker_of(block);
	size_t (*call)(void *) = NULL;

	if (maker != MAKER_NOBODY)
		*(void **)&call = lookup(maker, maker == MAKER_POOL ? "hakmem_usable_size"
								    : "malloc_usable_size");
	return call ? call(block) : 0;
}

void *hakc_foreign_realloc(void *block, size_t size)
{
	enum maker maker = maker_of(block);
	void *(*call)(void *, size_t) = NULL;

	if (maker != MAKER_NOBODY)
		*(void **)&call = lookup(maker, maker == MAKER_POOL ? "hakmem_realloc" : "realloc");
	if (call)
		return call(block, size);
	hakc_log(HAKC_LOG_ERROR, "realloc of %p refused: no allocator has made it", block);
	errno = EINVAL;
	return NULL;
}
