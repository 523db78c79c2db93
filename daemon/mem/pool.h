/* SPDX-License-Identifier: MIT */
#ifndef HAKD_POOL_H
#define HAKD_POOL_H

/*
 * A pool: its two memfds, and which SuperSlabs are whose.
 *
 * The registry has the facts, written by the event loop's thread only: what is
 * granted or being collected. The rest is the loop's private view:
 *
 *          take, take_run             grant (registry: GRANTED)
 *   COLD -----------------> TAKEN --------------------------> granted
 *    | ^ ^                   ^  ^                                |
 *    | | |     take_warm     |  +-------- begin_collect <--------+
 *    | | +-- WARM -----------+
 *    | |     ^  ^ |                  WARM: it has pages and is
 *    | |     |  | |    to punch        kept (with what its last owner left), or
 *    | +-----|--|-+-> (TAKEN) ->      of the reserve (zeros)
 *    |       |  +---- end_collect, keep
 *    +-> (TAKEN) ->   to fill
 *
 * What is being collected is free after a grace (reclaim/grace.h), or an orphan:
 * granted to nobody, until an heir asks for memory or its last block has gone.
 * Both are TAKEN, and count to the limit.
 *
 * Work that takes long (backing, resetting, punching) is done by workers on
 * SuperSlabs that are TAKEN for it, so nobody else looks at them. What the
 * daemon has taken for itself, to fill or to punch, is "idle".
 *
 * A huge run that is granted can be extended (take_behind, extend) and shortened
 * (begin_collect_end) at its end; these SuperSlabs go the same ways.
 *
 * Within the limit: n_taken + warm ones <= limit. Warm ones are given up for a
 * request; one that has to wait until an idle one or a collection is done gets
 * -EAGAIN, so nobody is refused for memory that the daemon only holds.
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/mem/huge.h"
#include "daemon/mem/reserve.h"
#include "daemon/mem/warm.h"
#include "proto/shm/segment.h"

enum hakd_state { HAKD_COLD = 0, HAKD_TAKEN, HAKD_WARM };

struct hakd_pool {
	char name[HAK_POOL_NAME_BYTES];
	uint8_t uuid[HAK_UUID_BYTES];
	uint64_t generation;
	uint64_t limit;	 /* bytes that may be taken or warm at once */
	uint32_t retain; /* SuperSlabs that are kept at most */
	struct hak_segment segment;
	hak_u64 *superslabs;	    /* the registry's words, writable */
	struct hak_holder *holders; /* likewise */
	struct hak_root *roots;	    /* likewise */

	int registry_fd;	/* for us */
	int registry_reader_fd; /* opened for reading: for clients */
	int heap_fd;
	int heap_reader_fd; /* likewise: for those who only read */
	void *registry;
	void *heap;
	bool has_huge_pieces; /* SuperSlabs are large enough for huge pages */
	struct hakd_huge huge;

	uint8_t *states; /* enum hakd_state a SuperSlab */
	uint32_t n_taken;
	uint32_t n_idle;       /* of these: being filled or punched for nobody */
	uint32_t n_collecting; /* of those that are taken: being collected, until they are free */
	uint32_t n_keeping;    /* of these: to be kept */
	uint32_t n_waiting;    /* of these: wait for a grace, or for the zeroing of tags after it */
	uint32_t n_orphans;    /* of those that are taken: others hold blocks in them */
	struct hakd_warm kept; /* returned ones */
	struct hakd_reserve reserve;
	uint32_t hint; /* where the search for cold ones begins */
};

/*
 * 0, -EINVAL (geometry), or the errno of memfd_create and mmap. Its address is none of the others',
 * so that a process can have all of them where they belong.
 */
int hakd_pool_new(const char *name, uint64_t capacity, uint64_t limit, unsigned superslab_lg,
		  struct hakd_pool *const *others, unsigned n_others, struct hakd_pool **ret_pool);

/* Where a pool of that geometry can be mapped beside n others. */
uint64_t hakd_pool_place(const struct hak_geometry *geometry, struct hakd_pool *const *pools,
			 unsigned n);

/*
 * A pool whose daemon is gone, from its descriptors, which are the pool's or
 * closed from now on: what that daemon left half done is finished or undone,
 * but for the runs that are RECLAIMING (hakd_pool_reclaiming). The limit goes no
 * higher than the capacity. 0; -EPROTO: it can't be taken over, said on stderr;
 * or an errno.
 */
int hakd_pool_open(int registry_fd, int heap_fd, uint64_t limit, struct hakd_pool **ret_pool);
void hakd_pool_free(struct hakd_pool *pool);

/* Does its registry name a client? Of one that nobody serves yet. */
bool hakd_pool_is_in_use(const struct hakd_pool *pool);

/*
 * Another limit from now on, no higher than the capacity. How many more than that are
 * taken: nothing more can be until so many have been given back.
 */
uint32_t hakd_pool_set_limit(struct hakd_pool *pool, uint64_t limit);

/* No more than so many bytes are kept from now on, the reserve apart. */
void hakd_pool_set_retain(struct hakd_pool *pool, uint64_t bytes);

/* Are there warm ones that are too many, since the limit fell? For hakd_pool_take_over_limit. */
bool hakd_pool_is_over_limit(const struct hakd_pool *pool);

