/* SPDX-License-Identifier: MIT */
#ifndef HAKC_PROBE_H
#define HAKC_PROBE_H

/*
 * USDT probes of libhakmem: a nop each, as those of daemon/util/probe.h. Built without where there is no
 * sys/sdt.h, which is a header and no library.
 *
 * | probe       | arguments | when                                                           |
 * |-------------|-----------|----------------------------------------------------------------|
 * | refill_wait | n, us     | the thread has waited so long for n SuperSlabs, got them or not |
 */

#if !defined(HAKMEM_NO_PROBES) && __has_include(<sys/sdt.h>)
#define SDT_USE_VARIADIC
#include <sys/sdt.h>
#define HAKC_PROBE(name, ...) STAP_PROBEV(libhakmem, name, __VA_ARGS__)
#else
#define HAKC_PROBE(name, a, b) ((void)(a), (void)(b))
#endif

#endif
