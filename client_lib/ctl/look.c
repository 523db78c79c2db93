/* SPDX-License-Identifier: MIT */
/*
 * The daemon is asked for its status, its figures and its clients, and for the pool's files; what is
 * in these is read without it. All is copied, so that two looks can be compared.
 */
#include "client_lib/ctl/look.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/error.h"

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int hakc_look_row(void *context, const struct hakc_row *row)
{
	struct hakc_look *look = context;
	struct hakc_look_superslab *seen;

	hakc_slabs_row(&look->slabs, row);
	if (look->also)
		look->also(look->context, row);
	if (row->kind == HAKC_ROW_FREE || row->kind == HAKC_ROW_WARM)
		return 0;
	if (look->n_superslabs == look->room) {
		size_t room = look->room ? 2 * look->room : 64;

		seen = realloc(look->superslabs, room * sizeof(*seen));
		if (!seen)
			return -ENOMEM;
		look->superslabs = seen;
		look->room = room;
	}
	seen = &look->superslabs[look->n_superslabs++];
	*seen = (struct hakc_look_superslab){.kind = row->kind,
					     .index = row->index,
					     .length = row->length,
					     .owner = row->owner,
					     .holder = row->holder,
					     .live_bytes = row->live_bytes};
	for (unsigned i = 0; i < row->n_cells; i++) {
		const struct hakc_cell *cell = &row->cells[i];

		seen->n_slabs += cell->kind == HAKC_CELL_SLAB;
		seen->n_spans += cell->kind == HAKC_CELL_SPAN;
		seen->n_blocks += cell->n_blocks;
		seen->n_live += cell->n_live;
		seen->n_taken += cell->n_taken;
	}
	return 0;
}

/* What a client has counted; relaxed stores of others, and nothing follows from them. */
static void read_counters(const struct hakc_view *view, struct hakc_look_client *client)
{
	uint64_t at = view->geometry.areas_at + client->holder * HAK_CLIENT_AREA_BYTES;

	if (client->holder >= HAK_HOLDER_COUNT ||
	    pread(view->heap_fd, client->counters, sizeof(client->counters), (off_t)at) !=
		    (ssize_t)sizeof(client->counters))
		memset(client->counters, 0, sizeof(client->counters));
}

static int take_clients(struct hakc_look *look, const struct hakc_query_clients *all)
{
	look->clients = calloc(all->n_clients + 1, sizeof(*look->clients));
	if (!look->clients)
		return -ENOMEM;
	for (size_t i = 0; i < all->n_clients; i++) {
		const Hak__Client *from = all->clients[i];
		struct hakc_look_client *to;

		to = &look->clients[look->n_clients++];
		*to = (struct hakc_look_client){.holder = from->holder,
						.generation = from->generation,
						.pid = from->pid,
						.uid = from->uid,
						.superslabs = from->granted_superslabs,
						.blocks = from->live_blocks,
						.bytes = from->allocated_bytes,
						.refused = from->refused,
						.attached_at = from->attached_at};
		snprintf(to->name, sizeof(to->name), "%s", from->name);
		snprintf(to->state, sizeof(to->state), "%s", from->state);
		if (from->holder < HAK_HOLDER_COUNT)
			to->owned_bytes = look->view.totals.owners[from->holder].share.bytes;
		read_counters(&look->view, to);
	}
	return 0;
}

/* Those of the pool that was walked over. */
static int ask_clients(struct hakc_look *look, struct hakc_query *query)
{
	struct hakc_query_clients all;
	int r = hakc_query_clients(query, look->view.pool, &all);

	if (r != 0)
		return r;
	r = take_clients(look, &all);
	hakc_query_clients_deinit(&all);
	return r;
}

static int ask_status(struct hakc_look *look, struct hakc_query *query)
{
	Hak__Reply *reply;
	int r = hakc_query_status(query, &reply);

	if (r != 0)
		return r;
	snprintf(look->version, sizeof(look->version), "%s", reply->status->version);
	look->daemon_pid = reply->status->pid;
	look->uptime_seconds = reply->status->uptime_seconds;
	look->generation = reply->status->generation;
	r = HAK_E_NO_POOL;
	for (size_t i = 0; i < reply->status->n_pools; i++) {
		const Hak__PoolStatus *pool = reply->status->pools[i];

		if (strcmp(pool->name, look->view.pool) != 0)
			continue;
		look->resident_bytes = pool->resident_bytes;
		look->limit_bytes = pool->limit_bytes;
		look->anomalies = pool->anomalies;
		r = 0;
	}
	if (r != 0)
		snprintf(query->reason, sizeof(query->reason), "the pool has ended");
	hak__reply__free_unpacked(reply, NULL);
	return r;
}

/* Of a pool that has just gone there are none. */
static int ask_figures(struct hakc_look *look, struct hakc_query *query)
{
	static struct hakc_figures figures;
	int r = hakc_figures_get(query, &figures);

	if (r == 0 && figures.is_down)
		return query->error ? query->error : -ENOTCONN;
	for (unsigned i = 0; r == 0 && i < figures.n_pools; i++) {
		if (strcmp(figures.pools[i].name, look->view.pool) != 0)
			continue;
		memcpy(look->counters, figures.pools[i].clients, sizeof(look->counters));
		memcpy(look->gauges, figures.pools[i].gauges, sizeof(look->gauges));
	}
	memcpy(look->daemon, figures.daemon, sizeof(look->daemon));
	return r;
}

/* The walk, and what needs its files. */
static int look_at_files(struct hakc_look *look, struct hakc_query *query, int registry_fd,
			 int heap_fd)
{
	int r = hakc_view_init(&look->view, registry_fd, heap_fd);

	if (r == 0) {
		look->slabs.view = &look->view;
		r = hakc_view_walk(&look->view, hakc_look_row, look);
	}
	if (r < 0) {
		snprintf(query->reason, sizeof(query->reason), "the pool's files: %s",
			 strerror(-r));
		return r;
	}
	return ask_clients(look, query);
}

int hakc_look_init(struct hakc_look *look, struct hakc_query *query, hakc_row_fn *also,
		   void *context)
{
	int registry_fd, heap_fd, r;

	*look = (struct hakc_look){.at = now(), .also = also, .context = context};
	r = hakc_query_read(query, &registry_fd, &heap_fd);
	if (r != 0)
		return r;
	r = look_at_files(look, query, registry_fd, heap_fd);
	close(registry_fd);
	close(heap_fd);
	if (r == 0)
		r = ask_status(look, query);
	if (r == 0)
		r = ask_figures(look, query);
	if (r != 0)
		hakc_look_deinit(look);
	return r;
}

void hakc_look_deinit(struct hakc_look *look)
{
	hakc_view_deinit(&look->view);
	free(look->clients);
	free(look->superslabs);
	look->clients = NULL;
	look->superslabs = NULL;
	look->n_clients = look->n_superslabs = look->room = 0;
}
