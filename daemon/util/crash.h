/* SPDX-License-Identifier: MIT */
#ifndef HAKD_CRASH_H
#define HAKD_CRASH_H

/*
 * A fatal signal writes one line (signal, address, what the thread was doing)
 * and a backtrace to stderr; then the process dies of that signal.
 */
void hakd_crash_init(void);

/* What the calling thread does from now on; a string that lives for ever. */
void hakd_doing(const char *what);

#endif
