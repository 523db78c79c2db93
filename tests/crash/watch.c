/* SPDX-License-Identifier: MIT */
/*
 * An audit by the tracer's own mapping takes some 100 us, one by the daemon a round trip and a
 * job. What only the daemon can know to be right, a SuperSlab that it is preparing, is left to
 * the daemon's audit, which is asked for then.
 */
#include "tests/crash/watch.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "proto/shm/check.h"
#include "proto/shm/roots.h"
#include "tests/crash/world.h"
#include "tests/support/now.h"

#define ROUND_TRIPS 4u	/* by then the daemon has heard what was sent before the first */
#define TOLD_MAX    20u /* findings that are told */
#define LEASE_BYTES 4096u
#define SPINS	    2000u

struct audit {
	struct hak_audit walk; /* first: report gets it */
	unsigned n_doubtful;
};

static unsigned n_told;

static void give_up(const char *what, int error)
{
	fprintf(stderr, "crash: %s: %s\n", what, error < 0 ? strerror(-error) : "refused");
	exit(2);
}

/* Not to be inherited: a victim maps the pool itself, as any client. */
static void *map(int fd, uint64_t bytes, int protection)
{
	void *memory = mmap(NULL, bytes, protection, MAP_SHARED | MAP_NORESERVE, fd, 0);

	if (memory == MAP_FAILED || madvise(memory, bytes, MADV_DONTFORK) != 0) {
		perror("crash: the pool can't be mapped");
		exit(2);
	}
	return memory;
}

static void enter(struct hakt_watch *watch, const Hak__Welcome *welcome, const int *fds)
{
	struct hak_geometry geometry;
	int r;

	watch->registry = map(fds[0], welcome->registry_bytes, PROT_READ);
	r = hak_registry_validate(watch->registry, welcome->registry_bytes, &geometry);
	if (r < 0)
		give_up("the registry", r);
	watch->heap = map(fds[1], geometry.heap_bytes, PROT_READ | PROT_WRITE);
	watch->lease = map(fds[2], LEASE_BYTES, PROT_NONE);
	hak_segment_init(&watch->segment, &geometry, watch->registry, watch->heap);
}

void hakt_watch_init(struct hakt_watch *watch, const char *socket)
{
	int fds[HAK_WIRE_FDS_MAX];
	unsigned n = HAK_WIRE_FDS_MAX;
	Hak__Reply *reply = NULL;
	int r = hakc_conn_init(&watch->conn, socket, HAKT_HANG_MS);

	if (r == 0)
		r = hakc_conn_hello(&watch->conn, HAK__PEER_KIND__PEER_CLIENT, NULL, &reply, fds,
				    &n);
	if (r != 0 || n != HAK_WIRE_FDS_MAX)
		give_up("attach", r);
	enter(watch, reply->welcome, fds);
	hak__reply__free_unpacked(reply, NULL);
	while (n > 0)
		close(fds[--n]);
	r = hakc_query_init(&watch->query, socket, NULL, HAKT_HANG_MS);
	if (r != 0)
		give_up("hello", r);
}

void hakt_watch_deinit(struct hakt_watch *watch)
{
	const struct hak_geometry *g = &watch->segment.geometry;

	hakc_query_deinit(&watch->query);
	hakc_conn_deinit(&watch->conn);
	munmap(watch->heap, g->heap_bytes);
	munmap(watch->registry, g->registry_bytes);
	munmap(watch->lease, LEASE_BYTES);
}

/* The slot of a client with that pid; HAK_HOLDER_NONE. */
static unsigned find_holder(const struct hakt_watch *watch, pid_t pid)
{
	for (unsigned i = HAK_HOLDER_FIRST; i < HAK_HOLDER_COUNT; i++) {
		const struct hak_holder *holder = &watch->segment.holders[i];

		/* Acquire: the pid is that of this word. */
		if (hak_holder_state(hak_load_acquire(&holder->word)) != HAK_HOLDER_FREE &&
		    holder->pid == pid)
			return i;
	}
	return HAK_HOLDER_NONE;
}

static void round_trip(struct hakt_watch *watch)
{
	Hak__Reply *reply = NULL;
	int r = hakc_query_stats(&watch->query, &reply);

	if (r != 0)
		give_up("the daemon does not answer", r);
	hak__reply__free_unpacked(reply, NULL);
}

bool hakt_watch_wait_buried(struct hakt_watch *watch, pid_t pid, bool may_come)
{
	const struct timespec nap = {.tv_nsec = 50000};
	int64_t end_ms = hakt_now_ms() + HAKT_HANG_MS;
	unsigned at = find_holder(watch, pid);

	if (at == HAK_HOLDER_NONE && may_come) {
		for (unsigned i = 0; i < ROUND_TRIPS; i++)
			round_trip(watch);
		at = find_holder(watch, pid);
	}
	if (at == HAK_HOLDER_NONE)
		return true;
	for (unsigned i = 0; hakt_now_ms() < end_ms; i++) {
		const struct hak_holder *holder = &watch->segment.holders[at];

		/* Acquire: its SuperSlabs have moved. */
		if (hak_holder_state(hak_load_acquire(&holder->word)) == HAK_HOLDER_FREE)
			return true;
		if (i < SPINS)
			sched_yield();
		else
			nanosleep(&nap, NULL);
	}
	return false;
}

