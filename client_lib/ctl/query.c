/* SPDX-License-Identifier: MIT */
/*
 * Asking the daemon as a tool: hello once, then a request and its reply. A
 * reply of the wrong kind is -EPROTO. The pages of the table of clients, and of
 * the audit, are joined; since the daemon may be of another version, a page that
 * doesn't lead onwards ends the paging with -EPROTO instead of looping.
 */
#include "client_lib/ctl/query.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/error.h"
#include "proto/shm/registry.h"

static void note_reason(struct hakc_query *query, int r, const char *from_daemon)
{
	const char *text = strerror(-r);

	if (r > 0)
		text = from_daemon && *from_daemon ? from_daemon : hak_error_text((unsigned)r);
	snprintf(query->reason, sizeof(query->reason), "%s", text);
}

static int connect_to(struct hakc_query *query)
{
	Hak__Reply *reply = NULL;
	int r = hakc_conn_init(&query->conn, query->path, query->timeout_ms);

	if (r == 0)
		r = hakc_conn_hello(&query->conn, HAK__PEER_KIND__PEER_TOOL, query->pool_name,
				    &reply, NULL, NULL);
	if (r != 0) {
		note_reason(query, r, reply ? reply->reason : NULL);
		hakc_conn_deinit(&query->conn);
	}
	if (reply)
		hak__reply__free_unpacked(reply, NULL);
	query->error = r;
	return r;
}

int hakc_query_init(struct hakc_query *query, const char *path, const char *pool,
		    unsigned timeout_ms)
{
	*query = (struct hakc_query){
		.conn.fd = -1, .path = path, .pool_name = pool, .timeout_ms = timeout_ms};
	return connect_to(query);
}

const char *hakc_query_pool(const struct hakc_query *query)
{
	return query->pool_name ? query->pool_name : HAK_POOL_FIRST;
}

bool hakc_query_asks_for(const struct hakc_query *query, const char *name)
{
	for (unsigned i = 0; i < query->arguments->n_words; i++)
		if (fnmatch(query->arguments->words[i], name, 0) == 0)
			return true;
	return query->arguments->n_words == 0;
}

int hakc_query_again(struct hakc_query *query)
{
	hakc_conn_deinit(&query->conn);
	return connect_to(query);
}

int hakc_query_read(struct hakc_query *query, int *ret_registry_fd, int *ret_heap_fd)
{
	struct hakc_conn conn;
	unsigned n_fds = 0;
	Hak__Reply *reply = NULL;
	int fds[HAK_WIRE_FDS_MAX];
	int r = hakc_conn_init(&conn, query->path, query->timeout_ms);

	if (r == 0) {
		n_fds = HAK_WIRE_FDS_MAX;
		r = hakc_conn_hello(&conn, HAK__PEER_KIND__PEER_READER, query->pool_name, &reply,
				    fds, &n_fds);
		hakc_conn_deinit(&conn);
	}
	if (r == 0 && n_fds != 2)
		r = -EPROTO;
	if (r == 0) {
		*ret_registry_fd = fds[0];
		*ret_heap_fd = fds[1];
	} else {
		note_reason(query, r, reply ? reply->reason : NULL);
		for (unsigned i = 0; i < n_fds; i++)
			close(fds[i]);
	}
	if (reply)
		hak__reply__free_unpacked(reply, NULL);
	return r;
}

void hakc_query_deinit(struct hakc_query *query)
{
	hakc_conn_deinit(&query->conn);
}

static int ask_for_fds(struct hakc_query *query, Hak__Request *request,
		       Hak__Reply__BodyCase expected, Hak__Reply **ret_reply, int *fds,
		       unsigned *n_fds)
{
	Hak__Reply *reply = NULL;
	int r = hakc_conn_call(&query->conn, request, &reply, fds, n_fds, NULL, NULL);

	if (r == 0 && reply->error)
		r = (int)reply->error;
	else if (r == 0 && reply->body_case != expected)
		r = -EPROTO;
	if (r == 0) {
		*ret_reply = reply;
		return 0;
	}
	note_reason(query, r, reply ? reply->reason : NULL);
	if (reply)
		hak__reply__free_unpacked(reply, NULL);
	return r;
}

