/* SPDX-License-Identifier: MIT */
/*
 * The daemon's configuration: the first line is flags, separated by blanks, the rest is
 * the file. Whatever it is, it is refused, or all settings are what the help says.
 */
#include "daemon/config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/util/log.h"
#include "proto/shm/registry.h"
#include "tests/fuzz/input.h"

enum { FLAGS = 16, FLAG_BYTES = 512 };

static char line[FLAG_BYTES];
static char *flags[FLAGS + 4];

static void expect_sound_pool(const struct hakd_pool_config *pool)
{
	struct hak_geometry geometry;

	HAKT_CLAIM(memchr(pool->name, 0, sizeof(pool->name)));
	HAKT_CLAIM(hakd_config_is_pool_name(pool->name));
	HAKT_CLAIM(hak_geometry_init(&geometry, pool->capacity, pool->superslab_lg) == 0);
	HAKT_CLAIM(pool->limit > 0 && pool->limit <= pool->capacity);
	HAKT_CLAIM(pool->keep <= 86400);
}

static void expect_sound(const struct hakd_config *config)
{
	HAKT_CLAIM(config->n_pools >= 1 && config->n_pools <= HAKD_POOLS_MAX);
	for (unsigned i = 0; i < config->n_pools; i++) {
		expect_sound_pool(&config->pools[i]);
		HAKT_CLAIM(hakd_config_pool(config, config->pools[i].name) == &config->pools[i]);
	}
	HAKT_CLAIM(memchr(config->socket, 0, sizeof(config->socket)) && *config->socket);
	HAKT_CLAIM(config->idle_exit <= 31536000);
	HAKT_CLAIM(config->socket_mode >= 0600 && config->socket_mode <= 0777);
	HAKT_CLAIM(config->log_level >= HAKD_LOG_ERROR && config->log_level <= HAKD_LOG_DEBUG);
}

/* The first line's words become flags; how long it is. */
static int split(const uint8_t *bytes, size_t n, size_t *ret_length)
{
	const uint8_t *end = memchr(bytes, '\n', n);
	size_t length = end ? (size_t)(end - bytes) + 1 : 0;
	char *rest = line, *word;
	int count = 0;

	*ret_length = length;
	if (length > sizeof(line))
		length = sizeof(line);
	if (length > 0)
		memcpy(line, bytes, length);
	line[length > 0 ? length - 1 : 0] = 0;
	while ((word = strsep(&rest, " ")) && count < FLAGS)
		if (*word)
			flags[3 + count++] = word;
	return count;
}

static int make_file(const uint8_t *bytes, size_t n, char path[32])
{
	int fd = memfd_create("config", MFD_CLOEXEC);

	HAKT_CLAIM(fd >= 0);
	HAKT_CLAIM(write(fd, bytes, n) == (ssize_t)n);
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

/* Nothing of what the caller's environment says. */
static void forget_environment(void)
{
	unsetenv("HAKMEM_SOCKET");
	unsetenv("HAKMEM_LOG");
	unsetenv("XDG_RUNTIME_DIR");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static char program[] = "hakmemd", option[] = "--config";
	struct hakd_config config, again;
	char path[32];
	size_t length;
	int count, fd, r;

	forget_environment();
	count = n > 0 ? split(bytes, n, &length) : 0;
	fd = n > 0 ? make_file(bytes + length, n - length, path) : make_file(bytes, 0, path);
	flags[0] = program;
	flags[1] = option;
	flags[2] = path;
	flags[3 + count] = NULL;
	optind = 0;
	opterr = 0;
	r = hakd_config_init(&config, 3 + count, flags);
	HAKT_CLAIM(r == 0 || r == 1 || r == -EINVAL);
	if (r == 0) {
		expect_sound(&config);
		optind = 0; /* the same words say the same again */
		HAKT_CLAIM(hakd_config_init(&again, 3 + count, flags) == 0);
		HAKT_CLAIM(again.n_pools == config.n_pools);
		HAKT_CLAIM(memcmp(again.pools, config.pools,
				  again.n_pools * sizeof(again.pools[0])) == 0);
	}
	close(fd);
	return 0;
}
