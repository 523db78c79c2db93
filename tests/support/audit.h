/* SPDX-License-Identifier: MIT */
#ifndef HAKT_AUDIT_H
#define HAKT_AUDIT_H

/*
 * A daemon whose pool is audited by hakmemctl, and what this process, a client,
 * can scribble over. All calls fail the test on error.
 */

#include <stdint.h>

#include "proto/shm/check.h"
#include "tests/support/ctl.h"
#include "tests/support/daemon.h"

#define HAKT_AUDIT_CAPACITY (UINT64_C(1) << 30)
#define HAKT_AUDIT_LG	    21u
#define HAKT_AUDIT_STRANGER 4000u /* a holder slot that is free */

extern struct hakt_daemon hakt_audited;
extern struct hak_segment hakt_audit_segment; /* this process's own mapping, of libhakmem */

/* Setup and teardown of a case; the pool must be empty in the end. */
int hakt_audit_start(void **state);
int hakt_audit_stop(void **state);

/* check, whose exit code must be that; to be released. */
json_t *hakt_audit_check(int expected);
void hakt_audit_check_clean(void);

/* The text that ends the output of check, or of leaks, for people. */
void hakt_audit_expect_line(const char *verb, int exit_code, const char *text);

/* Finds the heap that libhakmem has mapped. */
void hakt_audit_find_segment(void);

uint32_t hakt_audit_slot_of(const void *block);

/* Names another owner in the slab word of a block; the word as it was. */
uint64_t hakt_audit_scribble(uint32_t slot);

#endif
