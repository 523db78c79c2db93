/* SPDX-License-Identifier: MIT */
/* Status, stats and clients: facts of the registry, counts of the heap. */
#include "daemon/net/query.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/net/job.h"
#include "proto/error.h"

/* A status has a census of each pool. */
static void run_census(struct hakd_job *job)
{
	for (uint32_t i = 0; i < job->n_runs; i++)
		hak_check_pool(&job->realms[i]->pool->segment, HAK_HOLDER_NONE, &job->censuses[i]);
}

/*
 * See PoolStatus. SuperSlabs that are mapped have all their pages, so what else the kernel has
 * given to the heap is metadata; while jobs fill some or punch some, more or less of them.
 */
static void fill_words(const struct hakd_pool *pool, const struct hak_census *census,
		       Hak__PoolStatus *p)
{
	unsigned lg = pool->segment.geometry.superslab_lg;
	uint64_t n = census->superslabs + census->orphans;
	struct stat st;

	p->active_bytes = (n << lg) - census->unused_slots * HAK_SLOT_BYTES;
	p->retained_bytes = (uint64_t)hakd_pool_n_warm(pool) << lg;
	p->mapped_bytes = (p->granted_superslabs << lg) + p->retained_bytes;
	if (fstat(pool->registry_fd, &st) == 0)
		p->metadata_bytes = (uint64_t)st.st_blocks * 512;
	if (p->resident_bytes > p->mapped_bytes)
		p->metadata_bytes += p->resident_bytes - p->mapped_bytes;
}

static void fill_pool(const struct hakd_realm *realm, const struct hak_census *census,
		      char huge_pages[96], Hak__PoolStatus *p)
{
	struct hakd_pool *pool = realm->pool;

	hak__pool_status__init(p);
	p->name = pool->name;
	p->capacity_bytes = pool->segment.geometry.capacity;
	p->limit_bytes = pool->limit;
	p->granted_superslabs = pool->n_taken - pool->n_idle - pool->n_waiting;
	p->reserve_superslabs = pool->reserve.warm.n;
	p->kept_superslabs = pool->kept.n;
	p->orphan_superslabs = pool->n_orphans;
	p->waiting_superslabs = pool->n_waiting;
	p->huge_pages = (char *)(uintptr_t)hakd_pool_huge_text(pool, huge_pages);
	p->superslab_bytes = UINT64_C(1) << pool->segment.geometry.superslab_lg;
	p->clients = realm->n_clients;
	p->live_blocks = census->live_blocks;
	p->allocated_bytes = census->live_bytes;
	p->anomalies = hak_check_anomalies(census);
	p->resident_bytes = hakd_pool_resident(pool);
	fill_words(pool, census, p);
	p->base_address = ((const struct hak_registry *)pool->registry)->base;
}

static void end_status(struct hakd_job *job)
{
	static Hak__PoolStatus pages[HAKD_POOLS_MAX]; /* the loop's thread only */
	static char huge_pages[HAKD_POOLS_MAX][96];
	const struct hakd_daemon *daemon = job->realm->daemon;
	Hak__PoolStatus *pools[HAKD_POOLS_MAX];
	Hak__Reply reply = HAK__REPLY__INIT;
	Hak__Status status = HAK__STATUS__INIT;
	char version[] = HAKMEM_VERSION;

	for (uint32_t i = 0; i < job->n_runs; i++) {
		pools[i] = &pages[i];
		fill_pool(job->realms[i], &job->censuses[i], huge_pages[i], pools[i]);
	}
	status.version = version;
	status.layout_version = HAK_LAYOUT_VERSION;
	status.generation = job->realm->pool->generation;
	status.pid = (int32_t)getpid();
	status.uptime_seconds = (uv_now(job->realm->loop) - daemon->started_at) / 1000;
	status.n_pools = job->n_runs;
	status.pools = pools;
	reply.id = job->request_id;
	reply.body_case = HAK__REPLY__BODY_STATUS;
	reply.status = &status;
	hakd_peer_reply(job->peer, &reply, NULL, 0);
	for (uint32_t i = 0; i < job->n_runs; i++)
		hakd_realm_put(job->realms[i]);
	free(job->censuses);
	free(job->realms);
}

