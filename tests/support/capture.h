/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CAPTURE_H
#define HAKT_CAPTURE_H

/*
 * What this process writes to stderr between begin and end. No assertion in
 * between: its message would be caught too. Both fail the test on error.
 */

#include <stddef.h>

struct hakt_capture {
	int file;
	int saved; /* the real stderr */
};

void hakt_capture_begin(struct hakt_capture *capture);

/* The text, to be freed by free(). */
char *hakt_capture_end(struct hakt_capture *capture);

#endif
