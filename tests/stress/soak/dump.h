/* SPDX-License-Identifier: MIT */
#ifndef HAKT_SOAK_DUMP_H
#define HAKT_SOAK_DUMP_H

/* In a process of its own, which attaches: lists blocks that are not free, on stderr. */
void soak_dump(const char *socket) __attribute__((noreturn));

#endif