bool hakd_query_status(struct hakd_peer *peer, uint64_t id)
{
	struct hakd_job *job = hakd_job_new(peer->realm, peer, NULL, 0);

	if (job) {
		job->censuses = calloc(HAKD_POOLS_MAX, sizeof(job->censuses[0]));
		job->realms = calloc(HAKD_POOLS_MAX, sizeof(job->realms[0]));
	}
	if (!job || !job->censuses || !job->realms) {
		if (job) {
			free(job->censuses);
			free(job->realms);
		}
		hakd_job_free(job);
		hakd_peer_refuse(peer, id, HAK_E_INTERNAL, "no memory");
		return true;
	}
	for (uint32_t i = 0; i < HAKD_POOLS_MAX; i++) {
		if (!peer->daemon->realms[i])
			continue;
		hakd_realm_get(peer->daemon->realms[i]);
		job->realms[job->n_runs++] = peer->daemon->realms[i];
	}
	job->request_id = id;
	job->run = run_census;
	job->end = end_status;
	hakd_job_start(job);
	return true;
}

static void set_counter(Hak__Counter *counter, const char *name, uint64_t value,
			const char *description)
{
	hak__counter__init(counter);
	counter->name = (char *)(uintptr_t)name;
	counter->value = value;
	counter->description = (char *)(uintptr_t)description;
}

/* What all clients of a pool have counted, those that have left too. */
static uint64_t sum_stat(const struct hakd_realm *realm, unsigned stat)
{
	uint64_t sum = realm->left[stat];

	for (unsigned slot = 0; slot < realm->n_holders; slot++)
		if (realm->clients[slot]) /* relaxed: only shown */
			sum += hak_load_relaxed(&realm->pool->segment.areas[slot].counters[stat]);
	return sum;
}

bool hakd_query_stats(struct hakd_peer *peer, uint64_t id)
{
	enum { OWN = sizeof(struct hakd_counters) / sizeof(uint64_t) };
	const struct hakd_daemon *daemon = peer->daemon;
	Hak__Counter counters[HAK_STAT_COUNT + OWN];
	Hak__Counter *all[HAK_STAT_COUNT + OWN];
	Hak__Reply reply = HAK__REPLY__INIT;
	Hak__Stats stats = HAK__STATS__INIT;
	unsigned n = 0;

	for (; n < HAK_STAT_COUNT; n++) {
		uint64_t sum = 0;

		for (unsigned i = 0; i < HAKD_POOLS_MAX; i++)
			sum += daemon->realms[i] ? sum_stat(daemon->realms[i], n) : 0;
		set_counter(&counters[n], hak_stat_names[n], sum, hak_stat_descriptions[n]);
	}
#define X(name, description) set_counter(&counters[n++], #name, daemon->counters.name, description);
	HAKD_COUNTERS(X)
#undef X
	for (unsigned i = 0; i < n; i++)
		all[i] = &counters[i];
	stats.n_clients = HAK_STAT_COUNT;
	stats.clients = all;
	stats.n_daemon = OWN;
	stats.daemon = &all[HAK_STAT_COUNT];
	reply.id = id;
	reply.body_case = HAK__REPLY__BODY_STATS;
	reply.stats = &stats;
	hakd_peer_reply(peer, &reply, NULL, 0);
	return true;
}