uint64_t hakt_watch_early(const struct hakt_watch *watch)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < watch->segment.geometry.n_superslabs; i++) {
		const hak_u64 *word = &watch->segment.superslabs[i];
		/* Acquire: the slot as it is after that. */
		uint64_t s = hak_load_acquire(word);
		unsigned owner = hak_superslab_owner(s);
		uint64_t holder;

		if (owner < HAK_HOLDER_FIRST)
			continue;
		/* Acquire: FREE is stored after the SuperSlab has moved. */
		holder = hak_load_acquire(&watch->segment.holders[owner].word);
		if (hak_holder_state(holder) != HAK_HOLDER_FREE || hak_load_acquire(word) != s)
			continue;
		n++;
		if (n_told++ < TOLD_MAX)
			fprintf(stderr,
				"crash: SuperSlab %" PRIu32 ", word %016" PRIx64
				": is that of %u, whose slot is free\n",
				i, s, owner);
	}
	return n;
}

static bool report(struct hak_audit *walk, const struct hak_finding *f)
{
	struct audit *audit = (struct audit *)walk;

	if (f->unless_taken) {
		audit->n_doubtful++;
		return false;
	}
	if (n_told++ < TOLD_MAX)
		fprintf(stderr,
			"crash: %s: SuperSlab %u, slot %d, block %d, owner %u, word %016" PRIx64
			"\n",
			hak_anomaly_names[f->kind], f->superslab,
			f->slot == HAK_NO_SLOT ? -1 : (int)f->slot,
			f->block == HAK_NO_BLOCK ? -1 : (int)f->block, f->owner, f->word);
	return true;
}

static void ask_daemon(struct hakt_watch *watch, struct hakt_verdict *verdict)
{
	struct hakc_query_check check;
	int r = hakc_query_check(&watch->query, false, &check);

	if (r != 0)
		give_up("check", r);
	for (size_t i = 0; i < check.n_anomalies; i++)
		if (n_told++ < TOLD_MAX)
			fprintf(stderr, "crash: %s: SuperSlab %u, slot %d: %s\n",
				check.anomalies[i]->kind, check.anomalies[i]->superslab,
				check.anomalies[i]->slot, check.anomalies[i]->text);
	verdict->anomalies += check.n_anomalies + check.sums.more_anomalies;
	hakc_query_check_deinit(&check);
}

static void tell_name(uint32_t entry, uint64_t ref, const char *what)
{
	if (n_told++ < TOLD_MAX)
		fprintf(stderr, "crash: root %" PRIu32 ", ref %016" PRIx64 ": %s\n", entry, ref,
			what);
}

uint64_t hakt_watch_names(struct hakt_watch *watch)
{
	uint64_t n = 0, ref;

	for (uint32_t i = 0; i < HAK_ROOT_COUNT; i++) {
		enum hak_root_flaw flaw = hak_roots_examine(&watch->segment, i, &ref);

		if (flaw == HAK_ROOT_FLAW_NONE)
			continue;
		tell_name(i, ref,
			  flaw == HAK_ROOT_FLAW_BLOCK ? "its block is not the pool's"
						      : "a state that can't be");
		n++;
	}
	return n;
}

/* The walkers have withdrawn what there was. */
static uint64_t count_names(const struct hak_segment *segment)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < HAK_ROOT_COUNT; i++) {
		if (hak_root_state(hak_root_load(&segment->roots[i].word)) == HAK_ROOT_FREE)
			continue;
		tell_name(i, hak_root_load(&segment->roots[i].ref), "it stays behind");
		n++;
	}
	return n;
}

struct hakt_verdict hakt_watch_audit(struct hakt_watch *watch)
{
	static uint32_t generations[HAK_HOLDER_COUNT];
	struct hak_share shares[HAK_HOLDER_COUNT] = {0};
	struct audit audit = {
		.walk = {.generations = generations, .report = report, .shares = shares}};
	const struct hak_segment *segment = &watch->segment;
	struct hakt_verdict verdict = {0};

	for (unsigned i = 0; i < HAK_HOLDER_COUNT; i++)
		/* Relaxed: they only grow. */
		generations[i] = hak_holder_generation(hak_load_relaxed(&segment->holders[i].word));
	for (uint32_t i = 0; i < segment->geometry.n_superslabs;)
		i += hak_audit_superslab(segment, i, &audit.walk);
	verdict.anomalies = hak_check_anomalies(&audit.walk.census) + count_names(segment);
	if (shares[HAK_HOLDER_ROOT].blocks > 0 && n_told++ < TOLD_MAX)
		fprintf(stderr, "crash: %" PRIu64 " blocks are the pool's, and have no name\n",
			shares[HAK_HOLDER_ROOT].blocks);
	verdict.leaked = audit.walk.lost.blocks + shares[HAK_HOLDER_ROOT].blocks;
	if (audit.n_doubtful > 0)
		ask_daemon(watch, &verdict);
	return verdict;
}
