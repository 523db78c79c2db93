/* SPDX-License-Identifier: MIT */
#include "client_lib/stack.h"

#include <execinfo.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "client_lib/session.h"
#include "proto/shm/modules.h"
#include "proto/shm/sample.h"

#define FRAMES_MAX   128
#define ADDRESS_MASK ((UINT64_C(1) << HAK_SAMPLE_MODULE_SHIFT) - 1)
#define NOT_ENTERED  UINT32_MAX

struct loaded {
	uintptr_t start, end; /* of all that it has mapped */
	uintptr_t bias;	      /* between an address in the file and one in memory */
	uint32_t number;      /* in the pool; 0: there was no room */
	struct hak_module file;
};

/* By the loader's counts of what it has loaded and unloaded, which only go on. */
struct hakc_modules {
	uint64_t version;
	uint32_t n;
	struct loaded of[HAK_MODULE_COUNT];
};

unsigned hakc_stack_take(uint64_t *frames, unsigned max)
{
	void *addresses[FRAMES_MAX];
	int n = backtrace(addresses, FRAMES_MAX);

	/* Not this function. */
	if (n <= 1)
		return 0;
	n = n - 1 > (int)max ? (int)max : n - 1;
	for (int i = 0; i < n; i++)
		frames[i] = (uintptr_t)addresses[i + 1];
	return (unsigned)n;
}

static uint64_t version_of(const struct dl_phdr_info *info)
{
	return info->dlpi_adds + info->dlpi_subs;
}

static int see_version(struct dl_phdr_info *info, size_t bytes, void *version)
{
	(void)bytes;
	*(uint64_t *)version = version_of(info);
	return 1; /* all say the same */
}

/* The build ID among the notes of n bytes at `at`, if it is there. */
static void read_notes(struct hak_module *file, const char *at, size_t n)
{
	while (n >= sizeof(ElfW(Nhdr))) {
		ElfW(Nhdr) note;
		size_t name, bytes;

		memcpy(&note, at, sizeof(note));
		name = (note.n_namesz + 3u) & ~(size_t)3;
		bytes = sizeof(note) + name + ((note.n_descsz + 3u) & ~(size_t)3);
		if (bytes > n)
			return;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
		    memcmp(at + sizeof(note), "GNU", 4) == 0 &&
		    note.n_descsz <= HAK_MODULE_ID_BYTES) {
			file->n_id = note.n_descsz;
			memcpy(file->id, at + sizeof(note) + name, note.n_descsz);
			return;
		}
		at += bytes;
		n -= bytes;
	}
}

static void read_path(struct hak_module *file, const char *name)
{
	ssize_t n;

	if (*name) {
		strncpy(file->path, name, sizeof(file->path) - 1);
		return;
	}
	n = readlink("/proc/self/exe", file->path, sizeof(file->path) - 1);
	file->path[n > 0 ? n : 0] = '\0';
}

static int see_module(struct dl_phdr_info *info, size_t bytes, void *argument)
{
	struct hakc_modules *modules = argument;
	struct loaded *l = &modules->of[modules->n];

	(void)bytes;
	modules->version = version_of(info);
	if (modules->n == HAK_MODULE_COUNT)
		return 1;
	l->start = UINTPTR_MAX;
	l->bias = info->dlpi_addr;
	l->number = NOT_ENTERED;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];
		uintptr_t at = info->dlpi_addr + part->p_vaddr;

		if (part->p_type == PT_NOTE)
			read_notes(&l->file, (const char *)at, part->p_memsz);
		if (part->p_type != PT_LOAD)
			continue;
		l->start = at < l->start ? at : l->start;
		l->end = at + part->p_memsz > l->end ? at + part->p_memsz : l->end;
	}
	read_path(&l->file, info->dlpi_name);
	modules->n += l->start < l->end;
	return 0;
}

struct hakc_modules *hakc_stack_modules(struct hakc_heap *heap)
{
	struct hakc_modules *now;
	uint64_t version = 0;

	dl_iterate_phdr(see_version, &version);
	/* Relaxed: who sees an old one brings them once more. */
	if (version == hak_load_relaxed(&heap->modules_version))
		return NULL;
	now = hakc_private_map(sizeof(*now));
	if (now)
		dl_iterate_phdr(see_module, now);
	return now;
}

static uint64_t translate(struct hakc_heap *heap, uint64_t address)
{
	struct hakc_modules *modules = heap->modules;

	for (uint32_t i = 0; modules && i < modules->n; i++) {
		struct loaded *l = &modules->of[i];

		if (address < l->start || address >= l->end)
			continue;
		if (l->number == NOT_ENTERED)
			l->number = hak_module_enter(&heap->segment, heap->holder, &l->file);
		return (uint64_t)l->number << HAK_SAMPLE_MODULE_SHIFT |
		       ((address - l->bias) & ADDRESS_MASK);
	}
	return address & ADDRESS_MASK;
}

void hakc_stack_translate(struct hakc_heap *heap, struct hakc_modules *now, uint64_t *frames,
			  unsigned n)
{
	if (now) {
		if (heap->modules)
			hakc_private_unmap(heap->modules, sizeof(*now));
		heap->modules = now;
		hak_store_relaxed(&heap->modules_version, now->version);
	}
	for (unsigned i = 0; i < n; i++)
		frames[i] = translate(heap, frames[i]);
}

void hakc_stack_deinit(struct hakc_heap *heap)
{
	if (heap->modules)
		hakc_private_unmap(heap->modules, sizeof(*heap->modules));
	heap->modules = NULL;
	hak_store_relaxed(&heap->modules_version, 0);
}