static int ask(struct hakc_query *query, Hak__Request *request, Hak__Reply__BodyCase expected,
	       Hak__Reply **ret_reply)
{
	return ask_for_fds(query, request, expected, ret_reply, NULL, NULL);
}

int hakc_query_status(struct hakc_query *query, Hak__Reply **ret_reply)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__StatusQuery status = HAK__STATUS_QUERY__INIT;

	request.body_case = HAK__REQUEST__BODY_STATUS;
	request.status = &status;
	return ask(query, &request, HAK__REPLY__BODY_STATUS, ret_reply);
}

int hakc_query_stats(struct hakc_query *query, Hak__Reply **ret_reply)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__StatsQuery stats = HAK__STATS_QUERY__INIT;

	request.body_case = HAK__REQUEST__BODY_STATS;
	request.stats = &stats;
	return ask(query, &request, HAK__REPLY__BODY_STATS, ret_reply);
}

int hakc_query_config(struct hakc_query *query, Hak__Reply **ret_reply)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__DumpConfig dump_config = HAK__DUMP_CONFIG__INIT;

	request.body_case = HAK__REQUEST__BODY_DUMP_CONFIG;
	request.dump_config = &dump_config;
	return ask(query, &request, HAK__REPLY__BODY_CONFIG, ret_reply);
}

/* A request whose reply has nothing in it. */
static int order(struct hakc_query *query, Hak__Request *request)
{
	Hak__Reply *reply;
	int r = ask(query, request, HAK__REPLY__BODY__NOT_SET, &reply);

	if (r == 0)
		hak__reply__free_unpacked(reply, NULL);
	return r;
}

int hakc_query_ping(struct hakc_query *query)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Ping ping = HAK__PING__INIT;

	request.body_case = HAK__REQUEST__BODY_PING;
	request.ping = &ping;
	return order(query, &request);
}

int hakc_query_reload(struct hakc_query *query)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Reload reload = HAK__RELOAD__INIT;

	request.body_case = HAK__REQUEST__BODY_RELOAD;
	request.reload = &reload;
	return order(query, &request);
}

int hakc_query_log_level(struct hakc_query *query, const char *level)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__LogLevel log_level = HAK__LOG_LEVEL__INIT;

	log_level.level = (char *)(uintptr_t)level;
	request.body_case = HAK__REQUEST__BODY_LOG_LEVEL;
	request.log_level = &log_level;
	return order(query, &request);
}

int hakc_query_kick(struct hakc_query *query, int32_t pid, int *ret_pidfd)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Kick kick = HAK__KICK__INIT;
	Hak__Reply *reply;
	unsigned n = 1;
	int r;

	kick.pid = pid;
	request.body_case = HAK__REQUEST__BODY_KICK;
	request.kick = &kick;
	*ret_pidfd = -1;
	r = ask_for_fds(query, &request, HAK__REPLY__BODY_KICKED, &reply, ret_pidfd, &n);
	if (r == 0)
		hak__reply__free_unpacked(reply, NULL);
	return r;
}

int hakc_query_profile(struct hakc_query *query, uint64_t interval)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Profile profile = HAK__PROFILE__INIT;

	profile.interval = interval;
	request.body_case = HAK__REQUEST__BODY_PROFILE;
	request.profile = &profile;
	return order(query, &request);
}

int hakc_query_pool_create(struct hakc_query *query)
{
	Hak__Request request = HAK__REQUEST__INIT;

	request.body_case = HAK__REQUEST__BODY_POOL_CREATE;
	request.pool_create = (Hak__PoolCreate *)(uintptr_t)&query->arguments->creation;
	return order(query, &request);
}

int hakc_query_pool_delete(struct hakc_query *query)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__PoolDelete deletion = HAK__POOL_DELETE__INIT;

	deletion.name = query->arguments->creation.name;
	deletion.drain = query->arguments->drains;
	request.body_case = HAK__REQUEST__BODY_POOL_DELETE;
	request.pool_delete = &deletion;
	return order(query, &request);
}

