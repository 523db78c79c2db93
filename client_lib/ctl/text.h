/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_TEXT_H
#define HAKC_CTL_TEXT_H

/* Texts of values, for people; each writes to text and returns it. */

#include <stdint.h>

#define HAKC_TEXT_BYTES 64

/* "1.5 MiB", or with --bytes "1572864" */
const char *hakc_bytes_text(uint64_t bytes, char text[HAKC_TEXT_BYTES]);

/* The beginning of a string, what isn't printable ASCII as '?'; NULL: "". */
const char *hakc_safe_text(const char *from, char text[HAKC_TEXT_BYTES]);

/* "2 d 3:04:05" */
const char *hakc_duration_text(uint64_t seconds, char text[HAKC_TEXT_BYTES]);

#endif
