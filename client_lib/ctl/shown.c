/* SPDX-License-Identifier: MIT */
#include "client_lib/ctl/shown.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/wire/socket_path.h"

/* How many bytes, or a negative errno. */
static ssize_t read_all(const char *path, void *buffer, size_t n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t r = fd < 0 ? -errno : read(fd, buffer, n);

	if (fd >= 0 && r < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	return r;
}

int hakc_shown_each(const struct hakc_query *query, const char *directory, void *buffer, size_t n,
		    int (*take)(void *context, const char *pool, const void *bytes, size_t n),
		    void *context)
{
	char path[HAK_SHOWN_PATH_MAX], file[2 * HAK_SHOWN_PATH_MAX + 256], *name;
	const struct dirent *entry;
	int n_taken = 0, failed = 0;
	DIR *stream;

	hak_shown_path(query->path, directory, "", path);
	name = strrchr(path, '/');
	*name++ = 0;
	stream = opendir(path);
	while (stream && (entry = readdir(stream))) {
		const char *pool = entry->d_name + strlen(name);
		ssize_t r;

		/* "hakmemd.sock." and a pool. */
		if (strncmp(entry->d_name, name, strlen(name)) != 0 ||
		    (query->pool_name && strcmp(query->pool_name, pool) != 0))
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		r = read_all(file, buffer, n);
		if (r >= 0)
			r = take(context, pool, buffer, (size_t)r);
		n_taken += r == 0;
		if (r < 0 && r != -ENOENT)
			failed = (int)-r;
	}
	if (stream)
		closedir(stream);
	if (n_taken > 0 || !failed)
		return n_taken;
	fprintf(stderr, "hakmemctl: what is in %s can't be read: %s\n", path,
		failed == EPROTO ? "it is of another version" : strerror(failed));
	return -1;
}
