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

#include "client_lib/include/hakmem.h"
#include "client_lib/log.h"
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
	if (t)
		hakc_count(t->heap, HAK_STAT_FOREIGN_FREES, 1);
	hakc_log(HAKC_LOG_ERROR, "free of %p refused: %s", block,
		 t ? "not an address of the pool" : "this process is not attached");
}

/* What a forked child inherits; so not in wiped pages. */
static struct mapping {
	void *heap;
	void *registry; /* NULL: nothing is mapped */
	uint64_t heap_bytes;
	uint64_t registry_bytes;
	uint8_t uuid[HAK_UUID_BYTES];
	uint64_t generation;
	struct hakc_conn conn; /* our parent's, after a fork */
} mapping = {.conn.fd = -1};

static void unmap(struct mapping *m)
{
	if (m->heap)
		munmap(m->heap, m->heap_bytes);
	if (m->registry)
		munmap(m->registry, m->registry_bytes);
	*m = (struct mapping){.conn.fd = -1};
}

static bool is_file_of(int fd, uint64_t bytes)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (uint64_t)st.st_size == bytes;
}

/* Anywhere, but with the SuperSlabs aligned to 2 MiB. */
static void *map_elsewhere(int fd, const struct hak_geometry *geometry)
{
	uint64_t reserved = geometry->heap_bytes + HUGE_PAGE;
	char *room = mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			  -1, 0);

	if (room == MAP_FAILED)
		return NULL;

	uint64_t lead = (HUGE_PAGE - (uintptr_t)room % HUGE_PAGE) % HUGE_PAGE;
	char *heap = mmap(room + lead, geometry->heap_bytes, PROT_READ | PROT_WRITE,
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

static void *map_heap(int fd, const struct hak_geometry *geometry, uint64_t base, bool elsewhere)
{
	void *wanted = (void *)(uintptr_t)(base - geometry->data_at);
	void *heap;

	if (!elsewhere && base > geometry->data_at) {
		heap = mmap(wanted, geometry->heap_bytes, PROT_READ | PROT_WRITE,
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
	return map_elsewhere(fd, geometry);
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
	m->heap = map_heap(fds[1], geometry, ((struct hak_registry *)m->registry)->base, elsewhere);
	if (!m->heap)
		return -ENOMEM;
	memcpy(m->uuid, welcome->uuid.data, HAK_UUID_BYTES);
	m->generation = welcome->generation;
	return 0;
}

static bool is_mapped(const Hak__Welcome *welcome)
{
	return mapping.registry && welcome->uuid.len == HAK_UUID_BYTES &&
	       memcmp(mapping.uuid, welcome->uuid.data, HAK_UUID_BYTES) == 0 &&
	       mapping.generation == welcome->generation;
}

static int enter_segment(struct hakc_heap *heap, const Hak__Welcome *welcome, const int fds[2],
			 bool elsewhere)
{
	struct hak_geometry geometry;
	bool inherited = is_mapped(welcome);
	int r;

	if (inherited) {
		r = hak_registry_validate(mapping.registry, mapping.registry_bytes, &geometry);
	} else {
		struct mapping fresh = {.conn.fd = -1};

		r = map_segment(&fresh, welcome, fds, elsewhere, &geometry);
		if (r < 0)
			unmap(&fresh);
		else
			mapping = fresh; /* a parent's segment stays mapped for its pointers */
	}
	if (r < 0)
		return r;
	if (welcome->holder < HAK_HOLDER_FIRST || welcome->holder >= HAK_HOLDER_COUNT)
		return -EPROTO;
	hak_segment_init(&heap->segment, &geometry, mapping.registry, mapping.heap);
	heap->is_at_base = heap->segment.base == ((struct hak_registry *)mapping.registry)->base;
	heap->holder = welcome->holder;
	heap->area = &heap->segment.areas[heap->holder];
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

/* Connects to the daemon; with HAKMEM_AUTOSPAWN=1 to one that it starts. */
static int connect_daemon(struct hakc_conn *conn, const struct hakmem_options *options,
			  unsigned timeout_ms)
{
	const char *autospawn = getenv("HAKMEM_AUTOSPAWN");
	bool may_spawn = autospawn && strcmp(autospawn, "1") == 0;
	const char *given = options ? options->socket : NULL;
	char path[HAK_SOCKET_PATH_MAX];
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

int hakc_session_attach(struct hakc_heap *heap, const struct hakmem_options *options)
{
	const char *pool = options && options->pool ? options->pool : getenv("HAKMEM_POOL");
	int fds[HAK_WIRE_FDS_MAX] = {-1, -1, -1};
	unsigned n_fds = HAK_WIRE_FDS_MAX;
	Hak__Reply *reply = NULL;
	int r;

	if (heap->is_attached)
		return -EISCONN;
	/* In a child of a fork that was our parent's; closed, if the program hasn't done so. */
	hakc_conn_deinit(&mapping.conn);
	r = connect_daemon(&heap->conn, options, timeout_of(options));
	if (r < 0)
		return r;
	r = hakc_conn_hello(&heap->conn, HAK__PEER_KIND__PEER_CLIENT, pool, &reply, fds, &n_fds);
	if (r > 0) {
		/* Another version is nothing that waiting, or another pool, helps against. */
		hakc_log(r == HAK_E_VERSION ? HAKC_LOG_ERROR : HAKC_LOG_WARN,
			 "the daemon refused: %s",
			 reply->reason ? reply->reason : hak_error_text((unsigned)r));
		r = -hak_error_errno((unsigned)r);
	} else if (r == 0 && n_fds != HAK_WIRE_FDS_MAX) {
		r = -EPROTO;
	}
	if (r == 0)
		r = map_lease(fds[2], &heap->lease);
	if (r == 0)
		r = enter_segment(heap, reply->welcome, fds, options && options->offsets_only);
	if (reply)
		hak__reply__free_unpacked(reply, NULL);
	for (unsigned i = 0; i < n_fds; i++)
		close(fds[i]);
	if (r < 0) {
		unmap_lease(heap);
		hakc_conn_deinit(&heap->conn);
		return r;
	}
	mapping.conn = heap->conn;
	heap->is_attached = heap->is_connected = true;
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

/* Takes the numbers of a grant; false: it is nonsense. */
static bool read_grant(const struct hakc_heap *heap, const Hak__Reply *reply, uint32_t room,
		       uint32_t *superslabs, uint32_t *ret_n)
{
	const Hak__Grant *grant = reply->grant;

	if (reply->body_case != HAK__REPLY__BODY_GRANT || grant->n_superslabs == 0 ||
	    grant->n_superslabs > room)
		return false;
	for (size_t i = 0; i < grant->n_superslabs; i++) {
		if (grant->superslabs[i] >= heap->segment.geometry.n_superslabs)
			return false;
		superslabs[i] = grant->superslabs[i];
	}
	*ret_n = (uint32_t)grant->n_superslabs;
	return true;
}

/*
 * A reply that nobody waits for. The refill that was asked for ahead: ours from
 * now on. A run that came after we gave up waiting: to be given back, though
 * not from in here. A longer run likewise: nothing, it goes back with the run.
 */
static void take_late(void *context, const Hak__Reply *reply)
{
	struct hakc_heap *heap = context;
	uint32_t superslabs[HAKC_REFILL_MAX], n;

	if (reply->id == heap->asked_id)
		heap->is_asked = false;
	if (!read_grant(heap, reply, HAKC_REFILL_MAX, superslabs, &n) || reply->grant->length)
		return;
	if (reply->grant->inherited)
		hakc_heap_inherit(heap, superslabs, n);
	else if (reply->id == heap->asked_id)
		hakc_heap_own(heap, superslabs, n, reply->grant->zeroed);
	else if (heap->n_late < HAKC_LATE_MAX)
		heap->late[heap->n_late++] = superslabs[0];
}

static void note_loss(struct hakc_heap *heap, int r)
{
	if (r != -ENOTCONN && r != -EPROTO)
		return;
	heap->is_connected = heap->is_asked = false;
	mapping.conn = heap->conn; /* closed already */
	hakc_log(HAKC_LOG_WARN, "the daemon has gone; going on with what is granted");
}

int hakc_session_call(struct hakc_heap *heap, Hak__Request *request, Hak__Reply **ret_reply)
{
	uint32_t late[HAKC_LATE_MAX];
	uint32_t n;
	int r;

	if (!heap->is_connected)
		return -ENOTCONN;
	r = hakc_conn_call(&heap->conn, request, ret_reply, NULL, NULL, take_late, heap);
	note_loss(heap, r);
	n = heap->n_late;
	heap->n_late = 0;
	memcpy(late, heap->late, n * sizeof(late[0]));
	hakc_session_giveback(heap, late, n);
	return r;
}

int hakc_session_detach(struct hakc_heap *heap)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Bye bye = HAK__BYE__INIT;
	Hak__Reply *reply;

	if (!heap->is_attached)
		return -ENOTCONN;
	request.body_case = HAK__REQUEST__BODY_BYE;
	request.bye = &bye;
	if (hakc_session_call(heap, &request, &reply) == 0)
		hak__reply__free_unpacked(reply, NULL);
	hakc_conn_deinit(&heap->conn);
	hakc_heap_deinit(heap);
	unmap(&mapping);
	unmap_lease(heap);
	heap->is_attached = heap->is_connected = false;
	heap->area = NULL;
	return 0;
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void count_wait(struct hakc_heap *heap, int64_t us)
{
	static const int64_t limits[] = {100, 1000, 10000, 100000};
	unsigned i = 0;

	while (i < sizeof(limits) / sizeof(limits[0]) && us > limits[i])
		i++;
	hakc_count(heap, HAK_STAT_WAITS, 1);
	hakc_count(heap, (enum hak_stat)(HAK_STAT_WAITS_100US + i), 1);
}

/* Sends a refill whose answer is taken in by take_late. */
static int ask(struct hakc_heap *heap, uint32_t n)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Refill refill = HAK__REFILL__INIT;
	int r;

	if (!heap->is_connected)
		return -ENOTCONN;
	refill.count = n;
	request.body_case = HAK__REQUEST__BODY_REFILL;
	request.refill = &refill;
	hakc_count(heap, HAK_STAT_STAGE_3, 1);
	r = hakc_conn_send(&heap->conn, &request);
	note_loss(heap, r);
	heap->asked_id = request.id;
	heap->is_asked = r == 0;
	return r;
}

/* Takes in one reply, waiting up to timeout_ms; 0, an error of the daemon's, or of receiving. */
static int take_reply(struct hakc_heap *heap, unsigned timeout_ms)
{
	Hak__Reply *reply;
	int r = hakc_conn_receive(&heap->conn, timeout_ms, &reply);

	note_loss(heap, r);
	if (r < 0)
		return r;
	take_late(heap, reply);
	if (reply->id == heap->asked_id && reply->error)
		r = -hak_error_errno(reply->error);
	hak__reply__free_unpacked(reply, NULL);
	return r;
}

int hakc_session_refill(struct hakc_heap *heap, uint32_t n)
{
	uint32_t before = heap->n_owned;
	int64_t start;
	int r = 0;

	while (heap->is_asked && r == 0) /* what has come already */
		r = take_reply(heap, 0);
	if (heap->n_owned > before)
		return 0;
	start = now_us();
	/* What was asked ahead may have been refused when there was less to be had. */
	r = heap->is_asked ? 0 : ask(heap, n);
	while (heap->is_asked && r == 0)
		r = take_reply(heap, heap->conn.timeout_ms);
	count_wait(heap, now_us() - start);
	if (heap->n_owned > before)
		return 0;
	return r < 0 ? r : -EPROTO;
}

void hakc_session_ask_ahead(struct hakc_heap *heap, uint32_t n)
{
	if (!heap->is_asked && ask(heap, n) == 0)
		hakc_count(heap, HAK_STAT_AHEAD, 1);
}

/* Asks for a run, new or longer; 0 and what is granted, its first SuperSlab; a negative errno. */
static int call_refill(struct hakc_heap *heap, Hak__Refill *refill, uint32_t *ret_head,
		       bool *ret_zeroed, uint32_t *ret_length)
{
	Hak__Request request = HAK__REQUEST__INIT;
	int64_t start = now_us();
	Hak__Reply *reply;
	uint32_t one;
	int r;

	request.body_case = HAK__REQUEST__BODY_REFILL;
	request.refill = refill;
	hakc_count(heap, HAK_STAT_STAGE_3, 1);
	r = hakc_session_call(heap, &request, &reply);
	count_wait(heap, now_us() - start);
	if (r < 0)
		return r;
	if (reply->error) {
		r = -hak_error_errno(reply->error);
	} else if (!read_grant(heap, reply, 1, ret_head, &one)) {
		r = -EPROTO;
	} else {
		*ret_zeroed = reply->grant->zeroed;
		*ret_length = reply->grant->length;
	}
	hak__reply__free_unpacked(reply, NULL);
	return r;
}

int hakc_session_refill_huge(struct hakc_heap *heap, uint32_t n, uint64_t alignment,
			     uint32_t *ret_superslab, bool *ret_zeroed)
{
	Hak__Refill refill = HAK__REFILL__INIT;
	uint32_t length;

	refill.count = n;
	refill.huge = 1;
	refill.alignment = alignment;
	return call_refill(heap, &refill, ret_superslab, ret_zeroed, &length);
}

int hakc_session_extend(struct hakc_heap *heap, uint32_t head, uint32_t n)
{
	Hak__Refill refill = HAK__REFILL__INIT;
	uint32_t granted, length;
	bool zeroed;
	int r;

	refill.count = n;
	refill.huge = 1;
	refill.extends = head + 1;
	r = call_refill(heap, &refill, &granted, &zeroed, &length);
	if (r < 0)
		return r;
	if (length == 0) { /* a daemon that can't extend runs takes it for the wish for a new one */
		hakc_session_giveback(heap, &granted, 1);
		return -ENOTSUP;
	}
	return granted == head && length >= n ? 0 : -EPROTO;
}

static void call_giveback(struct hakc_heap *heap, Hak__Giveback *giveback, uint32_t n)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Reply *reply;

	request.body_case = HAK__REQUEST__BODY_GIVEBACK;
	request.giveback = giveback;
	if (hakc_session_call(heap, &request, &reply) < 0)
		return;
	if (reply->error)
		hakc_log(HAKC_LOG_WARN, "the daemon did not take memory back: %s",
			 reply->reason ? reply->reason : hak_error_text(reply->error));
	else
		hakc_count(heap, HAK_STAT_RETURNS, n);
	hak__reply__free_unpacked(reply, NULL);
}

void hakc_session_giveback(struct hakc_heap *heap, const uint32_t *superslabs, uint32_t n)
{
	Hak__Giveback giveback = HAK__GIVEBACK__INIT;

	if (n == 0)
		return;
	giveback.n_superslabs = n;
	giveback.superslabs = (uint32_t *)(uintptr_t)superslabs;
	call_giveback(heap, &giveback, n);
}

void hakc_session_giveback_end(struct hakc_heap *heap, uint32_t head, uint32_t stay)
{
	Hak__Giveback giveback = HAK__GIVEBACK__INIT;
	uint32_t first = head + stay; /* a daemon that can't shorten runs refuses a body */

	giveback.n_superslabs = 1;
	giveback.superslabs = &first;
	giveback.shortens = head + 1;
	call_giveback(heap, &giveback, 1);
}
