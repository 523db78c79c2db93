/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_PPROF_H
#define HAKC_CTL_PPROF_H

/* A profile as pprof and what speaks its format read it, uncompressed. */

#include "client_lib/ctl/profile.h"

/* 0 or a negative errno. */
int hakc_pprof_write(const struct hakc_profile *profile, FILE *out);

#endif
