/* SPDX-License-Identifier: MIT */
/* The texts and errnos of the table in error.h. */
#include "proto/error.h"

#include <errno.h>

int hak_error_errno(unsigned error)
{
	switch (error) {
#define X(name, code, number, text) \
	case code:                  \
		return number;
		HAK_ERRORS(X)
#undef X
	default:
		return EPROTO;
	}
}

const char *hak_error_text(unsigned error)
{
	switch (error) {
#define X(name, code, number, text) \
	case code:                  \
		return text;
		HAK_ERRORS(X)
#undef X
	default:
		return "an error that this version does not know";
	}
}
