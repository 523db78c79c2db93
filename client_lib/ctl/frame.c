/* SPDX-License-Identifier: MIT */
/* Names are as the linker knows them; those of C++ go through c++filt. */
#include "client_lib/ctl/frame.h"

#include <inttypes.h>

void hakc_frame_print_text(FILE *out, const char *text)
{
	for (; *text; text++)
		fputc(*text < 0x20 || *text >= 0x7f ? '?' : *text == ';' ? ',' : *text, out);
}

static void print_address(FILE *out, const struct hakc_symbol *symbol)
{
	hakc_frame_print_text(out, symbol->file);
	fprintf(out, "%s0x%" PRIx64, *symbol->file ? "+" : "", symbol->address);
}

void hakc_frame_print(FILE *out, struct hakc_symbols *symbols, uint64_t frame)
{
	struct hakc_symbol symbol = hakc_symbols_find(symbols, frame);

	if (symbol.function)
		hakc_frame_print_text(out, symbol.function);
	else
		print_address(out, &symbol);
}

void hakc_frame_print_place(FILE *out, struct hakc_symbols *symbols, uint64_t frame)
{
	struct hakc_symbol symbol = hakc_symbols_find(symbols, frame);

	if (symbol.function) {
		hakc_frame_print_text(out, symbol.function);
		fputs(" (", out);
	}
	print_address(out, &symbol);
	if (symbol.function)
		fputc(')', out);
}
