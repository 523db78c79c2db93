/* SPDX-License-Identifier: MIT */
/*
 * The loop is run without waiting until no job is under way and no descriptor is ready. To
 * kill it, each handle is closed by whoever knows what hangs on it; a daemon itself never
 * does that, since it ends with its process.
 */
#include "tests/fuzz/host.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/net/job.h"
#include "daemon/net/peer.h"
#include "daemon/reclaim/liveness.h"
#include "daemon/util/log.h"
#include "tests/fuzz/clock.h"
#include "tests/fuzz/input.h"

#define ROUNDS 20000u /* that a loop may take to come to rest */

static char directory[64];

static void remove_directory(void)
{
	rmdir(directory);
}

/* Once a process. */
static void prepare(void)
{
	if (*directory)
		return;
	setenv("UV_THREADPOOL_SIZE", "1", 1); /* jobs in the order in which they were begun */
	hakd_log_set_level(HAKD_LOG_ERROR);
	strcpy(directory, "/tmp/hakmem-fuzz-XXXXXX");
	HAKT_CLAIM(mkdtemp(directory));
	atexit(remove_directory);
}

const char *hakt_host_socket(void)
{
	static char path[96];

	prepare();
	snprintf(path, sizeof(path), "%s/socket", directory);
	return path;
}

static bool is_ready(uv_loop_t *loop)
{
	struct pollfd ready = {.fd = uv_backend_fd(loop), .events = POLLIN};

	return poll(&ready, 1, 0) > 0;
}

/*
 * Two rounds without anything. A peer that has its reply is out of the loop's set until the next
 * round, whatever it has sent meanwhile: the time-out is 0 then.
 */
void hakt_host_settle(struct hakt_host *host)
{
	uv_loop_t *loop = &host->daemon.loop;
	unsigned rounds = 0, n_quiet = 0;

	while (n_quiet < 2) {
		HAKT_CLAIM(rounds++ < ROUNDS);
		uv_run(loop, loop->active_reqs.count > 0 ? UV_RUN_ONCE : UV_RUN_NOWAIT);
		if (loop->active_reqs.count > 0 || is_ready(loop) || uv_backend_timeout(loop) == 0)
			n_quiet = 0;
		else
			n_quiet++;
	}
}

void hakt_host_pass(struct hakt_host *host, uint64_t ms)
{
	hakt_clock_pass(ms);
	hakt_host_settle(host);
}

int hakt_host_start(struct hakt_host *host, const struct hakd_keeper *keeper)
{
	struct hakd_config config = {.n_pools = 1,
				     .pools[0] = {.name = "default",
						  .capacity = HAKT_HOST_CAPACITY,
						  .limit = HAKT_HOST_LIMIT,
						  .superslab_lg = HAKT_HOST_LG,
						  .keep = 1},
				     .socket_mode = 0600,
				     .log_level = HAKD_LOG_ERROR};
	struct hakd_keeper none;

	prepare();
	snprintf(config.socket, sizeof(config.socket), "%s", hakt_host_socket());
	hakd_keeper_init_none(&none);
	return hakd_daemon_init(&host->daemon, &config, keeper ? keeper : &none);
}

/* What the registry says, in SuperSlabs. */
struct count {
	uint32_t n_taken;
	uint32_t n_collecting;
	uint32_t n_waiting;
	uint32_t n_orphans;
};

static void expect_owner(const struct hakd_realm *realm, uint64_t s)
{
	unsigned owner = hak_superslab_owner(s);
	const struct hakd_client *client = realm->clients[owner];
	uint64_t word = hak_load_relaxed(&realm->pool->holders[owner].word); /* at rest */

	HAKT_CLAIM(client && client->holder == owner);
	HAKT_CLAIM(hak_holder_state(word) != HAK_HOLDER_FREE);
	HAKT_CLAIM(hak_holder_generation(word) == client->generation);
}

