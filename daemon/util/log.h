/* SPDX-License-Identifier: MIT */
#ifndef HAKD_LOG_H
#define HAKD_LOG_H

/*
 * Lines on stderr, "hakmemd: level: text"; below the chosen level nothing. To the journal each says its
 * priority.
 */

enum hakd_log_level { HAKD_LOG_ERROR, HAKD_LOG_WARN, HAKD_LOG_INFO, HAKD_LOG_DEBUG };

/* The level of a name; -1: there is none of that name. */
int hakd_log_level_of(const char *name);
void hakd_log_set_level(enum hakd_log_level level);
void hakd_log(enum hakd_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
