/* SPDX-License-Identifier: MIT */
/*
 * Each tab has its columns and a function that puts a row. A rate needs the same client, or class,
 * in the look before; what is counted and has become less belongs to another pool, and has none.
 */
#include "client_lib/ctl/tabs.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <strings.h>

#include "client_lib/ctl/text.h"

#define SPANS_SIZE 1e9 /* sorts them behind all classes */

#define N_OF(columns) (sizeof(columns) / sizeof((columns)[0]))

static const struct hakc_column client_columns[] = {
	{"PID", HAKC_COLUMN_COUNT, 8, "process, as it is called where the daemon runs"},
	{"NAME", HAKC_COLUMN_TEXT, 15, NULL},
	{"SSLABS", HAKC_COLUMN_COUNT, 7, "SuperSlabs granted to it"},
	{"BLOCKS", HAKC_COLUMN_COUNT, 9, "live, in these"},
	{"ALLOCATED", HAKC_COLUMN_BYTES, 10, "bytes of these blocks"},
	{"GROWTH/S", HAKC_COLUMN_GROWTH, 11, "how much more that is a second"},
	{"OWNS", HAKC_COLUMN_BYTES, 10, "bytes of blocks that are its own, wherever they lie"},
	{"CLAIMS/S", HAKC_COLUMN_RATE, 9, "blocks that its threads took out of slabs"},
	{"FREES/S", HAKC_COLUMN_RATE, 9, "blocks that it gave back to slabs"},
	{"REMOTE/S", HAKC_COLUMN_RATE, 9, "of these, into slabs of others"},
	{"TAKES/S", HAKC_COLUMN_RATE, 9, "blocks that it took by a ref"},
	{"ASKS/S", HAKC_COLUMN_RATE, 7, "requests for memory to the daemon"},
	{"WAITS/S", HAKC_COLUMN_RATE, 7, "times that a thread waited for it"},
	{"REFUSED", HAKC_COLUMN_COUNT, 7, "requests, by a limit"},
	{"STATE", HAKC_COLUMN_TEXT, 12, NULL},
	{"UID", HAKC_COLUMN_COUNT, 7, "user"},
	{"HOLDER", HAKC_COLUMN_COUNT, 6, NULL},
};

static const struct hakc_column class_columns[] = {
	{"CLASS", HAKC_COLUMN_COUNT, 7, "bytes of a block"},
	{"SLABS", HAKC_COLUMN_COUNT, 7, NULL},
	{"BLOCKS", HAKC_COLUMN_COUNT, 9, "that they have"},
	{"LIVE", HAKC_COLUMN_COUNT, 9, "of these, caches included"},
	{"USED", HAKC_COLUMN_PERCENT, 6, "bytes that live, of all that the slabs take"},
	{"SIZE", HAKC_COLUMN_BYTES, 10, "that the slabs take"},
	{"WASTE", HAKC_COLUMN_BYTES, 10, "of it, what no live block has"},
	{"LIVE SIZE", HAKC_COLUMN_BYTES, 10, NULL},
	{"GROWTH/S", HAKC_COLUMN_GROWTH, 11, "how much more lives a second"},
	{"FREE", HAKC_COLUMN_COUNT, 9, "blocks that are"},
};

static const struct hakc_column superslab_columns[] = {
	{"NUMBER", HAKC_COLUMN_COUNT, 7, "of the first, if it is a run"},
	{"LENGTH", HAKC_COLUMN_COUNT, 6, "SuperSlabs: more than one is a run"},
	{"STATE", HAKC_COLUMN_TEXT, 8, NULL},
	{"PID", HAKC_COLUMN_COUNT, 8, "of whom it is granted to"},
	{"NAME", HAKC_COLUMN_TEXT, 15, "likewise; of an orphan, of who has most in it"},
	{"USED", HAKC_COLUMN_PERCENT, 6, "bytes that live"},
	{"LIVE", HAKC_COLUMN_BYTES, 10, NULL},
	{"BLOCKS", HAKC_COLUMN_COUNT, 9, "that live"},
	{"TAKEN", HAKC_COLUMN_COUNT, 7, "of these, others' than its owner's"},
	{"SLABS", HAKC_COLUMN_COUNT, 6, NULL},
	{"SPANS", HAKC_COLUMN_COUNT, 6, NULL},
};

/* What is largest is on top at first: ALLOCATED, WASTE, LIVE. */
static const struct {
	const char *name;
	const struct hakc_column *columns;
	unsigned n_columns, n_fixed, first_sort;
} tabs[HAKC_TABS] = {
	[HAKC_TAB_CLIENTS] = {"clients", client_columns, N_OF(client_columns), 2, 4},
	[HAKC_TAB_CLASSES] = {"classes", class_columns, N_OF(class_columns), 1, 6},
	[HAKC_TAB_SUPERSLABS] = {"superslabs", superslab_columns, N_OF(superslab_columns), 1, 6},
};

const char *hakc_tab_name(enum hakc_tab tab)
{
	return tabs[tab].name;
}

enum hakc_tab hakc_tab_find(const char *name)
{
	unsigned i;

	for (i = 0; i < HAKC_TABS; i++)
		if (strcasecmp(tabs[i].name, name) == 0)
			break;
	return (enum hakc_tab)i;
}

unsigned hakc_tab_first_sort(enum hakc_tab tab)
{
	return tabs[tab].first_sort;
}

unsigned hakc_tab_fixed(enum hakc_tab tab)
{
	return tabs[tab].n_fixed;
}

unsigned hakc_tab_column(enum hakc_tab tab, const char *title)
{
	unsigned i;

	for (i = 0; i < tabs[tab].n_columns; i++)
		if (strcasecmp(tabs[tab].columns[i].title, title) == 0)
			break;
	return i;
}