int hakc_query_pool_reset(struct hakc_query *query)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__PoolReset reset = HAK__POOL_RESET__INIT;

	reset.name = query->arguments->creation.name;
	request.body_case = HAK__REQUEST__BODY_POOL_RESET;
	request.pool_reset = &reset;
	return order(query, &request);
}

int hakc_query_trim(struct hakc_query *query, Hak__Reply **ret_reply)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Trim trim = HAK__TRIM__INIT;

	trim.wait_ms = query->arguments->wait_ms;
	request.body_case = HAK__REQUEST__BODY_TRIM;
	request.trim = &trim;
	query->conn.timeout_ms += query->arguments->wait_ms;
	return ask(query, &request, HAK__REPLY__BODY_TRIMMED, ret_reply);
}

/*
 * Adds a page, which it takes over or frees, and says where the next one begins; 0, -ENOMEM, or
 * -EPROTO: it can't be what a daemon means.
 */
typedef int add_page_fn(void *all, Hak__Reply *page, uint32_t *ret_next);

/* Asks for page after page; *from is the field of the request that says where one begins. */
static int ask_pages(struct hakc_query *query, Hak__Request *request, uint32_t *from,
		     Hak__Reply__BodyCase expected, add_page_fn *add, void *all)
{
	int r;

	do {
		Hak__Reply *page;
		uint32_t next;

		r = ask(query, request, expected, &page);
		if (r != 0)
			return r;
		r = add(all, page, &next);
		if (r == 0 && next != 0 && next <= *from)
			r = -EPROTO;
		if (r != 0)
			note_reason(query, r, NULL);
		*from = next;
	} while (r == 0 && *from != 0);
	return r;
}

/* Takes page over, also on failure; 0 or -ENOMEM. */
static int keep_page(Hak__Reply ***pages, size_t *n, Hak__Reply *page)
{
	Hak__Reply **more = realloc(*pages, (*n + 1) * sizeof(*more));

	if (!more) {
		hak__reply__free_unpacked(page, NULL);
		return -ENOMEM;
	}
	*pages = more;
	more[(*n)++] = page;
	return 0;
}

static void free_pages(Hak__Reply **pages, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hak__reply__free_unpacked(pages[i], NULL);
	free(pages);
}

