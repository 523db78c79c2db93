/* SPDX-License-Identifier: MIT */
/* The descriptor store of sd_notify(3) and the environment of sd_listen_fds(3), by hand. */
#include "daemon/util/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/util/log.h"

#define FIRST_FD   3
#define NAME_BYTES 64
#define NAMES_MAX  (124u << 10) /* the rest of 128 KiB is for the names of 64 pools */
#define TEXT_BYTES (NAME_BYTES + 48)

static const char *const kinds[] = {[HAKD_KEPT_CLIENT] = "c", [HAKD_KEPT_LEASE] = "l"};

void hakd_keeper_init_none(struct hakd_keeper *keeper)
{
	*keeper = (struct hakd_keeper){.socket_fd = -1};
	for (unsigned i = 0; i < HAKD_POOLS_MAX; i++)
		keeper->pools[i] = (struct hakd_kept_files){-1, -1};
	hakd_notify_init_none(&keeper->notify);
}

static void write_store(const char *name, char text[TEXT_BYTES])
{
	snprintf(text, TEXT_BYTES, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s\n", name);
}

/* Goes past a first word, and ".N" if it is there. False: it has another one, or no pool's number. */
static bool read_pool(const char **name, const char *word, unsigned *ret_pool)
{
	size_t n = strlen(word);
	const char *at = *name + n;
	char *end;

	if (strncmp(*name, word, n) != 0)
		return false;
	*ret_pool = 0;
	if (*at == '.') {
		*ret_pool = (unsigned)strtoul(at + 1, &end, 16);
		if (end == at + 1 || *ret_pool == 0 || *ret_pool >= HAKD_POOLS_MAX)
			return false;
		at = end;
	}
	*name = at;
	return true;
}

/* The first word of a pool's names. */
static void write_pool(const char *word, unsigned pool, char name[NAME_BYTES])
{
	if (pool > 0)
		snprintf(name, NAME_BYTES, "%s.%x", word, pool);
	else
		snprintf(name, NAME_BYTES, "%s", word);
}

/* Where the descriptor of a name belongs; NULL: not to those that there is one of. */
static int *place_of(struct hakd_keeper *keeper, const char *name)
{
	unsigned pool;

	if (read_pool(&name, "registry", &pool) && !*name)
		return &keeper->pools[pool].registry_fd;
	if (read_pool(&name, "heap", &pool) && !*name)
		return &keeper->pools[pool].heap_fd;
	return strcmp(name, "socket") == 0 ? &keeper->socket_fd : NULL;
}

/* KIND-SLOT-G? */
static bool read_name(const char *name, struct hakd_kept *kept)
{
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *rest = name;
		char end;

		kept->kind = (enum hakd_kept_kind)i;
		if (read_pool(&rest, kinds[i], &kept->pool) &&
		    sscanf(rest, "-%x-%" SCNx32 "%c", &kept->holder, &kept->generation, &end) == 2)
			return true;
	}
	return false;
}

static int take(struct hakd_keeper *keeper, int fd, const char *name)
{
	struct hakd_kept kept = {.fd = fd};
	int *place = place_of(keeper, name);

	if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return -errno;
	if (place && *place < 0) {
		*place = fd;
	} else if (place) {
		fprintf(stderr, "hakmemd: two descriptors of the name %s were handed over\n", name);
		return -EPROTO;
	} else if (read_name(name, &kept)) {
		keeper->kept[keeper->n_kept++] = kept;
		keeper->names_bytes += strlen(name) + 1;
	} else {
		hakd_log(HAKD_LOG_WARN, "descriptor %d that was handed over is closed: what is %s?",
			 fd, name);
		close(fd);
	}
	return 0;
}

/* The next name of a list with colons; names that were not given are "unknown". */
static void next_name(const char **list, char name[NAME_BYTES])
{
	size_t n = strcspn(*list, ":");

	snprintf(name, NAME_BYTES, "%.*s", (int)n, **list ? *list : "unknown");
	*list += (*list)[n] ? n + 1 : n;
}

static int take_all(struct hakd_keeper *keeper)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	int n, r = 0;

	if (!pid || !count || strtol(pid, NULL, 10) != getpid())
		return 0;
	n = atoi(count);
	keeper->kept = n > 0 ? calloc((size_t)n, sizeof(keeper->kept[0])) : NULL;
	if (n > 0 && !keeper->kept)
		return -ENOMEM;
	if (!names)
		names = "";
	for (int i = 0; i < n && r == 0; i++) {
		char name[NAME_BYTES];

		next_name(&names, name);
		r = take(keeper, FIRST_FD + i, name);
	}
	return r;
}

