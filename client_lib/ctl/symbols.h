/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_SYMBOLS_H
#define HAKC_CTL_SYMBOLS_H

/*
 * What the frames of samples are called. The files that they lie in are named by the pool's table
 * of modules, which any client may have written; a file is what a module says only if it has the
 * same build ID.
 */

#include "client_lib/ctl/view.h"
#include "proto/shm/modules.h"

enum hakc_module_state {
	HAKC_MODULE_UNKNOWN, /* there is none of that number, or no frame was in it */
	HAKC_MODULE_NAMED,   /* functions have names */
	HAKC_MODULE_BARE,    /* it has been stripped, and nothing else knows its symbols */
	HAKC_MODULE_GONE,    /* there is no such file, or it can't be read */
	HAKC_MODULE_CHANGED, /* it is another file by now */
	HAKC_MODULE_UNASKED, /* --no-symbols */
};

struct hakc_symbol {
	const char *function; /* NULL: not known */
	const char *path;     /* of the file; "": not known */
	const char *file;     /* the last part of it */
	uint64_t address;     /* in the file */
};

struct hakc_symbols;

/* asks: whether files are read. NULL: no memory. The view must outlive it. */
struct hakc_symbols *hakc_symbols_new(const struct hakc_view *view, bool asks);
void hakc_symbols_free(struct hakc_symbols *symbols);

/* All strings last as long as symbols. A frame is a return address: what called is told. */
struct hakc_symbol hakc_symbols_find(struct hakc_symbols *symbols, uint64_t frame);

/* The begin of its function as a frame of that, for which the same is told; else the frame. */
uint64_t hakc_symbols_function(struct hakc_symbols *symbols, uint64_t frame);

/* The line of the source that the frame is in, and *ret_path, if the file says; else 0 and "". */
unsigned hakc_symbols_line(struct hakc_symbols *symbols, uint64_t frame, const char **ret_path);

/* The same frame with the number by which its file was entered first. */
uint64_t hakc_symbols_canonical(struct hakc_symbols *symbols, uint64_t frame);

/* How many of the innermost frames are hakmem's own. */
unsigned hakc_symbols_own(struct hakc_symbols *symbols, const uint64_t *frames, unsigned n);

/*
 * Of a file that frames were in that have been looked for; *ret_module, valid unless it is UNKNOWN:
 * what the table says of it.
 */
enum hakc_module_state hakc_symbols_module(struct hakc_symbols *symbols, unsigned number,
					   const struct hak_module **ret_module);

/* "named", "stripped", ...: words of the JSON too. */
const char *hakc_module_text(enum hakc_module_state state);

#endif
