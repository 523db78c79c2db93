/* SPDX-License-Identifier: MIT */
/* Status, stats and clients: facts of the registry, counts of the heap. */
#include "daemon/net/query.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/net/figures.h"
#include "daemon/net/job.h"
#include "proto/error.h"
#include "proto/shm/figures.h"

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
	uint64_t gauges[HAK_GAUGE_COUNT];

	hakd_figures_gauges(realm, gauges);
	hak__pool_status__init(p);
	p->name = pool->name;
	p->capacity_bytes = gauges[HAK_GAUGE_CAPACITY_BYTES];
	p->limit_bytes = gauges[HAK_GAUGE_LIMIT_BYTES];
	p->granted_superslabs = gauges[HAK_GAUGE_GRANTED_SUPERSLABS];
	p->reserve_superslabs = gauges[HAK_GAUGE_RESERVE_SUPERSLABS];
	p->kept_superslabs = gauges[HAK_GAUGE_KEPT_SUPERSLABS];
	p->orphan_superslabs = gauges[HAK_GAUGE_ORPHAN_SUPERSLABS];
	p->waiting_superslabs = gauges[HAK_GAUGE_WAITING_SUPERSLABS];
	p->huge_pages = (char *)(uintptr_t)hakd_pool_huge_text(pool, huge_pages);
	p->superslab_bytes = gauges[HAK_GAUGE_SUPERSLAB_BYTES];
	p->clients = (uint32_t)gauges[HAK_GAUGE_CLIENTS];
	p->live_blocks = census->live_blocks;
	p->allocated_bytes = census->live_bytes;
	p->anomalies = hak_check_anomalies(census);
	p->resident_bytes = gauges[HAK_GAUGE_RESIDENT_BYTES];
	fill_words(pool, census, p);
	p->owner = realm->config.owner;
	p->group = realm->config.group;
	p->mode = realm->config.mode;
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
	job->n_runs = hakd_daemon_list(peer->daemon, job->realms);
	for (uint32_t i = 0; i < job->n_runs; i++)
		hakd_realm_get(job->realms[i]);
	job->request_id = id;
	job->is_question = true;
	job->run = run_census;
	job->end = end_status;
	hakd_job_start(job);
	return true;
}

/* An answer to a question for all that is counted. */
struct stats {
	Hak__Reply reply;
	Hak__Stats message;
	Hak__Counter counters[HAK_FIGURES_COUNT];
	Hak__Counter *all[HAK_FIGURES_COUNT];
	Hak__PoolStats pools[HAKD_POOLS_MAX];
	Hak__PoolStats *all_pools[HAKD_POOLS_MAX];
	uint64_t clients[HAKD_POOLS_MAX][HAK_STAT_COUNT];
	uint64_t gauges[HAKD_POOLS_MAX][HAK_GAUGE_COUNT];
};

static void set_counters(Hak__Counter *counters, const struct hak_counter *table, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		hak__counter__init(&counters[i]);
		counters[i].name = (char *)(uintptr_t)table[i].name;
		counters[i].unit = (char *)(uintptr_t)table[i].unit;
		counters[i].description = (char *)(uintptr_t)table[i].description;
	}
}

static void set_tables(struct stats *s)
{
	Hak__Counter *of_daemon = &s->counters[HAK_STAT_COUNT];
	Hak__Counter *of_pools = &of_daemon[HAK_DAEMON_COUNTER_COUNT];

	hak__stats__init(&s->message);
	set_counters(s->counters, hak_client_counters, HAK_STAT_COUNT);
	set_counters(of_daemon, hak_daemon_counters, HAK_DAEMON_COUNTER_COUNT);
	set_counters(of_pools, hak_pool_gauges, HAK_GAUGE_COUNT);
	for (unsigned i = 0; i < HAK_FIGURES_COUNT; i++)
		s->all[i] = &s->counters[i];
	s->message.clients = s->all;
	s->message.n_clients = HAK_STAT_COUNT;
	s->message.daemon = &s->all[HAK_STAT_COUNT];
	s->message.n_daemon = HAK_DAEMON_COUNTER_COUNT;
	s->message.gauges = &s->all[HAK_STAT_COUNT + HAK_DAEMON_COUNTER_COUNT];
	s->message.n_gauges = HAK_GAUGE_COUNT;
}

static void set_pool(struct stats *s, const struct hakd_realm *realm)
{
	size_t n = s->message.n_pools++;
	Hak__PoolStats *pool = &s->pools[n];

	hak__pool_stats__init(pool);
	pool->name = realm->pool->name;
	for (unsigned i = 0; i < HAK_STAT_COUNT; i++) {
		s->clients[n][i] = hakd_figures_clients(realm, i);
		s->counters[i].value += s->clients[n][i];
	}
	hakd_figures_gauges(realm, s->gauges[n]);
	pool->clients = s->clients[n];
	pool->n_clients = HAK_STAT_COUNT;
	pool->gauges = s->gauges[n];
	pool->n_gauges = HAK_GAUGE_COUNT;
	s->all_pools[n] = pool;
}

