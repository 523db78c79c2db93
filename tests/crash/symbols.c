/* SPDX-License-Identifier: MIT */
/*
 * The compiler puts static functions into others or leaves them out, and which ones it does so
 * with is its own business. So a group names all the functions that a step may end up in, and
 * what is asked of a run is that each group was stepped through (crash.c).
 */
#include "tests/crash/symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/crash/victim.h"

const struct hakt_group hakt_groups[] = {
	[HAKT_GROUP_LOOKUP] = {"lookup", "hak_roots_lookup find_name read_head"},
	{"claim", "claim_blocks push_blocks fill_magazine alloc_class alloc_any hak_slab_is_empty "
		  "find_empty hak_tag_clear"},
	{"cut", "hak_slab_cut hak_slab_cut_span commit_head write_bodies name_bodies "
		"common_epoch hakc_heap_cut cut_span hakc_heap_alloc_span alloc_huge alloc_span "
		"try_move"},
	{"ref", "hakmem_ref hakc_ticket_make set_tagged hak_slab_set_tagged "
		"hakc_session_back_tags"},
	{"take", "hakmem_take hakc_ticket_take hak_tag_take hakc_ticket_revoke hak_tag_revoke"},
	{"free", "hakmem_free hakc_free_slow hakc_free_by_word free_any free_located free_block "
		 "free_local free_remote free_lent_span free_held_span free_tagged "
		 "free_tagged_start retire_span hakc_free_own_span keep_span hakc_ticket_free "
		 "hak_tag_free_local hak_tag_free_held hak_tag_free_foreign"},
	{"flush", "free_blocks apply open_slab head_of flush_spans hakc_flush_magazine "
		  "hakc_flush_outgoing hakc_flush_all hakc_flush_shrink hakc_flush_unused "
		  "hakc_free_relist"},
	{"retire", "hak_slab_retire hak_slab_retire_span retire hakc_flush_empty "
		   "hakc_heap_retire_span hakc_heap_put_slots put_slots put_huge return_huge "
		   "hakc_heap_return_stock hakc_heap_return_runs let_go"},
	{"adopt", "adopt hak_slab_pass take_hint take_hints has_partial find_partial release_list "
		  "release_slabs find_idle hakc_thread_plunder hakc_thread_plunder_idle "
		  "hakc_heap_inherit"},
	{"resize", "hak_slab_resize_span hakc_heap_resize_span hakc_run_resize grow shrink "
		   "resize_run resize_span resize_in_place hakc_resize hakc_heap_make_way "
		   "hakc_run_make_way"},
	{"sample", "hakc_sample_* hak_sample_* hak_module_enter hakc_stack_translate translate "
		   "describe take_block find_slab claim finish put_token mark"},
	{"root", "hakmem_root_* hakc_root_*"},
	{"thread", "end_thread put_idle hakc_thread_detach_process hakc_session_detach"},
	{"session", "hakc_session_* take_late take_reply ask exchange call_refill call_giveback "
		    "return_late find_granted read_grant map_lease unmap_lease enter_segment"},
};
const unsigned hakt_n_groups = sizeof(hakt_groups) / sizeof(hakt_groups[0]);

struct function {
	uint64_t from, to;
	const char *name;
	unsigned group;
};

static struct function *functions;
static size_t n_functions;

/* Is a symbol one of these names? The compiler's copies have a suffix behind a dot. */
static bool is_listed(const char *symbol, const char *names)
{
	size_t length = strcspn(symbol, ".");

	while (*names) {
		size_t n = strcspn(names, " ");

		if (names[n - 1] == '*' ? length >= n - 1 && strncmp(symbol, names, n - 1) == 0
					: length == n && strncmp(symbol, names, n) == 0)
			return true;
		names += n;
		names += strspn(names, " ");
	}
	return false;
}

static unsigned find_group(const char *symbol)
{
	for (unsigned i = 0; i < hakt_n_groups; i++)
		if (is_listed(symbol, hakt_groups[i].functions))
			return i;
	return HAKT_GROUP_NONE;
}

static int compare(const void *a, const void *b)
{
	const struct function *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

static void add_all(const Elf64_Sym *symbols, size_t n, const char *names)
{
	uint64_t bias = 0;

	for (size_t i = 0; i < n; i++)
		if (strcmp(names + symbols[i].st_name, "hakt_mark_end") == 0)
			bias = (uintptr_t)hakt_mark_end - symbols[i].st_value;
	functions = calloc(n, sizeof(*functions));
	if (!functions)
		exit(2);
	for (size_t i = 0; i < n; i++) {
		const char *name = names + symbols[i].st_name;
		uint64_t from = symbols[i].st_value + bias;

		if (ELF64_ST_TYPE(symbols[i].st_info) == STT_FUNC && symbols[i].st_size > 0)
			functions[n_functions++] = (struct function){
				from, from + symbols[i].st_size, name, find_group(name)};
	}
	qsort(functions, n_functions, sizeof(*functions), compare);
}

void hakt_symbols_init(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat st;
	const char *file = MAP_FAILED;

	if (fd >= 0 && fstat(fd, &st) == 0)
		file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file == MAP_FAILED) {
		perror("crash: /proc/self/exe");
		exit(2);
	}
	close(fd);

	const Elf64_Ehdr *header = (const void *)file;
	const Elf64_Shdr *sections = (const void *)(file + header->e_shoff);

	for (unsigned i = 0; i < header->e_shnum; i++)
		if (sections[i].sh_type == SHT_SYMTAB)
			add_all((const void *)(file + sections[i].sh_offset),
				sections[i].sh_size / sizeof(Elf64_Sym),
				file + sections[sections[i].sh_link].sh_offset);
	if (n_functions == 0) {
		fprintf(stderr, "crash: this program has no symbols\n");
		exit(2);
	}
}

static const struct function *find(uint64_t pc)
{
	size_t low = 0, high = n_functions;

	while (low < high) { /* the last that begins at pc or before */
		size_t middle = (low + high) / 2;

		if (functions[middle].from <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && pc < functions[low - 1].to ? &functions[low - 1] : NULL;
}

unsigned hakt_symbols_group(uint64_t pc)
{
	const struct function *f = find(pc);

	return f ? f->group : HAKT_GROUP_NONE;
}

const char *hakt_symbols_name(uint64_t pc, char *text, size_t bytes)
{
	const struct function *f = find(pc);

	if (f)
		snprintf(text, bytes, "%s+%" PRIu64, f->name, pc - f->from);
	else
		snprintf(text, bytes, "%#" PRIx64, pc);
	return text;
}
