/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_FRAME_H
#define HAKC_CTL_FRAME_H

/* What a frame of a stack is called, for people. */

#include <stdio.h>

#include "client_lib/ctl/symbols.h"

/* Text of others: what isn't printable ASCII as '?', and ';' as ','. */
void hakc_frame_print_text(FILE *out, const char *text);

/* "fill", or "worker+0x1234" where the function isn't known, or "0x1234" where nothing is. */
void hakc_frame_print(FILE *out, struct hakc_symbols *symbols, uint64_t frame);

/* "fill (worker+0x1234)", or as above. */
void hakc_frame_print_place(FILE *out, struct hakc_symbols *symbols, uint64_t frame);

#endif
