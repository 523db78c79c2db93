/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_ROOTS_H
#define HAK_SHM_ROOTS_H

/*
 * Roots: names for what must outlive the process that made it. A block that is
 * published belongs to the holder ROOT until it is withdrawn; a list of blocks
 * is published under one name, all or none.
 *
 * The table is part of the registry: the daemon's loop alone writes it, clients
 * look names up in it. An entry a block: the first of a list is the head, which
 * has the name and whose word says what holds for all; the others are members.
 *
 * | bytes   | field     | written when        | meaning                                   |
 * |---------|-----------|---------------------|-------------------------------------------|
 * |   0..7  | word      | before and after    | state (8 bits), generation << 8           |
 * |         |           | each move           |                                           |
 * |   8..15 | ref       | published           | the ticket; ROOT has it with inc + 1      |
 * |  16..23 | place     | published           | the head's entry, index in the list << 16,|
 * |         |           |                     | blocks in the list << 32                  |
 * |  24..31 | head      | published           | generation of the head                    |
 * |  32..39 | publisher | published           | holder slot, its generation << 32         |
 * |  40..47 | taker     | withdrawn           | the same of who withdraws                 |
 * |  48..55 | pid       | published           | of the publisher, for people              |
 * |  56..63 | since     | published           | wall clock, seconds since 1970            |
 * |  64..127| name      | published           | of a head; zeros behind it                |
 *
 *           begin             commit           begin withdrawal
 *   FREE ----------> PENDING --------> LIVE <------------------> LEAVING
 *    ^  generation+1    | undo               undo (of a killed daemon's)  |
 *    +------------------+----------------------- end withdrawal ----------+
 *   FREE ----------> MEMBER, before its head is PENDING; FREE after its head is
 *
 * While an entry isn't FREE its other fields (but taker) stay as they are.
 *
 * | step, in this order        | what a daemon that is killed | hak_roots_resume        |
 * |                            | after it leaves              |                         |
 * |----------------------------|------------------------------|-------------------------|
 * | publish: members           | members without a head       | FREE                    |
 * | head PENDING               | nothing has moved            | FREE                    |
 * | tag -> ROOT, one by one    | some have moved              | they go back, then FREE |
 * | the last of them           | all have moved               | LIVE                    |
 * | head LIVE                  | done                         | -                       |
 * | undo: tag -> publisher     | some have moved              | they go back, then FREE |
 * | head FREE                  | members without a head       | FREE                    |
 * | withdraw: taker, LEAVING   | nothing has moved            | LIVE                    |
 * | tag -> taker, the head's   | some have moved              | the others follow, then |
 * | first, then one by one     |                              | FREE                    |
 * | head FREE                  | members without a head       | FREE                    |
 *
 * Blocks go back to a publisher, or to a taker, that may have died meanwhile: its scan
 * has not begun, or is begun anew, since a daemon resumes before it scans. So
 * they are freed with all that it had. Should its slot be somebody else's after
 * all: tag ROOT OWNED -> ROOT FREEING, then the bit, as the scan for a dead holder does.
 *
 * Moving a block is a take: each of its refs of before is void afterwards, also if it
 * went back. So all that can be known is looked at before the first one moves.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/shm/segment.h"

enum hak_root_state {
	HAK_ROOT_FREE = 0,
	HAK_ROOT_PENDING = 1, /* being published */
	HAK_ROOT_LIVE = 2,
	HAK_ROOT_LEAVING = 3, /* being withdrawn; its name is still found */
	HAK_ROOT_MEMBER = 4,  /* what it means, its head says */
};

#define HAK_ROOT_COUNT	    512u /* entries: blocks of all lists together */
#define HAK_ROOT_NAME_BYTES 64	 /* with its NUL */
#define HAK_ROOT_NAME_WORDS (HAK_ROOT_NAME_BYTES / 8)

struct hak_root {
	hak_u64 word;
	hak_u64 ref;
	hak_u64 place;
	hak_u64 head;
	hak_u64 publisher;
	hak_u64 taker;
	hak_u64 pid;
	hak_u64 since;
	hak_u64 name[HAK_ROOT_NAME_WORDS];
};

_Static_assert(sizeof(struct hak_root) == 128 && offsetof(struct hak_root, name) == 64,
	       "the byte map above");
_Static_assert(HAK_REGISTRY_ROOTS_AT + HAK_ROOT_COUNT * sizeof(struct hak_root) ==
		       HAK_REGISTRY_SUPERSLABS_AT,
	       "the table fills its place in the registry");

static inline uint64_t hak_root_pack(enum hak_root_state state, uint64_t generation)
{
	return (uint64_t)state | generation << 8;
}

static inline enum hak_root_state hak_root_state(uint64_t word)
{
	return (enum hak_root_state)(word & 0xff);
}

