/* SPDX-License-Identifier: MIT */
/*
 * Attaching: connect, hello, map what the daemon sent. The registry is mapped
 * for reading, the heap at the pool's own address or, where that is taken,
 * anywhere. A forked child finds its heap wiped but the mapping inherited; it
 * attaches as a client of its own and keeps the mapping if it is of the same
 * segment, so that inherited pointers stay readable.
 */
#include "client_lib/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client_lib/hardened.h"
#include "client_lib/include/hakmem.h"
#include "client_lib/log.h"
#include "client_lib/pool.h"
#include "client_lib/spawn.h"
#include "proto/error.h"
#include "proto/wire/socket_path.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define HUGE_PAGE	   (UINT64_C(1) << 21)
#define LEASE_BYTES	   4096u
#define DEFAULT_TIMEOUT_MS 5000u

void *hakc_private_map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	if (madvise(memory, bytes, MADV_WIPEONFORK) != 0) {
		munmap(memory, bytes);
		return NULL;
	}
	return memory;
}

void hakc_private_unmap(void *memory, size_t bytes)
{
	if (memory)
		munmap(memory, bytes);
}

void hakc_session_free_foreign(struct hakc_thread *t, void *block)
{
	if (hakc_pool_free(block))
		return;
	if (t)
		hakc_count(t->heap, HAK_STAT_FOREIGN_FREES, 1);
	hakc_log(HAKC_LOG_ERROR, "free of %p refused: %s", block,
		 t			     ? "not an address of the pool"
		 : hakc_heap()->is_read_only ? "this process is attached for reading"
					     : "this process is not attached");
}

/* What a forked child inherits, by heaps; so not in wiped pages. */
static struct mapping {
	void *heap;
	void *registry; /* NULL: nothing is mapped */
	uint64_t heap_bytes;
	uint64_t registry_bytes;
	uint8_t uuid[HAK_UUID_BYTES];
	uint64_t generation;
	bool is_read_only;
} mappings[HAKC_HEAPS_MAX];

static void unmap(struct mapping *m)
{
	if (m->heap)
		munmap(m->heap, m->heap_bytes);
	if (m->registry)
		munmap(m->registry, m->registry_bytes);
	*m = (struct mapping){0};
}

static bool is_file_of(int fd, uint64_t bytes)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (uint64_t)st.st_size == bytes;
}

/* Anywhere, but with the SuperSlabs aligned to 2 MiB. */
static void *map_elsewhere(int fd, const struct hak_geometry *geometry, int protection)
{
	uint64_t reserved = geometry->heap_bytes + HUGE_PAGE;
	char *room = mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			  -1, 0);

	if (room == MAP_FAILED)
		return NULL;

	uint64_t lead = (HUGE_PAGE - (uintptr_t)room % HUGE_PAGE) % HUGE_PAGE;
	char *heap = mmap(room + lead, geometry->heap_bytes, protection,
			  MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0);

	if (heap == MAP_FAILED) {
		munmap(room, reserved);
		return NULL;
	}
	if (lead)
		munmap(room, lead);
	munmap(heap + geometry->heap_bytes, HUGE_PAGE - lead);
	return heap;
}

static void *map_heap(int fd, const struct hak_geometry *geometry, uint64_t base, bool elsewhere,
		      int protection)
{
	void *wanted = (void *)(uintptr_t)(base - geometry->data_at);
	void *heap;

	if (!elsewhere && base > geometry->data_at) {
		heap = mmap(wanted, geometry->heap_bytes, protection,
			    MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_NORESERVE, fd, 0);
		if (heap == wanted)
			return heap;
		if (heap != MAP_FAILED) /* a kernel that takes the flag for a hint */
			munmap(heap, geometry->heap_bytes);
		hakc_log(HAKC_LOG_WARN,
			 "the pool's address %p is taken: mapped elsewhere, "
			 "only refs cross processes",
			 (void *)(uintptr_t)base);
	}
	return map_elsewhere(fd, geometry, protection);
}

static int map_segment(struct mapping *m, const Hak__Welcome *welcome, const int fds[2],
		       bool elsewhere, struct hak_geometry *geometry)
{
	int r;

	if (welcome->uuid.len != HAK_UUID_BYTES || !is_file_of(fds[0], welcome->registry_bytes) ||
	    !is_file_of(fds[1], welcome->heap_bytes))
		return -EPROTO;
	m->registry_bytes = welcome->registry_bytes;
	m->registry = mmap(NULL, m->registry_bytes, PROT_READ, MAP_SHARED, fds[0], 0);
	if (m->registry == MAP_FAILED) {
		m->registry = NULL;
		return -errno;
	}
	r = hak_registry_validate(m->registry, m->registry_bytes, geometry);
	if (r == 0 && geometry->heap_bytes != welcome->heap_bytes)
		r = -EPROTO;
	if (r < 0)
		return r;
	m->heap_bytes = geometry->heap_bytes;
	m->heap = map_heap(fds[1], geometry, ((struct hak_registry *)m->registry)->base, elsewhere,
			   m->is_read_only ? PROT_READ : PROT_READ | PROT_WRITE);
	if (!m->heap)
		return -ENOMEM;
	memcpy(m->uuid, welcome->uuid.data, HAK_UUID_BYTES);
	m->generation = welcome->generation;
	return 0;
}

