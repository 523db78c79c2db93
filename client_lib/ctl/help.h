/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_HELP_H
#define HAKC_CTL_HELP_H

/* Of the verb that the words begin with, if they do, else of all. */
void hakc_help_print(int n, char **words);

#endif
