/* SPDX-License-Identifier: MIT */
#ifndef HAKT_FUZZ_CLOCK_H
#define HAKT_FUZZ_CLOCK_H

/* The monotonic clock of this process, which a target can put on: nobody waits for a timer. */

#include <stdint.h>

void hakt_clock_pass(uint64_t ms);

#endif
