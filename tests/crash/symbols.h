/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CRASH_SYMBOLS_H
#define HAKT_CRASH_SYMBOLS_H

/*
 * Which instructions are transition code: those of the functions in a table of names, found in
 * this program's own symbol table.
 */

#include <stddef.h>
#include <stdint.h>

#define HAKT_GROUP_NONE	  0xffu
#define HAKT_GROUP_LOOKUP 0u /* a long loop that changes nothing: see plan.c */

/* A step of the ownership protocol, and the functions that make it. */
struct hakt_group {
	const char *name;
	const char *functions; /* names with blanks between them; x* is all that begin with x */
};

extern const struct hakt_group hakt_groups[];
extern const unsigned hakt_n_groups;

/* Reads the symbol table; ends the program where there is none. */
void hakt_symbols_init(void);

/* The group of the instruction at pc. */
unsigned hakt_symbols_group(uint64_t pc);

/* "function+offset", or a number, in text. */
const char *hakt_symbols_name(uint64_t pc, char *text, size_t bytes);

#endif