static void fill_client(const struct hakd_client *client, const struct hak_census *census,
			Hak__Client *ret, char name[17])
{
	const struct hakd_pool *pool = client->realm->pool;
	const struct hak_holder *holder = &pool->holders[client->holder];
	static char attached[] = "attached", gone[] = "disconnected", leaving[] = "reclaiming";

	memcpy(name, holder->name, 16);
	name[16] = 0;
	hak__client__init(ret);
	ret->holder = client->holder;
	ret->generation = client->generation;
	ret->pid = holder->pid;
	ret->uid = holder->uid;
	ret->name = name;
	ret->pool = (char *)(uintptr_t)pool->name;
	ret->state = client->is_leaving ? leaving : client->peer ? attached : gone;
	ret->granted_superslabs = census->superslabs;
	ret->live_blocks = census->live_blocks;
	ret->allocated_bytes = census->live_bytes;
	ret->attached_at = holder->attached_at;
}

static void run_clients(struct hakd_job *job)
{
	hak_check_holders(&job->realm->pool->segment, job->first_holder, job->n_holders,
			  job->censuses);
}

/*
 * Where a page of clients begins: a slot, and its pool's number above that. What follows a slot, in
 * the next pool if that was the last; 0: nothing.
 */
static uint32_t next_place(const struct hakd_realm *realm, uint32_t slot)
{
	uint32_t number = realm->number;

	if (slot < HAK_HOLDER_COUNT)
		return number * HAK_HOLDER_COUNT + slot;
	while (++number < HAKD_POOLS_MAX)
		if (realm->daemon->realms[number])
			return number * HAK_HOLDER_COUNT;
	return 0;
}

/* Clients may have come and gone since the walk began; the page is of those who are there now. */
static void end_clients(struct hakd_job *job)
{
	static Hak__Client page[HAK_WIRE_CLIENTS_PAGE]; /* the loop's thread only */
	static char names[HAK_WIRE_CLIENTS_PAGE][17];
	Hak__Client *all[HAK_WIRE_CLIENTS_PAGE];
	Hak__Reply reply = HAK__REPLY__INIT;
	Hak__Clients clients = HAK__CLIENTS__INIT;
	uint32_t i = 0;
	size_t n = 0;

	for (; i < job->n_holders && n < HAK_WIRE_CLIENTS_PAGE; i++) {
		const struct hakd_client *client = job->realm->clients[job->first_holder + i];

		if (!client)
			continue;
		fill_client(client, &job->censuses[i], &page[n], names[n]);
		all[n] = &page[n];
		n++;
	}
	free(job->censuses);
	clients.n_clients = n;
	clients.clients = all;
	clients.next_holder = next_place(job->realm, job->first_holder + i);
	reply.id = job->request_id;
	reply.body_case = HAK__REPLY__BODY_CLIENTS;
	reply.clients = &clients;
	hakd_peer_reply(job->peer, &reply, NULL, 0);
}

/* The slots, from one on, that a page of clients takes, or that there are. */
static uint32_t count_holders(const struct hakd_realm *realm, uint32_t from)
{
	uint32_t slot = from;
	unsigned n = 0;

	for (; slot < HAK_HOLDER_COUNT && n < HAK_WIRE_CLIENTS_PAGE; slot++)
		n += realm->clients[slot] != NULL;
	return slot - from;
}

bool hakd_query_clients(struct hakd_peer *peer, uint64_t id, uint32_t from_holder)
{
	uint32_t number = from_holder / HAK_HOLDER_COUNT;
	struct hakd_realm *realm = number < HAKD_POOLS_MAX ? peer->daemon->realms[number] : NULL;
	struct hakd_job *job = hakd_job_new(realm ? realm : peer->realm, peer, NULL, 0);

	if (job) {
		job->first_holder = realm ? from_holder % HAK_HOLDER_COUNT : HAK_HOLDER_COUNT;
		job->n_holders = count_holders(job->realm, job->first_holder);
		job->censuses = calloc(job->n_holders + 1, sizeof(job->censuses[0]));
	}
	if (!job || !job->censuses) {
		hakd_job_free(job);
		hakd_peer_refuse(peer, id, HAK_E_INTERNAL, "no memory");
		return true;
	}
	job->request_id = id;
	job->run = run_clients;
	job->end = end_clients;
	hakd_job_start(job);
	return true;
}
