/* SPDX-License-Identifier: MIT */
/*
 * Words and files. A word is a run of ASCII letters, folded to lower case and
 * cut at HAKC_WORD_MAX; no locale comes in, so every process counts the same.
 */
#include "client_lib/demo/words.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BINARY_LOOK_BYTES 8192

/* The lower-case letter, or 0. */
static char letter_of(char c)
{
	if (c >= 'a' && c <= 'z')
		return c;
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : 0;
}

int hakc_words_each(const char *text, size_t bytes, hakc_word_fn *fn, void *context)
{
	char word[HAKC_WORD_MAX];
	size_t length = 0;
	int r = 0;

	for (size_t i = 0; i < bytes && r == 0; i++) {
		char letter = letter_of(text[i]);

		if (letter && length < HAKC_WORD_MAX)
			word[length++] = letter;
		if (!letter && length > 0) {
			r = fn(context, word, length);
			length = 0;
		}
	}
	if (r == 0 && length > 0)
		r = fn(context, word, length);
	return r;
}

bool hakc_words_is_binary(const char *text, size_t bytes)
{
	return bytes > 0 &&
	       memchr(text, 0, bytes < BINARY_LOOK_BYTES ? bytes : BINARY_LOOK_BYTES) != NULL;
}

uint32_t hakc_words_hash(const char *word, size_t length)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)word[i]) * 16777619u;
	return hash ^ hash >> 15;
}

int hakc_files_each(char *const *folders, const struct hakc_files_visitor *visitor)
{
	FTS *fts = fts_open(folders, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
	FTSENT *entry;
	int r = 0;

	if (!fts)
		return -errno;
	for (;;) {
		errno = 0;
		entry = fts_read(fts);
		if (!entry) {
			r = -errno;
			break;
		}
		if (entry->fts_info == FTS_F)
			r = visitor->file(visitor->context, entry->fts_path);
		else if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR ||
			 entry->fts_info == FTS_NS)
			r = visitor->unreadable(visitor->context, entry->fts_path,
						entry->fts_errno);
		if (r < 0)
			break;
	}
	fts_close(fts);
	return r;
}

/* Reads up to bytes; how many there were, or a negative errno. */
static ssize_t read_all(int fd, char *to, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = read(fd, to + done, bytes - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int hakc_files_load(const char *path, void *(*get)(void *context, size_t bytes),
		    void (*put)(void *block), void *context, void **ret_block, size_t *ret_bytes,
		    bool *ret_is_memory)
{
	struct stat st;
	void *block = NULL;
	ssize_t n;
	int fd, r = 0;

	*ret_is_memory = false;
	/* Not blocking: a FIFO may have taken the file's place meanwhile. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		r = -errno;
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		r = 1;
		goto out;
	}
	block = get(context, (size_t)st.st_size);
	if (!block) {
		r = -errno;
		*ret_is_memory = true;
		goto out;
	}
	n = read_all(fd, block, (size_t)st.st_size);
	if (n < 0) {
		put(block);
		r = (int)n;
		goto out;
	}
	*ret_block = block;
	*ret_bytes = (size_t)n;
out:
	close(fd);
	return r;
}
