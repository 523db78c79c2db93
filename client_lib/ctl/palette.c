/* SPDX-License-Identifier: MIT */
/* Neighbours differ in hue; all can be told from black and from white. */
#include "client_lib/ctl/palette.h"

#include <assert.h>

#include "proto/shm/holders.h"

static const struct {
	unsigned code;
	const char *hex;
} colours[HAKC_PALETTE_COLOURS] = {
	{245, "#8a8a8a"}, {240, "#585858"}, {32, "#0087d7"},  {208, "#ff8700"}, {35, "#00af5f"},
	{169, "#d75faf"}, {142, "#afaf00"}, {99, "#875fff"},  {203, "#ff5f5f"}, {37, "#00afaf"},
	{137, "#af875f"}, {75, "#5fafff"},  {107, "#87af5f"}, {177, "#d787ff"},
};

unsigned hakc_palette_index(unsigned holder)
{
	if (holder < HAK_HOLDER_FIRST)
		return holder;
	return HAK_HOLDER_FIRST +
	       (holder - HAK_HOLDER_FIRST) % (HAKC_PALETTE_COLOURS - HAK_HOLDER_FIRST);
}

unsigned hakc_palette_code(unsigned index)
{
	assert(index < HAKC_PALETTE_COLOURS);
	return colours[index].code;
}

const char *hakc_palette_hex(unsigned index)
{
	assert(index < HAKC_PALETTE_COLOURS);
	return colours[index].hex;
}
