/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_PALETTE_H
#define HAKC_CTL_PALETTE_H

/*
 * The colour of a holder: by its slot alone, so it is the same in the next picture, in a terminal
 * and in an SVG. Every twelfth shares one.
 */

#define HAKC_PALETTE_COLOURS 14u /* nobody's, the roots', and twelve */

/* Which of them. */
unsigned hakc_palette_index(unsigned holder);

/* The code of a terminal of 256 colours, and the same as "#rrggbb". */
unsigned hakc_palette_code(unsigned index);
const char *hakc_palette_hex(unsigned index);

#endif
