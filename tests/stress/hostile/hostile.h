/* SPDX-License-Identifier: MIT */
#ifndef HAKT_HOSTILE_H
#define HAKT_HOSTILE_H

/*
 * Processes that mean harm, and those who work beside them. What they count lies in memory that
 * all of them share with the driver, main.c.
 */

#include <stdbool.h>
#include <stdint.h>

#include "client_lib/conn.h"
#include "proto/shm/segment.h"

#define HOSTILE_POOLS_MAX 4u
#define HOSTILE_LETTERS	  64u

/* A pool in which honest clients work. */
struct hostile_pool {
	char name[HAK_POOL_NAME_BYTES];
	bool is_attacked; /* they may see damage; otherwise all has to be right */
	hak_u64 calls;
	hak_u64 errors;
	hak_u64 letters[HOSTILE_LETTERS]; /* refs that they pass each other */
};

struct hostile_table {
	hak_u64 stop;
	hak_u64 scribbles; /* words, and calls that change the file */
	hak_u64 packets;
	hak_u64 breaches; /* what a client must not be able to do, and could */
	unsigned n_pools;
	struct hostile_pool pools[HOSTILE_POOLS_MAX];
};

/* A client without the library. */
struct hostile_client {
	struct hostile_table *table;
	const char *socket;
	uint64_t seed;
	struct hakc_conn conn;
	bool is_attached; /* the rest is there */
	uint8_t uuid[HAK_UUID_BYTES];
	uint64_t generation;
	unsigned holder;
	uint32_t holder_generation;
	void *registry;
	char *heap;
	struct hak_segment segment;
	int fds[HAK_WIRE_FDS_MAX]; /* registry, heap, lease */
};

uint64_t hostile_pick(struct hostile_client *client);

/* A number that is hard on arithmetic, more often than not. */
uint64_t hostile_number(struct hostile_client *client);

/* Says hello, as a client does, and maps what it gets. */
bool hostile_attach(struct hostile_client *client);

/* A holder, a SuperSlab: mostly one that there is. */
unsigned hostile_holder(struct hostile_client *client);
uint32_t hostile_superslab(struct hostile_client *client);

/* Writes over what a client can write: one kind of thing, some or many times. */
void hostile_scribble(struct hostile_client *client);

/* Says what a client shouldn't, or asks for what isn't its. */
void hostile_talk(struct hostile_client *client);

/* The life of a process that means harm; it may end by SIGKILL. */
int hostile_live(struct hostile_table *table, const char *socket, uint64_t seed);

/* Works in a pool until it is told to stop, or its pool is too damaged for it. */
int hostile_work_honestly(struct hostile_table *table, struct hostile_pool *pool, uint64_t seed);

#endif
