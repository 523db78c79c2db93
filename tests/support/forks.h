/* SPDX-License-Identifier: MIT */
#ifndef HAKT_FORKS_H
#define HAKT_FORKS_H

/*
 * May the child of a fork beside threads that allocate call malloc? glibc's lets it. gcc 12's libasan
 * doesn't hold its allocator's locks over a fork: if a thread that the child doesn't have was in one,
 * the child waits for it for ever (Mutex::Lock in SizeClassAllocator64::GetFromAllocator).
 */
#ifdef __SANITIZE_ADDRESS__
#define HAKT_SKIP_WITHOUT_FORKS() \
	(print_message("AddressSanitizer's malloc can't be used after such a fork\n"), skip())
#else
#define HAKT_SKIP_WITHOUT_FORKS() ((void)0)
#endif

#endif
