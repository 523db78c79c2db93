/* SPDX-License-Identifier: MIT */
/* The texts of the table of counters in stats.h. */
#include "proto/shm/stats.h"

const char *const hak_stat_names[HAK_STAT_COUNT] = {
#define X(name, text, description) text,
	HAK_STATS(X)
#undef X
};

const char *const hak_stat_descriptions[HAK_STAT_COUNT] = {
#define X(name, text, description) description,
	HAK_STATS(X)
#undef X
};