static bool is_mapped(const struct mapping *m, const Hak__Welcome *welcome)
{
	return m->registry && welcome->uuid.len == HAK_UUID_BYTES &&
	       memcmp(m->uuid, welcome->uuid.data, HAK_UUID_BYTES) == 0 &&
	       m->generation == welcome->generation;
}

/* One pool, one heap: pointers of two mappings would be taken for each other's. */
static bool is_mapped_by_another_heap(const Hak__Welcome *welcome)
{
	for (unsigned i = 0; i < HAKC_HEAPS_MAX; i++)
		if (i != hakc_thread_at() && is_mapped(&mappings[i], welcome))
			return true;
	return false;
}

static int enter_segment(struct hakc_heap *heap, const Hak__Welcome *welcome, const int fds[2],
			 bool elsewhere)
{
	struct mapping *m = &mappings[hakc_thread_at()];
	struct hak_geometry geometry;
	int r;

	if (is_mapped_by_another_heap(welcome))
		return -EISCONN;
	/* By its own descriptor: the kernel lets nobody make more of it. */
	if (is_mapped(m, welcome) && m->is_read_only != heap->is_read_only)
		unmap(m);
	if (is_mapped(m, welcome)) {
		r = hak_registry_validate(m->registry, m->registry_bytes, &geometry);
	} else {
		struct mapping fresh = {.is_read_only = heap->is_read_only};

		r = map_segment(&fresh, welcome, fds, elsewhere, &geometry);
		if (r < 0)
			unmap(&fresh);
		else
			*m = fresh; /* a parent's segment stays mapped for its pointers */
	}
	if (r < 0)
		return r;
	if (!heap->is_read_only &&
	    (welcome->holder < HAK_HOLDER_FIRST || welcome->holder >= HAK_HOLDER_COUNT))
		return -EPROTO;
	hak_segment_init(&heap->segment, &geometry, m->registry, m->heap);
	heap->is_at_base = heap->segment.base == ((struct hak_registry *)m->registry)->base;
	heap->holder = welcome->holder;
	heap->area = &heap->segment.areas[heap->holder];
	if (heap->is_read_only)
		return 0;
	hakc_hardened_init(heap);
	return hakc_heap_init(heap);
}

/*
 * While this is mapped, the daemon takes nothing that is ours for the process
 * being alive; it goes by exec, and a forked child doesn't have it.
 */
static int map_lease(int fd, void **ret_lease)
{
	void *lease = mmap(NULL, LEASE_BYTES, PROT_NONE, MAP_SHARED, fd, 0);
	int r;

	if (lease == MAP_FAILED)
		return -errno;
	if (madvise(lease, LEASE_BYTES, MADV_DONTFORK) != 0) {
		r = -errno;
		munmap(lease, LEASE_BYTES);
		return r;
	}
	*ret_lease = lease;
	return 0;
}

/* When nothing of the pool is used any more: from now on it may be somebody else's. */
static void unmap_lease(struct hakc_heap *heap)
{
	if (heap->lease)
		munmap(heap->lease, LEASE_BYTES);
	heap->lease = NULL;
}

/* Connects to the daemon, whose path it tells; with HAKMEM_AUTOSPAWN=1 to one that it starts. */
static int connect_daemon(struct hakc_conn *conn, const struct hakmem_options *options,
			  unsigned timeout_ms, char path[HAK_SOCKET_PATH_MAX])
{
	const char *autospawn = getenv("HAKMEM_AUTOSPAWN");
	bool may_spawn = autospawn && strcmp(autospawn, "1") == 0;
	const char *given = options ? options->socket : NULL;
	int r = hak_socket_path(given, may_spawn, path);

	if (r < 0)
		return r;
	r = hakc_conn_init(conn, path, timeout_ms);
	if (may_spawn && (r == -ENOENT || r == -ECONNREFUSED)) {
		const struct timespec pause = {.tv_nsec = 10000000};

		hakc_log(HAKC_LOG_INFO, "starting a daemon that listens on %s", path);
		int spawned = hakc_spawn_daemon(path);

		/* One that another process is starting may need a moment. */
		for (unsigned waited = 0; waited <= timeout_ms; waited += 10) {
			r = hakc_conn_init(conn, path, timeout_ms);
			if (r == 0 || spawned < 0)
				break;
			nanosleep(&pause, NULL);
		}
	}
	if (r < 0)
		hakc_log(HAKC_LOG_WARN, "no daemon at %s (%s); start hakmemd, or set HAKMEM_SOCKET",
			 path, strerror(-r));
	return r;
}

static unsigned timeout_of(const struct hakmem_options *options)
{
	const char *text = getenv("HAKMEM_TIMEOUT_MS");
	char *end;

	if (options && options->timeout_ms)
		return options->timeout_ms;
	if (text && *text) {
		unsigned long value = strtoul(text, &end, 10);

		if (*end == 0 && value > 0 && value <= 86400000)
			return (unsigned)value;
		hakc_log(HAKC_LOG_WARN, "HAKMEM_TIMEOUT_MS=%s is no number of 1 to 86400000", text);
	}
	return DEFAULT_TIMEOUT_MS;
}