int hakd_keeper_init(struct hakd_keeper *keeper)
{
	static const char *const variables[] = {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"};
	int r;

	hakd_keeper_init_none(keeper);
	r = take_all(keeper);
	hakd_notify_init(&keeper->notify);
	for (unsigned i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	return r;
}

int hakd_keeper_store(struct hakd_keeper *keeper, const char *name, int fd)
{
	char text[TEXT_BYTES];
	int r;

	write_store(name, text);
	r = hakd_notify_send(&keeper->notify, text, fd);
	if (r < 0)
		hakd_log(HAKD_LOG_WARN, "%s is not kept for the next daemon: %s", name,
			 strerror(-r));
	return r;
}

void hakd_keeper_forget(struct hakd_keeper *keeper, const char *name)
{
	char text[TEXT_BYTES];

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s\n", name);
	hakd_notify_post(&keeper->notify, text, -1);
}

void hakd_keeper_drop(struct hakd_keeper *keeper, const char *name, int *fd)
{
	if (*fd < 0)
		return;
	close(*fd);
	*fd = -1;
	hakd_keeper_forget(keeper, name);
}

struct hakd_kept *hakd_keeper_find(const struct hakd_keeper *keeper, enum hakd_kept_kind kind,
				   unsigned pool, unsigned holder, uint32_t generation)
{
	for (unsigned i = 0; i < keeper->n_kept; i++) {
		struct hakd_kept *kept = &keeper->kept[i];

		if (kept->fd >= 0 && kept->kind == kind && kept->pool == pool &&
		    kept->holder == holder && kept->generation == generation)
			return kept;
	}
	return NULL;
}

static void write_name(const struct hakd_kept *kept, char name[NAME_BYTES])
{
	char word[NAME_BYTES];

	write_pool(kinds[kept->kind], kept->pool, word);
	snprintf(name, NAME_BYTES, "%.16s-%x-%" PRIx32, word, kept->holder, kept->generation);
}

void hakd_keeper_store_pool(struct hakd_keeper *keeper, unsigned pool, int registry_fd, int heap_fd)
{
	char name[NAME_BYTES];

	write_pool("registry", pool, name);
	(void)hakd_keeper_store(keeper, name, registry_fd);
	write_pool("heap", pool, name);
	(void)hakd_keeper_store(keeper, name, heap_fd);
}

void hakd_keeper_forget_pool(struct hakd_keeper *keeper, unsigned pool)
{
	char name[NAME_BYTES];

	write_pool("registry", pool, name);
	hakd_keeper_forget(keeper, name);
	write_pool("heap", pool, name);
	hakd_keeper_forget(keeper, name);
}

void hakd_keeper_drop_pool(struct hakd_keeper *keeper, unsigned pool)
{
	char name[NAME_BYTES];

	write_pool("registry", pool, name);
	hakd_keeper_drop(keeper, name, &keeper->pools[pool].registry_fd);
	write_pool("heap", pool, name);
	hakd_keeper_drop(keeper, name, &keeper->pools[pool].heap_fd);
}

void hakd_keeper_drop_kept(struct hakd_keeper *keeper, unsigned pool)
{
	for (unsigned i = 0; i < keeper->n_kept; i++) {
		char name[NAME_BYTES];

		if (keeper->kept[i].pool != pool)
			continue;
		write_name(&keeper->kept[i], name);
		keeper->names_bytes -= keeper->kept[i].fd >= 0 ? strlen(name) + 1 : 0;
		hakd_keeper_drop(keeper, name, &keeper->kept[i].fd);
	}
}

void hakd_keeper_store_kept(struct hakd_keeper *keeper, const struct hakd_kept *kept)
{
	char name[NAME_BYTES], text[TEXT_BYTES];

	write_name(kept, name);
	keeper->names_bytes += strlen(name) + 1;
	write_store(name, text);
	hakd_notify_post(&keeper->notify, text, kept->fd);
}

void hakd_keeper_forget_kept(struct hakd_keeper *keeper, const struct hakd_kept *kept)
{
	char name[NAME_BYTES];

	write_name(kept, name);
	keeper->names_bytes -= strlen(name) + 1;
	hakd_keeper_forget(keeper, name);
}

bool hakd_keeper_has_room(const struct hakd_keeper *keeper)
{
	return keeper->names_bytes < NAMES_MAX;
}