double hakc_tab_rate(const struct hakc_look *now, const struct hakc_look *before, uint64_t is,
		     uint64_t was)
{
	if (!before || now->at <= before->at)
		return NAN;
	return ((double)is - (double)was) / (now->at - before->at);
}

/* Of what only grows. */
static double count_rate(const struct hakc_look *now, const struct hakc_look *before,
			 const uint64_t *is, const uint64_t *was, enum hak_stat stat)
{
	if (!was || is[stat] < was[stat])
		return NAN;
	return hakc_tab_rate(now, before, is[stat], was[stat]);
}

/* The same client in another look; NULL: it isn't in it. */
static const struct hakc_look_client *find(const struct hakc_look *look,
					   const struct hakc_look_client *client)
{
	for (size_t i = 0; look && i < look->n_clients; i++)
		if (look->clients[i].holder == client->holder &&
		    look->clients[i].generation == client->generation &&
		    look->clients[i].pid == client->pid)
			return &look->clients[i];
	return NULL;
}

static void put_client(struct hakc_table *table, const struct hakc_look *now,
		       const struct hakc_look *before, const struct hakc_look_client *client)
{
	static const enum hak_stat rates[] = {HAK_STAT_CLAIMS,	     HAK_STAT_FREES,
					      HAK_STAT_REMOTE_FREES, HAK_STAT_TAKES,
					      HAK_STAT_STAGE_3,	     HAK_STAT_WAITS};
	const struct hakc_look_client *was = find(before, client);

	hakc_table_begin_row(table);
	hakc_table_put(table, client->pid);
	hakc_table_put_text(table, client->name);
	hakc_table_put(table, (double)client->superslabs);
	hakc_table_put(table, (double)client->blocks);
	hakc_table_put(table, (double)client->bytes);
	hakc_table_put(table, was ? hakc_tab_rate(now, before, client->bytes, was->bytes) : NAN);
	hakc_table_put(table, (double)client->owned_bytes);
	for (unsigned i = 0; i < N_OF(rates); i++)
		hakc_table_put(table, count_rate(now, before, client->counters,
						 was ? was->counters : NULL, rates[i]));
	hakc_table_put(table, (double)client->refused);
	hakc_table_put_text(table, client->state);
	hakc_table_put(table, client->uid);
	hakc_table_put(table, client->holder);
}

static void put_sum(struct hakc_table *table, const struct hakc_look *now,
		    const struct hakc_look *before, const struct hakc_slabs_sum *sum,
		    const struct hakc_slabs_sum *was, double size, const char *name)
{
	if (sum->slabs == 0)
		return;
	hakc_table_begin_row(table);
	hakc_table_put_as(table, size, name);
	hakc_table_put(table, (double)sum->slabs);
	hakc_table_put(table, (double)sum->blocks);
	hakc_table_put(table, (double)sum->live_blocks);
	hakc_table_put(table, floor((double)sum->live_bytes * 100 / (double)sum->slab_bytes));
	hakc_table_put(table, (double)sum->slab_bytes);
	hakc_table_put(table, (double)(sum->slab_bytes - sum->live_bytes));
	hakc_table_put(table, (double)sum->live_bytes);
	hakc_table_put(table,
		       was ? hakc_tab_rate(now, before, sum->live_bytes, was->live_bytes) : NAN);
	hakc_table_put(table, (double)(sum->blocks - sum->live_blocks));
}

static void put_classes(struct hakc_table *table, const struct hakc_look *now,
			const struct hakc_look *before)
{
	for (unsigned i = 0; i < HAK_CLASS_COUNT; i++)
		put_sum(table, now, before, &now->slabs.classes[i],
			before ? &before->slabs.classes[i] : NULL, hak_classes[i].size, NULL);
	put_sum(table, now, before, &now->slabs.spans, before ? &before->slabs.spans : NULL,
		SPANS_SIZE, "spans");
}

static void put_superslab(struct hakc_table *table, const struct hakc_look *now,
			  const struct hakc_look_superslab *s)
{
	unsigned who = s->kind == HAKC_ROW_ORPHAN ? s->holder : s->owner;
	double bytes = ldexp(s->length, (int)now->view.geometry.superslab_lg);

	hakc_table_begin_row(table);
	hakc_table_put(table, s->index);
	hakc_table_put(table, s->length);
	hakc_table_put_text(table, hakc_row_text(s->kind));
	if (s->kind == HAKC_ROW_GRANTED && hakc_view_pid(&now->view, who) != 0)
		hakc_table_put(table, hakc_view_pid(&now->view, who));
	else
		hakc_table_put_none(table);
	hakc_table_put_text(table, who == HAK_HOLDER_NONE ? "" : hakc_view_name(&now->view, who));
	hakc_table_put(table, floor((double)s->live_bytes * 100 / bytes));
	hakc_table_put(table, (double)s->live_bytes);
	hakc_table_put(table, (double)s->n_live);
	hakc_table_put(table, (double)s->n_taken);
	hakc_table_put(table, s->n_slabs);
	hakc_table_put(table, s->n_spans);
}

void hakc_tab_init(struct hakc_table *table, enum hakc_tab tab, const struct hakc_look *now,
		   const struct hakc_look *before)
{
	hakc_table_init(table, tabs[tab].columns, tabs[tab].n_columns);
	if (tab == HAKC_TAB_CLIENTS)
		for (size_t i = 0; i < now->n_clients; i++)
			put_client(table, now, before, &now->clients[i]);
	else if (tab == HAKC_TAB_CLASSES)
		put_classes(table, now, before);
	else
		for (size_t i = 0; i < now->n_superslabs; i++)
			put_superslab(table, now, &now->superslabs[i]);
}
