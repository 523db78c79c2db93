/* SPDX-License-Identifier: MIT */
#ifndef HAKC_LOG_H
#define HAKC_LOG_H

/* What the library says on stderr; HAKMEM_LOG decides how much of it. */

enum hakc_log_level {
	HAKC_LOG_ERROR, /* misuse of the heap: reported unless the text is lost anyway */
	HAKC_LOG_WARN,	/* what the caller also learns by errno */
	HAKC_LOG_INFO,
	HAKC_LOG_DEBUG,
};

/* errno stays as it was. */
void hakc_log(enum hakc_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* For paths that are taken often: not even compiled into a release build. */
#ifdef HAKMEM_DEBUG
#define hakc_debug(...) hakc_log(HAKC_LOG_DEBUG, __VA_ARGS__)
#else
#define hakc_debug(...) ((void)0)
#endif

#endif
