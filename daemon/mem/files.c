/* SPDX-License-Identifier: MIT */
/*
 * Seals keep the size what it is, so that no client can make our mapping of it
 * a trap; what is taken over must have them too, since clients have had the heap.
 */
#include "daemon/mem/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* F_SEAL_SEAL too: a client must not add seals that lock others out. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int make_file(const char *name, uint64_t bytes, mode_t mode)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	int r;

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) == 0 && fchmod(fd, mode) == 0 &&
	    fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

static int open_for_reading(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void *map(int fd, uint64_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* The same, with the file's pieces of a huge page at addresses that one can be mapped at. */
static void *map_aligned(int fd, uint64_t bytes)
{
	char *room = mmap(NULL, bytes + HAKD_HUGE_BYTES, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t before;
	void *memory;

	if (room == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)room & (HAKD_HUGE_BYTES - 1);
	memory = mmap(room + before, bytes, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0);
	if (memory == MAP_FAILED) {
		munmap(room, bytes + HAKD_HUGE_BYTES);
		return NULL;
	}
	if (before > 0)
		munmap(room, before);
	munmap(room + before + bytes, HAKD_HUGE_BYTES - before);
	return memory;
}

/* Maps the heap beside the registry, and opens the descriptors that are for reading. */
static int map_heap(struct hakd_pool *pool)
{
	pool->registry_reader_fd = open_for_reading(pool->registry_fd);
	if (pool->registry_reader_fd < 0)
		return pool->registry_reader_fd;
	pool->heap_reader_fd = open_for_reading(pool->heap_fd);
	if (pool->heap_reader_fd < 0)
		return pool->heap_reader_fd;
	pool->heap = map_aligned(pool->heap_fd, pool->segment.geometry.heap_bytes);
	return pool->heap ? 0 : -errno;
}

int hakd_files_make(struct hakd_pool *pool, const struct hak_geometry *geometry)
{
	int r = pool->registry_fd = make_file("hakmem-registry", geometry->registry_bytes, 0444);

	if (r >= 0)
		r = pool->heap_fd = make_file("hakmem-heap", geometry->heap_bytes, 0600);
	if (r < 0)
		return r;
	pool->segment.geometry = *geometry;
	pool->registry = map(pool->registry_fd, geometry->registry_bytes);
	return pool->registry ? map_heap(pool) : -errno;
}

static int refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int refuse(const char *format, ...)
{
	va_list arguments;

	fputs("hakmemd: cannot take over the pool: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return -EPROTO;
}

/* Is it a sealed file that we may write to? Its size. */
static int examine(int fd, const char *name, uint64_t *ret_bytes)
{
	int seals = fcntl(fd, F_GET_SEALS);
	int access = fcntl(fd, F_GETFL);
	struct stat st;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) != 0)
		return refuse("the %s descriptor is no sealed file in memory", name);
	if (access < 0 || (access & O_ACCMODE) != O_RDWR)
		return refuse("the %s descriptor is not open for writing", name);
	*ret_bytes = (uint64_t)st.st_size;
	return 0;
}

static int validate(const struct hak_registry *header, uint64_t registry_bytes, uint64_t heap_bytes,
		    struct hak_geometry *ret_geometry)
{
	int r = hak_registry_validate(header, registry_bytes, ret_geometry);

	if (r == -EPROTO)
		return refuse("it has layout %u (%016llx), this hakmemd " HAKMEM_VERSION
			      " has %u (%016llx). It is left as it is: start the version that made "
			      "it, or end that pool for good (systemctl stop, or SIGINT to the "
			      "--supervise that keeps it) and start this one",
			      header->layout_version, (unsigned long long)header->fingerprint,
			      HAK_LAYOUT_VERSION, (unsigned long long)hak_layout_fingerprint());
	if (r < 0)
		return refuse("the registry has no valid header");
	if (heap_bytes != ret_geometry->heap_bytes)
		return refuse("the heap has %llu bytes, the registry says %llu",
			      (unsigned long long)heap_bytes,
			      (unsigned long long)ret_geometry->heap_bytes);
	return 0;
}

int hakd_files_take_over(struct hakd_pool *pool, int registry_fd, int heap_fd)
{
	uint64_t registry_bytes = 0, heap_bytes = 0;
	struct hak_geometry geometry;
	void *registry;
	int r;

	pool->registry_fd = registry_fd;
	pool->heap_fd = heap_fd;
	r = examine(registry_fd, "registry", &registry_bytes);
	if (r == 0)
		r = examine(heap_fd, "heap", &heap_bytes);
	if (r < 0)
		return r;
	if (registry_bytes < HAK_PAGE_BYTES) /* no page of it could be read */
		return refuse("the registry has no valid header");
	registry = map(registry_fd, registry_bytes);
	if (!registry)
		return -errno;
	r = validate(registry, registry_bytes, heap_bytes, &geometry);
	if (r < 0) {
		munmap(registry, registry_bytes);
		return r;
	}
	pool->segment.geometry = geometry;
	pool->registry = registry;
	return map_heap(pool);
}

void hakd_files_close(struct hakd_pool *pool)
{
	const struct hak_geometry *g = &pool->segment.geometry;
	const int fds[] = {pool->registry_fd, pool->registry_reader_fd, pool->heap_fd,
			   pool->heap_reader_fd};

	if (pool->registry)
		munmap(pool->registry, g->registry_bytes);
	if (pool->heap)
		munmap(pool->heap, g->heap_bytes);
	for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}