bool hakd_query_stats(struct hakd_peer *peer, uint64_t id)
{
	static struct stats s; /* the loop's thread only */
	const struct hakd_daemon *daemon = peer->daemon;
	struct hakd_realm *all[HAKD_POOLS_MAX];
	unsigned n = hakd_daemon_list(daemon, all);

	set_tables(&s);
	s.message.pools = s.all_pools;
	for (unsigned i = 0; i < n; i++)
		set_pool(&s, all[i]);
#define X(NAME, name, unit, description) \
	s.message.daemon[HAK_DAEMON_COUNTER_##NAME]->value = daemon->counters.name;
	HAK_DAEMON_COUNTERS(X)
#undef X
	hak__reply__init(&s.reply);
	s.reply.id = id;
	s.reply.body_case = HAK__REPLY__BODY_STATS;
	s.reply.stats = &s.message;
	hakd_peer_reply(peer, &s.reply, NULL, 0);
	return true;
}

static void fill_client(const struct hakd_client *client, const struct hak_census *census,
			Hak__Client *ret, char name[17])
{
	const struct hakd_pool *pool = client->realm->pool;
	const struct hak_holder *holder = &pool->holders[client->holder];
	static char attached[] = "attached", gone[] = "disconnected", leaving[] = "reclaiming";
	static char ended[] = "ended";

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
	if (client->realm->is_deleted)
		ret->state = ended;
	ret->granted_superslabs = census->superslabs;
	ret->live_blocks = census->live_blocks;
	ret->allocated_bytes = census->live_bytes;
	ret->attached_at = holder->attached_at;
	ret->refused = client->n_refused;
}

static void run_clients(struct hakd_job *job)
{
	hak_check_holders(&job->realm->pool->segment, job->first_holder, job->n_holders,
			  job->censuses);
}

/* The pool of a number, also one that has ended and has clients; NULL: none. */
static struct hakd_realm *realm_of(const struct hakd_daemon *daemon, uint32_t number)
{
	struct hakd_realm *ended;

	if (number >= HAKD_POOLS_MAX)
		return NULL;
	ended = daemon->ended[number];
	if (ended && !hakd_realm_is_going(ended))
		return ended;
	return daemon->realms[number];
}

/*
 * Where a page of clients begins: a slot, and its pool's number above that. What follows a slot of a
 * pool, in the next one if that was the last; 0: nothing.
 */
static uint32_t next_place(const struct hakd_daemon *daemon, uint32_t number, uint32_t slot)
{
	if (slot < HAK_HOLDER_COUNT)
		return number * HAK_HOLDER_COUNT + slot;
	while (++number < HAKD_POOLS_MAX)
		if (realm_of(daemon, number))
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
	clients.next_holder = next_place(job->realm->daemon, job->realm->number,
					 job->first_holder + i);
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

/* A pool that has gone since the page before. */
static void skip_pool(struct hakd_peer *peer, uint64_t id, uint32_t number)
{
	Hak__Reply reply = HAK__REPLY__INIT;
	Hak__Clients clients = HAK__CLIENTS__INIT;

	clients.next_holder = next_place(peer->daemon, number, HAK_HOLDER_COUNT);
	reply.id = id;
	reply.body_case = HAK__REPLY__BODY_CLIENTS;
	reply.clients = &clients;
	hakd_peer_reply(peer, &reply, NULL, 0);
}

bool hakd_query_clients(struct hakd_peer *peer, uint64_t id, uint32_t from_holder)
{
	uint32_t number = from_holder / HAK_HOLDER_COUNT;
	struct hakd_realm *realm = realm_of(peer->daemon, number);
	struct hakd_job *job = realm ? hakd_job_new(realm, peer, NULL, 0) : NULL;

	if (!realm) {
		skip_pool(peer, id, number);
		return true;
	}
	if (job) {
		job->first_holder = from_holder % HAK_HOLDER_COUNT;
		job->n_holders = count_holders(realm, job->first_holder);
		job->censuses = calloc(job->n_holders + 1, sizeof(job->censuses[0]));
	}
	if (!job || !job->censuses) {
		hakd_job_free(job);
		hakd_peer_refuse(peer, id, HAK_E_INTERNAL, "no memory");
		return true;
	}
	job->request_id = id;
	job->is_question = true;
	job->run = run_clients;
	job->end = end_clients;
	hakd_job_start(job);
	return true;
}
