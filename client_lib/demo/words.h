/* SPDX-License-Identifier: MIT */
#ifndef HAKC_DEMO_WORDS_H
#define HAKC_DEMO_WORDS_H

/*
 * What a word is, and which files are read: the one definition that the
 * workers and --verify share.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HAKC_WORD_MAX 64 /* letters; what a longer run has beyond them is dropped */

/* Called for each word, lower case, without a NUL; not 0 ends the walk. */
typedef int hakc_word_fn(void *context, const char *word, size_t length);

/* 0, or what fn ended with. */
int hakc_words_each(const char *text, size_t bytes, hakc_word_fn *fn, void *context);

/* As grep -I: a NUL byte in the first 8192 bytes. */
bool hakc_words_is_binary(const char *text, size_t bytes);

uint32_t hakc_words_hash(const char *word, size_t length);

/* What happens to the files of a walk; both return 0, or a negative errno that ends the walk. */
struct hakc_files_visitor {
	int (*file)(void *context, const char *path);
	int (*unreadable)(void *context, const char *path, int error); /* error: an errno */
	void *context;
};

/* Walks the folders for regular files; links below the folders are not followed. */
int hakc_files_each(char *const *folders, const struct hakc_files_visitor *visitor);

/*
 * Reads a regular file into memory from get(context, bytes), which returns NULL
 * and sets errno. 0 and the bytes that were read; 1: no longer a regular file;
 * a negative errno: -EIO and others of reading, or get's, *ret_is_memory then.
 */
int hakc_files_load(const char *path, void *(*get)(void *context, size_t bytes),
		    void (*put)(void *block), void *context, void **ret_block, size_t *ret_bytes,
		    bool *ret_is_memory);

#endif
