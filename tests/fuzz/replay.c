/* SPDX-License-Identifier: MIT */
/*
 * A target without libFuzzer: runs each file that is named, and each in directories
 * that are, in the order of their names. 0 if it comes to the end.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/fuzz/input.h"

static unsigned n_run;

static void run_file(const char *path)
{
	static uint8_t room[1 << 20];
	FILE *file = fopen(path, "re");
	uint8_t *bytes;
	size_t n;

	HAKT_CLAIM(file);
	n = fread(room, 1, sizeof(room), file);
	HAKT_CLAIM(!ferror(file));
	fclose(file);
	bytes = malloc(n > 0 ? n : 1); /* so that a sanitizer sees where it ends */
	HAKT_CLAIM(bytes);
	memcpy(bytes, room, n);
	if (getenv("HAKT_VERBOSE"))
		fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput(bytes, n);
	free(bytes);
	n_run++;
}

static void run(const char *path)
{
	struct dirent **entries;
	struct stat st;
	int n;

	HAKT_CLAIM(stat(path, &st) == 0);
	if (!S_ISDIR(st.st_mode)) {
		run_file(path);
		return;
	}
	n = scandir(path, &entries, NULL, alphasort);
	HAKT_CLAIM(n >= 0);
	for (int i = 0; i < n; i++) {
		char name[4096];

		snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			run_file(name);
		free(entries[i]);
	}
	free(entries);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		run(argv[i]);
	printf("%u inputs\n", n_run);
	return n_run > 0 ? 0 : 1;
}