static inline uint64_t hak_root_generation(uint64_t word)
{
	return word >> 8;
}

/* A place: the head's entry, the index in the list, the blocks of the list. */
static inline uint64_t hak_root_place(uint32_t head, uint32_t index, uint32_t n)
{
	return head | (uint64_t)index << 16 | (uint64_t)n << 32;
}

static inline uint32_t hak_root_place_head(uint64_t place)
{
	return (uint32_t)(place & 0xffff);
}

static inline uint32_t hak_root_place_index(uint64_t place)
{
	return (uint32_t)(place >> 16 & 0xffff);
}

static inline uint32_t hak_root_place_n(uint64_t place)
{
	return (uint32_t)(place >> 32);
}

/* The ref of a block after it was taken by one: what lookup gives, and what ROOT's tag has. */
static inline uint64_t hak_root_taken(uint64_t ref)
{
	return hak_ref_make(hak_ref_offset(ref), hak_ref_epoch(ref),
			    (hak_ref_inc(ref) + 1) & HAK_REF_INC_MAX);
}

/* [order:root] Who sees the state sees the fields, and the tags, that were written before it. */
static inline uint64_t hak_root_load(const hak_u64 *field)
{
	return hak_load_acquire(field);
}

/* Who publishes or withdraws. */
struct hak_root_client {
	unsigned holder;
	uint32_t generation;
	int32_t pid;
	int64_t now; /* wall clock, seconds since 1970 */
};

/*
 * All that write are for the daemon's loop; `roots` is the segment's table,
 * writable. They need no crossing: a slab that they see in use is not granted, nor its
 * tags zeroed, before a grace that the loop has to wait for.
 *
 * Publishes blocks that the client owns, 1 to HAK_ROOT_COUNT. 0; or, and nothing
 * has changed: -EINVAL: no name, too long a name (63 bytes are most), a control
 * character in it, or refs that are none; -ESTALE: a ref is void; -EPERM: a block is
 * not the client's; -EEXIST: the name is taken, a block is published
 * already, or twice in the list; -ENOSPC: not enough entries. *ret_at: the ref that it is about,
 * or n. Where a ticket is taken by somebody else at the same moment: -ESTALE, and refs of the
 * others are void too.
 */
int hak_roots_publish(const struct hak_segment *segment, struct hak_root *roots,
		      const struct hak_root_client *by, const char *name, const uint64_t *refs,
		      uint32_t n, uint32_t *ret_at);

/*
 * All blocks of a name are the client's, the name is gone. 0, a ticket of the first
 * block and their number; -EINVAL, -ENOENT: no such name; -ESTALE: somebody has
 * scribbled over the words of the first block: the name is gone, and it is nobody's gain.
 */
int hak_roots_withdraw(const struct hak_segment *segment, struct hak_root *roots,
		       const struct hak_root_client *to, const char *name, uint64_t *ret_ref,
		       uint32_t *ret_n);

/*
 * A daemon that was started again, before it scans for anybody and before it gives
 * out holder slots: finishes or undoes what the one before was at.
 */
void hak_roots_resume(const struct hak_segment *segment, struct hak_root *roots);

/*
 * Anybody: the ref of the first block of a name, as it is ROOT's: to look at, no ticket.
 * 0, -EINVAL as above, -ENOENT. Beside the daemon at work: never a name's block
 * that it did not have at some moment of the call.
 */
int hak_roots_lookup(const struct hak_segment *segment, const char *name, uint64_t *ret_ref);

/* Reads a head that is LIVE or LEAVING; false: the entry isn't one. */
bool hak_roots_read(const struct hak_segment *segment, uint32_t entry,
		    char ret_name[HAK_ROOT_NAME_BYTES], uint64_t *ret_place);

/*
 * The audit, also beside the daemon at work: it tells what can't be.
 *
 * | what it sees                             | why it is right               |
 * |------------------------------------------|-------------------------------|
 * | PENDING, LEAVING, their members; members | the daemon is at it           |
 * | without a head                           |                               |
 * | the block of a live list is not ROOT's   | never, unless scribbled over  |
 * | a block is ROOT's, no entry has it       | never                         |
 */
enum hak_root_flaw {
	HAK_ROOT_FLAW_NONE = 0,
	HAK_ROOT_FLAW_STATE, /* a state or a place that can't be */
	HAK_ROOT_FLAW_BLOCK, /* no block of ROOT's where the entry of a live list says */
};

/* Looks at an entry; *ret_ref: its block as it should be ROOT's. */
enum hak_root_flaw hak_roots_examine(const struct hak_segment *segment, uint32_t entry,
				     uint64_t *ret_ref);

/* Is the block at an offset, whose tag that is, ROOT's, though no entry has it? */
bool hak_roots_is_nameless(const struct hak_segment *segment, uint64_t offset, const hak_u32 *tag);

#endif
