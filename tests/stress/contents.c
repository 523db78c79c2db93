/* SPDX-License-Identifier: MIT */
/* A word further behind is larger by HAK_MIX_STEP; the second one is a mix of the name. */
#include "tests/stress/contents.h"

#include <string.h>

#include "proto/shm/mix.h"

void hakt_contents_fill(void *block, size_t bytes, uint64_t name)
{
	uint64_t *words = block, word = name;
	size_t n = bytes / sizeof(word);

	for (size_t i = 0; i < n; i++) {
		words[i] = word;
		word = i == 0 ? hak_mix(name + HAK_MIX_STEP) : word + HAK_MIX_STEP;
	}
	memcpy(&words[n], &word, bytes % sizeof(word));
}

#ifdef __SANITIZE_THREAD__
__attribute__((no_sanitize_thread))
#endif
size_t
hakt_contents_wrong_at(const void *block, size_t bytes, uint64_t name)
{
	const uint64_t *words = block;
	uint64_t word = name;
	size_t n = bytes / sizeof(word);

	for (size_t i = 0; i < n; i++) {
		if (words[i] != word)
			return i * sizeof(word);
		word = i == 0 ? hak_mix(name + HAK_MIX_STEP) : word + HAK_MIX_STEP;
	}
	for (size_t i = 0; i < bytes % sizeof(word); i++)
		if (((const unsigned char *)&words[n])[i] != ((const unsigned char *)&word)[i])
			return n * sizeof(word);
	return bytes;
}