/* Connects and says hello, again if the daemon dies meanwhile; as hakc_conn_hello. */
static int greet(struct hakc_conn *conn, const struct hakmem_options *options, Hak__PeerKind kind,
		 char path[HAK_SOCKET_PATH_MAX], Hak__Reply **ret_reply, int *fds, unsigned *n_fds)
{
	const char *pool = options && options->pool ? options->pool : getenv("HAKMEM_POOL");
	const struct timespec pause = {.tv_nsec = 10000000};
	unsigned timeout_ms = timeout_of(options);
	int64_t deadline = hakc_link_now() + (int64_t)timeout_ms * 1000;

	for (;;) {
		int r = connect_daemon(conn, options, timeout_ms, path);

		*n_fds = r < 0 ? 0 : HAK_WIRE_FDS_MAX;
		if (r == 0)
			r = hakc_conn_hello(conn, kind, pool, ret_reply, fds, n_fds);
		if (r != -ENOTCONN)
			return r;
		if (hakc_link_now() >= deadline)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
}

/* Says why the daemon refused; a negative errno. */
static int refusal(int r, const Hak__Reply *reply)
{
	/* Another version is nothing that waiting, or another pool, helps against. */
	hakc_log(r == HAK_E_VERSION ? HAKC_LOG_ERROR : HAKC_LOG_WARN, "the daemon refused: %s",
		 reply->reason ? reply->reason : hak_error_text((unsigned)r));
	return -hak_error_errno((unsigned)r);
}

/* With what a welcome brought; its descriptors stay the caller's. */
static int enter(struct hakc_heap *heap, const Hak__Welcome *welcome, const int *fds,
		 unsigned n_fds, bool elsewhere)
{
	int r;

	if (n_fds != (heap->is_read_only ? 2 : HAK_WIRE_FDS_MAX))
		return -EPROTO;
	r = heap->is_read_only ? 0 : map_lease(fds[2], &heap->lease);
	if (r == 0)
		r = enter_segment(heap, welcome, fds, elsewhere);
	if (r < 0)
		unmap_lease(heap);
	return r;
}

int hakc_session_attach(struct hakc_heap *heap, const struct hakmem_options *options)
{
	char path[HAK_SOCKET_PATH_MAX];
	struct hakc_conn conn = {.fd = -1};
	int fds[HAK_WIRE_FDS_MAX];
	unsigned n_fds;
	Hak__Reply *reply = NULL;
	int r;

	if (heap->is_attached)
		return -EISCONN;
	if (!options) /* perhaps a child of a fork: as its parent */
		options = hakc_pool_options(hakc_thread_at());
	heap->is_read_only = options && options->read_only;
	/* In a child of a fork that was our parent's; closed, if the program hasn't done so. */
	hakc_link_close_inherited();
	r = greet(&conn, options,
		  heap->is_read_only ? HAK__PEER_KIND__PEER_READER : HAK__PEER_KIND__PEER_CLIENT,
		  path, &reply, fds, &n_fds);
	r = r > 0 ? refusal(r, reply) : r;
	if (r == 0)
		r = enter(heap, reply->welcome, fds, n_fds, options && options->offsets_only);
	if (r == 0 && !heap->is_read_only) /* who only reads needs the daemon no more */
		hakc_link_init(&heap->link, &conn, path, heap->segment.header, reply->welcome);
	else
		hakc_conn_deinit(&conn);
	if (reply)
		hak__reply__free_unpacked(reply, NULL);
	for (unsigned i = 0; i < n_fds; i++)
		close(fds[i]);
	if (r < 0)
		return r;
	heap->is_attached = true;
	heap->n_threads_max = HAK_CROSSINGS;
	return 0;
}

int hakc_session_back_tags(const struct hakc_heap *heap, uint32_t slot, uint32_t n)
{
	char *tags = (void *)hak_segment_tags(&heap->segment, slot);
	size_t bytes = (n * sizeof(hak_u32) + HAK_PAGE_BYTES - 1) & ~(HAK_PAGE_BYTES - 1);

	if (madvise(tags, bytes, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL)
		return -ENOMEM; /* EFAULT is what would have been SIGBUS */
	for (size_t at = 0; at < bytes; at += HAK_PAGE_BYTES)	    /* before Linux 5.14 */
		hak_add_relaxed((hak_u32 *)(void *)(tags + at), 0); /* only for the page */
	return 0;
}

int hakc_session_detach(struct hakc_heap *heap)
{
	if (!heap->is_attached)
		return -ENOTCONN;
	if (!heap->is_read_only) {
		hakc_session_bye(heap);
		hakc_link_deinit(&heap->link);
		hakc_heap_deinit(heap);
	}
	unmap(&mappings[hakc_thread_at()]);
	unmap_lease(heap);
	heap->is_attached = false;
	heap->area = NULL;
	return 0;
}
