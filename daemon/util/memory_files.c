/* SPDX-License-Identifier: MIT */
/*
 * The cgroup is that of version 2 in /proc/self/cgroup, below where mountinfo says that cgroup2 is
 * mounted. A trigger needs a file that can be written, a look at events one that can be read: where
 * a service sees its cgroup read-only, the second is what is left.
 */
#include "daemon/util/memory_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A window of 2 s is what those without privileges may have. */
#define TRIGGER "some 150000 2000000"

#define PATH	  HAKD_MEMORY_FILES_PATH
#define DIRECTORY 512 /* and the names of files in it */
#define MACHINE	  "/proc/pressure/memory"

static void note(struct hakd_memory_files *files, const char *what, const char *why)
{
	size_t n = strlen(files->why_not);

	snprintf(files->why_not + n, sizeof(files->why_not) - n, "%s%s: %s", n > 0 ? ", " : "",
		 what, why);
}

static FILE *open_list(const char *root, const char *name)
{
	char path[PATH];
	int fd;

	snprintf(path, sizeof(path), "%s%s", root, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? NULL : fdopen(fd, "r");
}

/* The first line of a list that `parse` takes. */
static bool find_line(const char *root, const char *name, bool (*parse)(char *line, void *ret),
		      void *ret)
{
	FILE *list = open_list(root, name);
	bool is_found = false;
	char *line = NULL;
	size_t room = 0;

	while (list && !is_found && getline(&line, &room, list) > 0) {
		line[strcspn(line, "\n")] = 0;
		is_found = parse(line, ret);
	}
	free(line);
	if (list)
		fclose(list);
	return is_found;
}

/* "0::/path" */
static bool parse_cgroup(char *line, void *ret)
{
	if (strncmp(line, "0::/", 4) != 0)
		return false;
	snprintf(ret, DIRECTORY, "%s", line + 3);
	return true;
}

struct mount {
	char root[DIRECTORY]; /* the cgroup that is seen */
	char point[DIRECTORY];
};

/* "41 31 0:38 /root /point options - cgroup2 ..." */
static bool parse_mount(char *line, void *ret)
{
	struct mount *mount = ret;
	const char *type = strstr(line, " - ");

	return type && strncmp(type, " - cgroup2 ", 11) == 0 &&
	       sscanf(line, "%*s %*s %*s %511s %511s", mount->root, mount->point) == 2;
}

/* The directory of the daemon's cgroup; false: it has none that can be seen. */
static bool find_cgroup(const char *root, char path[DIRECTORY])
{
	char of[DIRECTORY];
	const char *below = of;
	struct mount mount;
	size_t n;

	if (!find_line(root, "/proc/self/cgroup", parse_cgroup, of) ||
	    !find_line(root, "/proc/self/mountinfo", parse_mount, &mount))
		return false;
	n = strlen(mount.root);
	if (n > 1) {
		if (strncmp(of, mount.root, n) != 0 || (of[n] != '/' && of[n] != 0))
			return false;
		below += n;
	}
	if (strncmp(below, "/..", 3) == 0)
		return false;
	below += strcmp(below, "/") == 0;
	return snprintf(path, DIRECTORY, "%s%s%s", root, mount.point, below) < DIRECTORY;
}

static bool open_stalls(struct hakd_memory_files *files, const char *path, const char *what)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || write(fd, TRIGGER, sizeof(TRIGGER)) < 0) {
		note(files, what, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	files->stalls_fd = fd;
	snprintf(files->stalls, sizeof(files->stalls), "%s", path);
	return true;
}

static void open_events(struct hakd_memory_files *files, const char *path)
{
	files->events_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (files->events_fd < 0) {
		note(files, "memory.events", strerror(errno));
		return;
	}
	snprintf(files->events, sizeof(files->events), "%s", path);
	(void)hakd_memory_files_have_risen(files);
}

void hakd_memory_files_open(struct hakd_memory_files *files, const char *root)
{
	char cgroup[DIRECTORY], path[PATH];
	bool is_there = find_cgroup(root, cgroup), has_stalls = false;

	*files = (struct hakd_memory_files){.stalls_fd = -1, .events_fd = -1};
	if (is_there) {
		snprintf(path, sizeof(path), "%s/memory.pressure", cgroup);
		has_stalls = open_stalls(files, path, "memory.pressure");
	} else {
		note(files, "cgroup", "none of version 2");
	}
	if (!has_stalls) {
		snprintf(path, sizeof(path), "%s" MACHINE, root);
		(void)open_stalls(files, path, MACHINE);
	}
	if (is_there) {
		snprintf(path, sizeof(path), "%s/memory.events", cgroup);
		open_events(files, path);
	}
}

void hakd_memory_files_close(struct hakd_memory_files *files)
{
	if (files->stalls_fd >= 0)
		close(files->stalls_fd);
	if (files->events_fd >= 0)
		close(files->events_fd);
	files->stalls_fd = files->events_fd = -1;
}

/* The value of a key in lines of "key value"; 0: it isn't there. */
static uint64_t value_of(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (; text; text = strchr(text, '\n')) {
		text += *text == '\n';
		if (strncmp(text, key, n) == 0 && text[n] == ' ')
			return strtoull(text + n, NULL, 10);
	}
	return 0;
}

bool hakd_memory_files_have_risen(struct hakd_memory_files *files)
{
	uint64_t before = files->n_events;
	char text[512];
	ssize_t n = pread(files->events_fd, text, sizeof(text) - 1, 0);

	if (n <= 0) /* being written, which the kernel's own never is */
		return false;
	text[n] = 0;
	files->n_events = value_of(text, "high") + value_of(text, "max");
	return files->n_events > before;
}