static inline uint32_t hakd_pool_n_warm(const struct hakd_pool *pool)
{
	return pool->kept.n + pool->reserve.warm.n;
}

/*
 * Takes up to n single ones that have their pages, all of one kind: kept ones
 * if there are any, else the reserve's, which are zeroed. How many; 0: none.
 */
uint32_t hakd_pool_take_warm(struct hakd_pool *pool, uint32_t n, uint32_t *superslabs,
			     bool *ret_zeroed);

/*
 * Takes up to *n single cold ones, where no warm one can be had; *n is how many
 * it got, 1 at least. -ENOMEM: the limit or the capacity is reached; -EAGAIN:
 * likewise, but jobs are under way that may change it.
 */
int hakd_pool_take(struct hakd_pool *pool, uint32_t *n, uint32_t *superslabs);

/*
 * Takes a run of n whose first one's offset is a multiple of alignment; errors
 * as above. What it puts over the limit is to be punched before it is filled:
 * hakd_pool_take_over_limit.
 */
int hakd_pool_take_run(struct hakd_pool *pool, uint32_t n, uint64_t alignment, uint32_t *ret_head);

/*
 * Takes the n that lie at `first`, behind a run that is to be extended; errors
 * and over the limit as above. -EAGAIN also if a job has one of them and ends.
 */
int hakd_pool_take_behind(struct hakd_pool *pool, uint32_t first, uint32_t n);

/* Taken, and nothing was granted: free again, without pages. */
void hakd_pool_put_back(struct hakd_pool *pool, uint32_t head, uint32_t n);

/*
 * Take warm ones to punch them, up to 2 * HAKD_WARM_MAX: what is over the limit, what is
 * more than is to be kept, what was kept since `then` or is more than the reserve should have, all. Each
 * is handed back by hakd_pool_end_idle.
 */
uint32_t hakd_pool_take_over_limit(struct hakd_pool *pool, uint32_t *superslabs);
uint32_t hakd_pool_take_over_retain(struct hakd_pool *pool, uint32_t *superslabs);
uint32_t hakd_pool_take_stale(struct hakd_pool *pool, uint64_t then, uint32_t *superslabs);
uint32_t hakd_pool_take_all_warm(struct hakd_pool *pool, uint32_t *superslabs);
void hakd_pool_end_idle(struct hakd_pool *pool, uint32_t superslab);

/*
 * Takes a cold one to fill it for the reserve; false: it has enough, or there
 * is no room. Handed back by hakd_pool_end_fill, or by end_idle if that failed.
 */
bool hakd_pool_take_to_fill(struct hakd_pool *pool, uint32_t *ret_superslab);
void hakd_pool_end_fill(struct hakd_pool *pool, uint32_t superslab, uint64_t now);

/* Taken and prepared: granted from now on. */
void hakd_pool_grant(struct hakd_pool *pool, uint32_t head, uint32_t n, bool huge, unsigned owner);

/* Likewise, n behind the huge run of head: part of it from now on. */
void hakd_pool_extend(struct hakd_pool *pool, uint32_t head, uint32_t n);

/* Granted to owner, and the head of a run? Its length; 0: no. Any head may be asked about. */
uint32_t hakd_pool_granted(const struct hakd_pool *pool, uint32_t head, unsigned owner);

/* The same, if it is a huge run. */
uint32_t hakd_pool_granted_huge(const struct hakd_pool *pool, uint32_t head, unsigned owner);

/*
 * The length of a run that is being collected from owner, NONE: from nobody any
 * more; 0: there is none. Its job goes on as after hakd_pool_begin_collect; one that
 * an earlier daemon left is not kept.
 */
uint32_t hakd_pool_reclaiming(const struct hakd_pool *pool, uint32_t head, unsigned owner);

/*
 * Granted, or an orphan: taken for collection. Returns whether the pages shall be kept; to
 * be passed to hakd_backing_reset and hakd_pool_end_collect.
 */
bool hakd_pool_begin_collect(struct hakd_pool *pool, uint32_t head, uint32_t n);
/* The same for the end of a huge run of which `stay` stay: it is a run of its own then. */
bool hakd_pool_begin_collect_end(struct hakd_pool *pool, uint32_t head, uint32_t stay);
/* All its slab words are reset; it is free when a grace has passed. */
void hakd_pool_disown(struct hakd_pool *pool, uint32_t head, uint32_t n);
/* Others hold blocks in it: it stays as it is. */
void hakd_pool_orphan(struct hakd_pool *pool, uint32_t head, uint32_t n, bool keep);
/* After hakd_pool_disown: free. */
void hakd_pool_end_collect(struct hakd_pool *pool, uint32_t head, uint32_t n, bool keep,
			   uint64_t now);

/* An orphan is to be owner's, before its slab words are; then they are: granted to it. */
void hakd_pool_name_heir(struct hakd_pool *pool, uint32_t superslab, unsigned owner);
void hakd_pool_inherit(struct hakd_pool *pool, uint32_t superslab, unsigned owner);

/* How huge pages are used: "collapse", "advise", "none: <reason>". */
const char *hakd_pool_huge_text(const struct hakd_pool *pool, char text[96]);

/* Bytes of memory that the heap has. */
uint64_t hakd_pool_resident(const struct hakd_pool *pool);

#endif
