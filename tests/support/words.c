/* SPDX-License-Identifier: MIT */
/* A mapping of its own; orders don't matter, since nobody else writes. */
#include "tests/support/words.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/memfd.h"
#include "tests/support/run.h"

void hakt_words_init(struct hakt_words *words, int registry_fd)
{
	struct hak_geometry g;
	struct stat st;

	assert_int_equal(fstat(registry_fd, &st), 0);
	words->bytes = (uint64_t)st.st_size;
	words->header = mmap(NULL, words->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, registry_fd,
			     0);
	assert_true(words->header != MAP_FAILED);
	assert_int_equal(hak_registry_validate(words->header, words->bytes, &g), 0);
	words->holders = (void *)((char *)words->header + HAK_REGISTRY_HOLDERS_AT);
	words->superslabs = (void *)((char *)words->header + HAK_REGISTRY_SUPERSLABS_AT);
	words->n_superslabs = g.n_superslabs;
}

void hakt_words_init_of(struct hakt_words *words, pid_t daemon)
{
	int fd = hakt_memfd_open(daemon, "hakmem-registry");

	hakt_words_init(words, fd);
	close(fd);
}

void hakt_words_deinit(struct hakt_words *words)
{
	assert_int_equal(munmap(words->header, words->bytes), 0);
}

unsigned hakt_words_holder(const struct hakt_words *words, int pid)
{
	for (unsigned i = HAK_HOLDER_FIRST; i < HAK_HOLDER_COUNT; i++)
		if (words->holders[i].pid == pid &&
		    hak_holder_state(hak_load_relaxed(&words->holders[i].word)) ==
			    HAK_HOLDER_ATTACHED)
			return i;
	fail_msg("process %d is no holder", pid);
	return 0;
}

uint32_t hakt_words_granted(const struct hakt_words *words, unsigned holder, uint32_t from)
{
	for (uint32_t i = from; i < words->n_superslabs; i++) {
		uint64_t s = hak_load_relaxed(&words->superslabs[i]);

		if (hak_superslab_state(s) == HAK_SUPERSLAB_GRANTED &&
		    hak_superslab_owner(s) == holder)
			return i;
	}
	fail_msg("nothing is granted to holder %u from SuperSlab %u on", holder, from);
	return 0;
}
