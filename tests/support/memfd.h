/* SPDX-License-Identifier: MIT */
#ifndef HAKT_MEMFD_H
#define HAKT_MEMFD_H

/* The memfds of a daemon, by its descriptors, and what the kernel has given to them. */

#include <stdint.h>
#include <sys/types.h>

/* "hakmem-registry" or "hakmem-heap" of that process, opened anew for reading and writing. Fails
 * the test if there is none. */
int hakt_memfd_open(pid_t daemon, const char *name);

/* Bytes that have pages. */
uint64_t hakt_memfd_resident(int fd);

/* Those among [from, to); skips the test where the kernel cannot tell. */
uint64_t hakt_memfd_resident_in(int fd, uint64_t from, uint64_t to);

#endif
