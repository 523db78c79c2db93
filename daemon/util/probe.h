/* SPDX-License-Identifier: MIT */
#ifndef HAKD_UTIL_PROBE_H
#define HAKD_UTIL_PROBE_H

/*
 * USDT probes of hakmemd, for bpftrace, perf, gdb: a nop each, and a note in the program that says where
 * it is and where its arguments are. Built without where there is no sys/sdt.h.
 *
 * | probe   | arguments                                | when                                     |
 * |---------|------------------------------------------|------------------------------------------|
 * | grant   | pool, holder, pid, superslab, n          | they are the client's                    |
 * | adopt   | pool, holder, pid, superslab, n          | likewise; they were orphans              |
 * | limit   | pool, holder, pid, n, by                 | as many are refused: by enum hak_error   |
 * | death   | pool, holder, pid                        | a client has died, or called exec        |
 * | orphan  | pool, superslab, n                       | others hold blocks in what the dead had  |
 * | collect | pool, superslab, n                       | they are free again                      |
 *
 * pool is a name, a string; superslab the number of the first of n. Names and arguments are a promise to
 * scripts: docs/observe.md.
 */

#if !defined(HAKMEM_NO_PROBES) && __has_include(<sys/sdt.h>)
#define SDT_USE_VARIADIC
#include <sys/sdt.h>
#define HAKD_PROBE(name, ...) STAP_PROBEV(hakmemd, name, __VA_ARGS__)
#else
#define HAKD_PROBE(name, ...)                            \
	do {                                             \
		if (0)                                   \
			hakd_probe_no_more(__VA_ARGS__); \
	} while (0)
/* Its arguments are looked at by the compiler alone. */
static inline void hakd_probe_no_more(const char *pool, ...)
{
	(void)pool;
}
#endif

#endif