/* One SuperSlab or run; its length. Relaxed: nobody is at work. */
static uint32_t count_run(const struct hakd_realm *realm, uint32_t at, bool is_its_own,
			  struct count *count)
{
	const struct hakd_pool *pool = realm->pool;
	uint64_t s = hak_load_relaxed(&pool->superslabs[at]);
	uint32_t n = hak_superslab_length(s);
	bool is_nobodys = hak_superslab_owner(s) == HAK_HOLDER_NONE;

	switch (hak_superslab_state(s)) {
	case HAK_SUPERSLAB_FREE:
		HAKT_CLAIM(pool->states[at] != HAKD_TAKEN);
		return 1;
	case HAK_SUPERSLAB_GRANTED:
		if (is_its_own)
			expect_owner(realm, s);
		break;
	case HAK_SUPERSLAB_RECLAIMING:
		count->n_collecting += n;
		count->n_waiting += is_nobodys ? n : 0;
		break;
	case HAK_SUPERSLAB_ORPHAN:
		count->n_orphans += n;
		break;
	default:
		HAKT_CLAIM(!"a head");
	}
	HAKT_CLAIM(n >= 1 && n <= pool->segment.geometry.n_superslabs - at);
	count->n_taken += n;
	for (uint32_t i = at; i < at + n; i++)
		HAKT_CLAIM(pool->states[i] == HAKD_TAKEN);
	return n;
}

static void expect_clients(const struct hakd_realm *realm)
{
	unsigned n = 0;

	for (unsigned i = 0; i < realm->n_holders; i++) {
		uint64_t word = hak_load_relaxed(&realm->pool->holders[i].word); /* as above */

		n += realm->clients[i] != NULL;
		if (i >= HAK_HOLDER_FIRST)
			HAKT_CLAIM((hak_holder_state(word) != HAK_HOLDER_FREE) ==
				   (realm->clients[i] != NULL));
	}
	HAKT_CLAIM(realm->n_clients == n);
}

static void expect_books(const struct hakd_realm *realm, bool is_its_own)
{
	const struct hakd_pool *pool = realm->pool;
	uint32_t total = pool->segment.geometry.n_superslabs, n_warm = 0;
	struct count count = {0};

	for (uint32_t i = 0; i < total;)
		i += count_run(realm, i, is_its_own, &count);
	for (uint32_t i = 0; i < total; i++)
		n_warm += pool->states[i] == HAKD_WARM;
	HAKT_CLAIM(pool->n_idle == 0);
	HAKT_CLAIM(pool->n_taken == count.n_taken);
	HAKT_CLAIM(pool->n_collecting == count.n_collecting);
	HAKT_CLAIM(pool->n_waiting == count.n_waiting);
	HAKT_CLAIM(pool->n_orphans == count.n_orphans);
	HAKT_CLAIM(pool->n_keeping <= pool->n_collecting);
	HAKT_CLAIM(hakd_pool_n_warm(pool) == n_warm);
	if (is_its_own)
		HAKT_CLAIM((uint64_t)(count.n_taken + n_warm) << HAKT_HOST_LG <= pool->limit);
	expect_clients(realm);
}

void hakt_host_expect_books(const struct hakt_host *host, bool is_its_own)
{
	struct hakd_realm *all[HAKD_POOLS_MAX];
	unsigned n = hakd_daemon_list(&host->daemon, all);

	for (unsigned i = 0; i < n; i++)
		expect_books(all[i], is_its_own);
}

static int copy(int fd)
{
	int r = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	HAKT_CLAIM(r >= 0);
	return r;
}

static void keep(struct hakd_keeper *keeper, const struct hakd_client *client,
		 enum hakd_kept_kind kind, int fd)
{
	if (fd >= 0)
		keeper->kept[keeper->n_kept++] = (struct hakd_kept){kind, 0, client->holder,
								    client->generation, copy(fd)};
}

