/* SPDX-License-Identifier: MIT */
/* Descriptor 2 leads to a file in memory meanwhile, so write(2) is caught as well as stdio. */
#include "tests/support/run.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/capture.h"

void hakt_capture_begin(struct hakt_capture *capture)
{
	fflush(stderr);
	capture->file = memfd_create("stderr", MFD_CLOEXEC);
	capture->saved = dup(STDERR_FILENO);
	assert_true(capture->file >= 0 && capture->saved >= 0);
	assert_true(dup2(capture->file, STDERR_FILENO) >= 0);
}

char *hakt_capture_end(struct hakt_capture *capture)
{
	struct stat st;
	char *text;

	fflush(stderr);
	assert_true(dup2(capture->saved, STDERR_FILENO) >= 0);
	close(capture->saved);
	assert_int_equal(fstat(capture->file, &st), 0);
	text = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(text);
	assert_int_equal(pread(capture->file, text, (size_t)st.st_size, 0), st.st_size);
	close(capture->file);
	return text;
}
