/* SPDX-License-Identifier: MIT */
/* Temporary directories, and a list of those that are still there for the end of the process. */
#include "tests/support/directory.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/run.h"

static char made[32][HAKT_DIRECTORY_BYTES];
static pid_t maker;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static void remove_all(void)
{
	if (getpid() != maker) /* a forked child that calls exit */
		return;
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		if (*made[i])
			nftw(made[i], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void hakt_directory_make(char path[HAKT_DIRECTORY_BYTES])
{
	size_t i = 0;

	if (!maker) {
		maker = getpid();
		atexit(remove_all);
	}
	while (i < sizeof(made) / sizeof(made[0]) && *made[i])
		i++;
	assert_true(i < sizeof(made) / sizeof(made[0]));
	strcpy(path, "/tmp/hakmem-test-XXXXXX");
	assert_non_null(mkdtemp(path));
	strcpy(made[i], path);
	assert_int_equal(chmod(path, 0755), 0);
}

void hakt_directory_remove(const char *path)
{
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		if (strcmp(made[i], path) == 0)
			*made[i] = 0;
	assert_int_equal(nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void hakt_directory_write(const char *path, const char *name, const void *bytes, size_t n)
{
	char full[512];
	FILE *file;

	snprintf(full, sizeof(full), "%s/%s", path, name);
	for (char *slash = strchr(full + strlen(path) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(full, 0755);
		*slash = '/';
	}
	file = fopen(full, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
}