void hakt_host_keep(const struct hakt_host *host, struct hakd_keeper *ret_keeper)
{
	const struct hakd_realm *realm = host->daemon.realms[0];

	hakd_keeper_init_none(ret_keeper);
	ret_keeper->pools[0].registry_fd = copy(realm->pool->registry_fd);
	ret_keeper->pools[0].heap_fd = copy(realm->pool->heap_fd);
	ret_keeper->kept = calloc(2 * realm->n_clients + 1, sizeof(ret_keeper->kept[0]));
	HAKT_CLAIM(ret_keeper->kept);
	for (unsigned i = 0; i < HAK_HOLDER_COUNT; i++) {
		if (!realm->clients[i])
			continue;
		keep(ret_keeper, realm->clients[i], HAKD_KEPT_CLIENT, realm->clients[i]->pidfd);
		keep(ret_keeper, realm->clients[i], HAKD_KEPT_LEASE, realm->clients[i]->lease.fd);
	}
}

static void free_jobs(struct hakd_job *job)
{
	while (job) {
		struct hakd_job *next = job->next;

		free(job);
		job = next;
	}
}

static void close_peer(uv_handle_t *handle, void *context)
{
	struct hakd_daemon *daemon = context;
	bool is_its_own = handle->data == daemon;

	for (unsigned i = 0; i < HAKD_POOLS_MAX; i++)
		is_its_own |= handle->data == daemon->realms[i];
	if (!uv_is_closing(handle) && handle->type == UV_POLL && !is_its_own)
		hakd_peer_close(handle->data, "killed");
}

static void close_rest(uv_handle_t *handle, void *context)
{
	(void)context;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void free_clients(struct hakd_realm *realm)
{
	for (unsigned i = 0; i < HAK_HOLDER_COUNT; i++) {
		struct hakd_client *client = realm->clients[i];

		if (!client)
			continue;
		if (client->peer)
			client->peer->client = NULL;
		hakd_liveness_free_client(client);
		realm->clients[i] = NULL;
	}
}

/* Clients have been freed: the polls are of peers, or the daemon's own. */
static void close_handles(struct hakd_daemon *daemon)
{
	uv_walk(&daemon->loop, close_peer, daemon);
	uv_walk(&daemon->loop, close_rest, NULL);
	for (unsigned i = 0; i < ROUNDS && uv_run(&daemon->loop, UV_RUN_NOWAIT) != 0; i++)
		;
	HAKT_CLAIM(uv_loop_close(&daemon->loop) == 0);
}

static void free_jobs_of(struct hakd_realm *realm)
{
	HAKT_CLAIM(!realm->scan.pass && !realm->orphans.is_looking);
	free_jobs(realm->upkeep.waiting);
	free_jobs(realm->trims.first);
	free_jobs(realm->graces.served);
	free_jobs(realm->graces.waiting);
	free(realm->graces.grace.crossings);
	free(realm->orphans.list);
	free(realm->orphans.grace.crossings);
}

static void free_realm(struct hakd_realm *realm)
{
	if (realm->liveness.inotify_fd >= 0)
		close(realm->liveness.inotify_fd);
	hakd_shown_file_close(&realm->figures);
	hakd_shown_file_close(&realm->events);
	hakd_pool_free(realm->pool);
	free(realm);
}

void hakt_host_kill(struct hakt_host *host)
{
	struct hakd_daemon *daemon = &host->daemon;
	struct hakd_realm *all[HAKD_POOLS_MAX];
	unsigned n = hakd_daemon_list(daemon, all);

	for (unsigned i = 0; i < n; i++) {
		free_jobs_of(all[i]);
		free_clients(all[i]);
	}
	free_jobs(daemon->questions.first);
	close_handles(daemon);
	for (unsigned i = 0; i < daemon->keeper.n_kept; i++)
		if (daemon->keeper.kept[i].fd >= 0)
			close(daemon->keeper.kept[i].fd);
	free(daemon->keeper.kept);
	hakd_listener_deinit(&daemon->listener);
	for (unsigned i = 0; i < n; i++)
		free_realm(all[i]);
}

unsigned hakt_host_count_fds(void)
{
	DIR *fds = opendir("/proc/self/fd");
	unsigned n = 0;

	HAKT_CLAIM(fds);
	while (readdir(fds))
		n++;
	closedir(fds);
	return n;
}
