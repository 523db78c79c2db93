/* SPDX-License-Identifier: MIT */
/*
 * A library to be preloaded that allocates as early as it can: in its constructor, in a thread
 * started there, around forks, and at the process's end. Says "early: done" on stderr then.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *kept;

static void use(size_t size)
{
	char *block = malloc(size);

	memset(block, 1, size);
	free(kept);
	kept = realloc(block, size * 3);
}

/* Of many sizes, so that the slow ways with locks are taken too. */
static void use_many(void)
{
	for (size_t size = 1; size < 4000000; size = size * 3 / 2 + 1)
		use(size);
}

static void *run(void *unused)
{
	use_many();
	return unused;
}

__attribute__((constructor)) static void start(void)
{
	pthread_t thread;

	use_many();
	pthread_atfork(use_many, use_many, use_many);
	if (!dlsym(RTLD_DEFAULT, "malloc") || dlsym(RTLD_DEFAULT, "no such name") || !dlerror())
		abort();
	if (pthread_create(&thread, NULL, run, NULL) != 0 || pthread_join(thread, NULL) != 0)
		abort();
}

__attribute__((destructor)) static void stop(void)
{
	ssize_t written;

	use_many();
	free(kept);
	kept = NULL;
	written = write(STDERR_FILENO, "early: done\n", 12);
	(void)written;
}
