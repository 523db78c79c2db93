/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_TERMINFO_H
#define HAKC_CTL_TERMINFO_H

#include <stdbool.h>

/* Is there a description of the terminal that TERM names? */
bool hakc_terminfo_knows(void);

#endif
