/* SPDX-License-Identifier: MIT */
/*
 * Functions by libdw, which finds symbols in the file itself or where a distribution puts them
 * apart. A module is looked at when a frame of it comes, and its functions are sorted once.
 *
 * Whoever may write to the pool names these files: only regular ones are opened (the open of a
 * device can do something, that of a pipe can last), and no server is asked for symbols.
 */
#include "client_lib/ctl/symbols.h"

#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/shm/sample.h"

#define ADDRESS_MASK ((UINT64_C(1) << HAK_SAMPLE_MODULE_SHIFT) - 1)
#define OWN_FRAMES   16u /* hakmem is no deeper than that */

struct function {
	uint64_t start, size; /* 0: up to the next one */
	const char *name;
	char *copy;    /* of the name, to be freed; NULL: it is libdw's */
	unsigned rank; /* of names for the same, the least is told */
};

struct module {
	bool is_read; /* what the table says */
	bool is_looked_at;
	enum hakc_module_state state;
	unsigned canonical;
	struct hak_module entry;
	Dwfl *dwfl;
	Dwfl_Module *file;
	struct function *functions;
	size_t n_functions;
};

struct hakc_symbols {
	const struct hakc_view *view;
	bool asks;
	struct hak_module *table; /* as it was read last */
	struct module of[HAK_MODULE_COUNT];
};

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_build_id_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
	.section_address = dwfl_offline_section_address,
};

struct hakc_symbols *hakc_symbols_new(const struct hakc_view *view, bool asks)
{
	struct hakc_symbols *symbols = calloc(1, sizeof(*symbols));

	if (!symbols)
		return NULL;
	symbols->view = view;
	symbols->asks = asks;
	symbols->table = calloc(HAK_MODULE_COUNT, sizeof(*symbols->table));
	if (!symbols->table) {
		free(symbols);
		return NULL;
	}
	unsetenv("DEBUGINFOD_URLS");
	return symbols;
}

void hakc_symbols_free(struct hakc_symbols *symbols)
{
	if (!symbols)
		return;
	for (unsigned i = 0; i < HAK_MODULE_COUNT; i++) {
		if (symbols->of[i].dwfl)
			dwfl_end(symbols->of[i].dwfl);
		for (size_t k = 0; k < symbols->of[i].n_functions; k++)
			free(symbols->of[i].functions[k].copy);
		free(symbols->of[i].functions);
	}
	free(symbols->table);
	free(symbols);
}

static bool is_same(const struct hak_module *a, const struct hak_module *b)
{
	return a->n_id == b->n_id && memcmp(a->id, b->id, a->n_id) == 0 &&
	       strcmp(a->path, b->path) == 0;
}

/* What the table says of a module; it is read once more if it said nothing of it. */
static struct module *module_of(struct hakc_symbols *symbols, uint64_t frame)
{
	unsigned number = (unsigned)(frame >> HAK_SAMPLE_MODULE_SHIFT) % HAK_MODULE_COUNT;
	struct module *module = &symbols->of[number];
	struct hak_segment segment = {.areas = (void *)symbols->table};

	if (module->is_read)
		return module;
	module->is_read = true;
	if (!hak_module_read(&segment, number, &module->entry)) {
		if (hakc_view_read(symbols->view, symbols->table,
				   HAK_MODULE_COUNT * sizeof(*symbols->table),
				   symbols->view->geometry.areas_at) < 0 ||
		    !hak_module_read(&segment, number, &module->entry)) {
			module->is_looked_at = true;
			return module;
		}
	}
	module->state = HAKC_MODULE_UNASKED;
	for (module->canonical = 1; module->canonical < number; module->canonical++) {
		struct hak_module other;

		if (hak_module_read(&segment, module->canonical, &other) &&
		    is_same(&other, &module->entry))
			break;
	}
	return module;
}

