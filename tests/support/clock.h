/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CLOCK_H
#define HAKT_CLOCK_H

/*
 * CLOCK_MONOTONIC_COARSE of a program that links this and libhakmem statically: it stands still
 * but when it is told to go on. All other clocks are what they are.
 */

#include <stdint.h>

void hakt_clock_pass(uint64_t ms);
uint64_t hakt_clock_now(void); /* ms */

#endif