static int add_clients(void *context, Hak__Reply *page, uint32_t *ret_next)
{
	struct hakc_query_clients *all = context;
	const Hak__Clients *clients = page->clients;
	Hak__Client **list;
	int r;

	*ret_next = clients->next_holder;
	r = keep_page(&all->pages, &all->n_pages, page);
	if (r < 0 || clients->n_clients == 0)
		return r;
	list = realloc(all->clients, (all->n_clients + clients->n_clients) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	all->clients = list;
	memcpy(list + all->n_clients, clients->clients, clients->n_clients * sizeof(*list));
	all->n_clients += clients->n_clients;
	return 0;
}

static void keep_those_of(struct hakc_query_clients *all, const char *pool)
{
	size_t n = 0;

	for (size_t i = 0; i < all->n_clients; i++)
		if (strcmp(all->clients[i]->pool, pool) == 0 &&
		    strcmp(all->clients[i]->state, "ended") != 0)
			all->clients[n++] = all->clients[i];
	all->n_clients = n;
}

int hakc_query_clients(struct hakc_query *query, const char *pool,
		       struct hakc_query_clients *ret_clients)
{
	struct hakc_query_clients all = {0};
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__ClientsQuery clients = HAK__CLIENTS_QUERY__INIT;
	int r;

	request.body_case = HAK__REQUEST__BODY_CLIENTS;
	request.clients = &clients;
	r = ask_pages(query, &request, &clients.from_holder, HAK__REPLY__BODY_CLIENTS, add_clients,
		      &all);
	if (r != 0) {
		hakc_query_clients_deinit(&all);
		return r;
	}
	if (pool)
		keep_those_of(&all, pool);
	*ret_clients = all;
	return 0;
}

void hakc_query_clients_deinit(struct hakc_query_clients *clients)
{
	free_pages(clients->pages, clients->n_pages);
	free(clients->clients);
	*clients = (struct hakc_query_clients){0};
}

static int add_owners(struct hakc_query_check *all, const Hak__Check *page)
{
	if (page->n_owner_blocks != page->n_owners || page->n_owner_bytes != page->n_owners)
		return -EPROTO;
	for (size_t i = 0; i < page->n_owners; i++) {
		if (page->owners[i] >= HAK_HOLDER_COUNT)
			return -EPROTO;
		all->owners[page->owners[i]].blocks += page->owner_blocks[i];
		all->owners[page->owners[i]].bytes += page->owner_bytes[i];
	}
	return 0;
}

static int add_check(void *context, Hak__Reply *page, uint32_t *ret_next)
{
	struct hakc_query_check *all = context;
	const Hak__Check *check = page->check;
	size_t room = HAKC_QUERY_ANOMALIES_MAX - all->n_anomalies;
	size_t n = check->n_anomalies < room ? check->n_anomalies : room;
	Hak__Anomaly **list;
	int r = add_owners(all, check);

	*ret_next = check->next_superslab;
	all->sums.orphans += check->orphans;
	all->sums.superslabs += check->superslabs;
	all->sums.slabs += check->slabs;
	all->sums.spans += check->spans;
	all->sums.live_blocks += check->live_blocks;
	all->sums.live_bytes += check->live_bytes;
	all->sums.lost_blocks += check->lost_blocks;
	all->sums.lost_bytes += check->lost_bytes;
	all->sums.stale_hints += check->stale_hints;
	all->sums.more_anomalies += check->more_anomalies + (check->n_anomalies - n);
	if (r < 0 || n == 0) { /* most pages of a large pool: nothing in them is to be listed */
		hak__reply__free_unpacked(page, NULL);
		return r;
	}
	r = keep_page(&all->pages, &all->n_pages, page);
	if (r < 0)
		return r;
	list = realloc(all->anomalies, (all->n_anomalies + n) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	all->anomalies = list;
	memcpy(list + all->n_anomalies, check->anomalies, n * sizeof(*list));
	all->n_anomalies += n;
	return 0;
}

int hakc_query_check(struct hakc_query *query, bool owners, struct hakc_query_check *ret_check)
{
	struct hakc_query_check all = {.sums = HAK__CHECK__INIT};
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__CheckQuery check = HAK__CHECK_QUERY__INIT;
	int r;

	request.body_case = HAK__REQUEST__BODY_CHECK;
	request.check = &check;
	check.owners = owners;
	r = ask_pages(query, &request, &check.from_superslab, HAK__REPLY__BODY_CHECK, add_check,
		      &all);
	if (r != 0)
		hakc_query_check_deinit(&all);
	else
		*ret_check = all;
	return r;
}

void hakc_query_check_deinit(struct hakc_query_check *check)
{
	free_pages(check->pages, check->n_pages);
	free(check->anomalies);
	*check = (struct hakc_query_check){.sums = HAK__CHECK__INIT};
}

static int add_roots(void *context, Hak__Reply *page, uint32_t *ret_next)
{
	struct hakc_query_roots *all = context;
	const Hak__Roots *roots = page->roots;
	Hak__Root **list;
	int r;

	*ret_next = roots->next_entry;
	r = keep_page(&all->pages, &all->n_pages, page);
	if (r < 0 || roots->n_roots == 0)
		return r;
	list = realloc(all->roots, (all->n_roots + roots->n_roots) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	all->roots = list;
	memcpy(list + all->n_roots, roots->roots, roots->n_roots * sizeof(*list));
	all->n_roots += roots->n_roots;
	return 0;
}

int hakc_query_roots(struct hakc_query *query, struct hakc_query_roots *ret_roots)
{
	struct hakc_query_roots all = {0};
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__RootsQuery roots = HAK__ROOTS_QUERY__INIT;
	int r;

	request.body_case = HAK__REQUEST__BODY_ROOTS;
	request.roots = &roots;
	r = ask_pages(query, &request, &roots.from_entry, HAK__REPLY__BODY_ROOTS, add_roots, &all);
	if (r != 0)
		hakc_query_roots_deinit(&all);
	else
		*ret_roots = all;
	return r;
}

void hakc_query_roots_deinit(struct hakc_query_roots *roots)
{
	free_pages(roots->pages, roots->n_pages);
	free(roots->roots);
	*roots = (struct hakc_query_roots){0};
}
