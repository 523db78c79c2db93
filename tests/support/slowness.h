/* SPDX-License-Identifier: MIT */
#ifndef HAKT_SLOWNESS_H
#define HAKT_SLOWNESS_H

/* How much slower this build is than a usual one. */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAKT_IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAKT_IS_SANITIZED 1
#endif
#endif

/* Counts of operations and rounds are divided by this. */
#ifdef HAKT_IS_SANITIZED
#define HAKT_SLOWNESS 4u
#else
#define HAKT_SLOWNESS 1u
#endif

#endif