/* A descriptor of a regular file, or -1. */
static int open_regular(const char *path)
{
	char self[64];
	struct stat st;
	int at = open(path, O_PATH | O_CLOEXEC), fd = -1;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", at);
	if (at >= 0 && fstat(at, &st) == 0 && S_ISREG(st.st_mode))
		fd = open(self, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (at >= 0)
		close(at);
	return fd;
}

static bool has_id(Dwfl_Module *file, const struct hak_module *entry)
{
	const unsigned char *id;
	GElf_Addr at;
	int n = dwfl_module_build_id(file, &id, &at);

	return n < 0 ? false
		     : (uint32_t)n == entry->n_id &&
			       (n == 0 || memcmp(id, entry->id, entry->n_id) == 0);
}

static int compare_functions(const void *a, const void *b)
{
	const struct function *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* Global ones first, and those that begin with fewer underscores. */
static unsigned rank_of(const GElf_Sym *symbol, const char *name)
{
	unsigned rank = (unsigned)strspn(name, "_");

	if (GELF_ST_BIND(symbol->st_info) != STB_GLOBAL)
		rank += GELF_ST_BIND(symbol->st_info) == STB_WEAK ? 100 : 200;
	return rank;
}

/* Without the version that the linker has put behind it, as in "malloc@@GLIBC_2.2.5". */
static void name_function(struct function *function, const char *name)
{
	size_t n = strcspn(name, "@");

	function->name = name;
	if (n == 0 || name[n] == 0)
		return;
	function->copy = strndup(name, n);
	if (function->copy)
		function->name = function->copy;
}

/* Of those at the same address, the first. */
static void keep_best(struct module *module)
{
	struct function *functions = module->functions;
	size_t kept = 0;

	qsort(functions, module->n_functions, sizeof(*functions), compare_functions);
	for (size_t i = 1; i < module->n_functions; i++) {
		if (functions[i].start != functions[kept].start)
			functions[++kept] = functions[i];
		else
			free(functions[i].copy);
	}
	module->n_functions = kept + 1;
}

static void read_functions(struct module *module)
{
	int n = dwfl_module_getsymtab(module->file);

	if (n > 0)
		module->functions = calloc((size_t)n, sizeof(*module->functions));
	for (int i = 0; module->functions && i < n; i++) {
		struct function *function = &module->functions[module->n_functions];
		GElf_Sym symbol;
		GElf_Addr address;
		GElf_Word section;
		const char *name = dwfl_module_getsym_info(module->file, i, &symbol, &address,
							   &section, NULL, NULL);
		int type = name ? GELF_ST_TYPE(symbol.st_info) : STT_NOTYPE;

		if ((type != STT_FUNC && type != STT_GNU_IFUNC) || section == SHN_UNDEF || !*name)
			continue;
		function->start = address;
		function->size = symbol.st_size;
		function->rank = rank_of(&symbol, name);
		name_function(function, name);
		module->n_functions++;
	}
	if (module->n_functions)
		keep_best(module);
}

/* Opens the file of a module that the table has. */
static enum hakc_module_state look_at(struct module *module)
{
	const char *path = module->entry.path;
	int fd = *path == '/' ? open_regular(path) : -1;
	GElf_Addr bias;

	if (fd < 0)
		return HAKC_MODULE_GONE;
	module->dwfl = dwfl_begin(&callbacks);
	if (module->dwfl) {
		/* At 0: its addresses are those in the file. */
		module->file = dwfl_report_elf(module->dwfl, path, path, fd, 0, true);
		dwfl_report_end(module->dwfl, NULL, NULL);
	}
	if (!module->file)
		close(fd); /* else it is libdw's */
	if (!module->file || !dwfl_module_getelf(module->file, &bias))
		return HAKC_MODULE_GONE;
	if (!has_id(module->file, &module->entry))
		return HAKC_MODULE_CHANGED;
	read_functions(module);
	return module->n_functions ? HAKC_MODULE_NAMED : HAKC_MODULE_BARE;
}

static struct module *open_module(struct hakc_symbols *symbols, uint64_t frame)
{
	struct module *module = module_of(symbols, frame);

	if (!module->is_looked_at && symbols->asks)
		module->state = look_at(module);
	module->is_looked_at = true;
	return module;
}

/* The function that a return address comes back to; NULL: not known. */
static const struct function *find(const struct module *module, uint64_t frame)
{
	uint64_t address = (frame & ADDRESS_MASK) - 1;
	const struct function *function;
	size_t low = 0, high = module->n_functions;

	if (module->state != HAKC_MODULE_NAMED)
		return NULL;
	while (low < high) { /* the first that begins behind it */
		size_t middle = low + (high - low) / 2;

		if (module->functions[middle].start > address)
			high = middle;
		else
			low = middle + 1;
	}
	if (low == 0)
		return NULL;
	function = &module->functions[low - 1];
	return function->size == 0 || address - function->start < function->size ? function : NULL;
}

struct hakc_symbol hakc_symbols_find(struct hakc_symbols *symbols, uint64_t frame)
{
	const struct module *module = open_module(symbols, frame);
	const struct function *function = find(module, frame);
	const char *last = strrchr(module->entry.path, '/');

	return (struct hakc_symbol){.function = function ? function->name : NULL,
				    .path = module->entry.path,
				    .file = last ? last + 1 : module->entry.path,
				    .address = frame & ADDRESS_MASK};
}

uint64_t hakc_symbols_function(struct hakc_symbols *symbols, uint64_t frame)
{
	const struct function *function = find(open_module(symbols, frame), frame);

	return function ? (frame & ~ADDRESS_MASK) | (function->start + 1) : frame;
}

unsigned hakc_symbols_line(struct hakc_symbols *symbols, uint64_t frame, const char **ret_path)
{
	struct module *module = open_module(symbols, frame);
	Dwfl_Line *line = NULL;
	int number = 0;

	*ret_path = NULL;
	if (module->state == HAKC_MODULE_NAMED)
		line = dwfl_module_getsrc(module->file, (frame & ADDRESS_MASK) - 1);
	if (line)
		*ret_path = dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL);
	if (!*ret_path)
		*ret_path = "";
	return **ret_path && number > 0 ? (unsigned)number : 0;
}

uint64_t hakc_symbols_canonical(struct hakc_symbols *symbols, uint64_t frame)
{
	const struct module *module = module_of(symbols, frame);

	return module->canonical ? (uint64_t)module->canonical << HAK_SAMPLE_MODULE_SHIFT |
					   (frame & ADDRESS_MASK)
				 : frame;
}

/* Is it that function, or what the compiler has made of it (name.constprop.0), or its twin for pools? */
static bool is_one_of(const char *name, const char *const *list)
{
	for (; *list; list++) {
		size_t n = strlen(*list);

		if (strncmp(name, *list, n) == 0 &&
		    (name[n] == 0 || name[n] == '.' || strcmp(name + n, "_in") == 0))
			return true;
	}
	return false;
}

unsigned hakc_symbols_own(struct hakc_symbols *symbols, const uint64_t *frames, unsigned n)
{
	/* What programs call: everything below it is hakmem's. */
	static const char *const entries[] = {"hakmem_malloc", "hakmem_calloc", "hakmem_realloc",
					      "hakmem_aligned_alloc", NULL};
	/* Of alloc.c, and without a prefix: what an entry may have jumped to, so that it has no frame. */
	static const char *const statics[] = {"alloc_class",	"alloc_span",	      "alloc_any",
					      "alloc_hardened", "alloc_after_double", NULL};
	unsigned own = 0;

	for (unsigned i = 0; i < n && i < OWN_FRAMES; i++) {
		struct hakc_symbol symbol = hakc_symbols_find(symbols, frames[i]);
		const char *name = symbol.function ? symbol.function : "";
		bool is_library = strncmp(symbol.file, "libhakmem", strlen("libhakmem")) == 0;
		bool is_end = !is_library && is_one_of(name, entries);

		if (is_library || is_end || strncmp(name, "hakc_", 5) == 0 ||
		    (i > 0 && own == i && is_one_of(name, statics)))
			own = i + 1;
		if (is_end)
			break;
	}
	return own < n ? own : 0;
}

enum hakc_module_state hakc_symbols_module(struct hakc_symbols *symbols, unsigned number,
					   const struct hak_module **ret_module)
{
	const struct module *module = &symbols->of[number % HAK_MODULE_COUNT];

	*ret_module = &module->entry;
	return module->state;
}

const char *hakc_module_text(enum hakc_module_state state)
{
	static const char *const texts[] = {"unknown", "named",	  "stripped",
					    "gone",    "changed", "unasked"};

	return texts[state];
}
