/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_REGISTRY_H
#define HAK_SHM_REGISTRY_H

/*
 * The registry memfd: what the daemon says about a pool. Clients map it for
 * reading, from a descriptor that was opened for reading only.
 *
 * | bytes             | part                   | written                        |
 * |-------------------|------------------------|--------------------------------|
 * | 0..4095           | struct hak_registry    | before anybody attaches, but   |
 * |                   |                        | for its last three words       |
 * | 4096..266239      | struct hak_holder[]    | attach, detach, death          |
 * | 266240..331775    | struct hak_root[]      | publish, withdraw              |
 * | 331776..          | SuperSlab words        | grant, collect                 |
 *
 * | header bytes | field              |
 * |--------------|--------------------|
 * |   0..7       | magic              |
 * |   8..11      | layout_version     |
 * |  12..15      | superslab_lg       |
 * |  16..23      | fingerprint        |
 * |  24..39      | uuid of segment    |
 * |  40..47      | generation         |
 * |  48..55      | capacity, bytes    |
 * |  56..63      | base (address)     |
 * |  64..95      | pool's name        |
 * |  96..103     | asked              |
 * | 104..111     | ended              |
 * | 112..119     | keep_ms            |
 * | 120..127     | limit              |
 * | 128..135     | retain             |
 * | 136..143     | owner, group       |
 * | 144..151     | mode               |
 * | 152..159     | client_limit       |
 * | 160..167     | user_limit         |
 * | 168..175     | user_clients       |
 * | 176..183     | hardened           |
 * | 184..191     | profile            |
 *
 * Everything else of the geometry follows from capacity and superslab_lg
 * (hak_geometry_init), so no two processes can disagree about it.
 */

#include <stddef.h>
#include <stdint.h>

#include "proto/shm/atomic.h"
#include "proto/shm/holders.h"
#include "proto/shm/slab.h"
#include "proto/shm/stats.h"
#include "proto/shm/superslab.h"

#define HAK_REGISTRY_MAGIC UINT64_C(0x6d656d6b61680a1a) /* \x1a \n h a k m e m */
#ifndef HAK_LAYOUT_VERSION /* a test builds a client that has another one */
#define HAK_LAYOUT_VERSION 5u
#endif

#define HAK_PAGE_BYTES		   UINT64_C(4096)
#define HAK_REGISTRY_HOLDERS_AT	   HAK_PAGE_BYTES
#define HAK_REGISTRY_ROOTS_AT	   (HAK_REGISTRY_HOLDERS_AT + HAK_HOLDER_COUNT * 64)
#define HAK_REGISTRY_SUPERSLABS_AT (HAK_REGISTRY_ROOTS_AT + UINT64_C(65536))

#define HAK_UUID_BYTES	    16
#define HAK_POOL_NAME_BYTES 32	      /* with its NUL */
#define HAK_POOL_FIRST	    "default" /* each daemon has one of this name */

struct hak_registry {
	uint64_t magic;
	uint32_t layout_version;
	uint32_t superslab_lg;
	uint64_t fingerprint;
	uint8_t uuid[HAK_UUID_BYTES];
	uint64_t generation;
	uint64_t capacity;
	uint64_t base; /* where the first SuperSlab is mapped, if that is free */
	char pool_name[HAK_POOL_NAME_BYTES];
	/* These change; each is a hint that decides nothing by itself, so all accesses are relaxed. */
	hak_u64 asked;	 /* + 1 when clients shall give back what they keep without need */
	hak_u64 ended;	 /* 1: the daemon has stopped for good, nothing is granted any more */
	hak_u64 keep_ms; /* how long memory that is free is to be kept, milliseconds */
	hak_u64 limit; /* bytes; this and those behind it are for the next daemon, if no section has them */
	hak_u64 retain;	      /* bytes that the daemon keeps at most */
	hak_u64 access;	      /* uid of its owner, above bit 32 gid of its group */
	hak_u64 mode;	      /* who may do what */
	hak_u64 client_limit; /* bytes, 0: none */
	hak_u64 user_limit;   /* likewise */
	hak_u64 user_clients; /* 0: no limit */
	hak_u64 hardened;     /* 1: who attaches from now on is */
	hak_u64 profile;      /* bytes between two samples, see sample.h; 0: none are taken */
};

_Static_assert(offsetof(struct hak_registry, uuid) == 24 &&
		       offsetof(struct hak_registry, base) == 56 &&
		       offsetof(struct hak_registry, asked) == 96 &&
		       sizeof(struct hak_registry) == 192,
	       "the byte map above");

/* Changes whenever the size or place of a shared field changes. */
uint64_t hak_layout_fingerprint(void);

#define HAK_CAPACITY_MAX (UINT64_C(1) << 40) /* what a ref can name */

/* Where everything is in a pool; worked out, never read from shared memory. */
struct hak_geometry {
	uint64_t capacity; /* bytes of SuperSlabs */
	unsigned superslab_lg;
	uint32_t n_superslabs;
	uint32_t slots_per_superslab;
	uint32_t n_slots;

	/* Offsets in the heap memfd, bytes; the SuperSlabs come last. */
	uint64_t slab_words_at; /* hak_u64 a slot */
	uint64_t pending_at;	/* hak_u32 a SuperSlab: a bit a slot */
	uint64_t areas_at;	/* struct hak_client_area a holder */
	uint64_t bits_at;	/* HAK_SLAB_BITS_WORDS hak_u64 a slot */
	uint64_t tags_at;	/* HAK_CLASS_BLOCKS hak_u32 a slot */
	uint64_t data_at;	/* SuperSlabs, 2 MiB aligned */
	uint64_t heap_bytes;

	uint64_t registry_bytes;
};

/*
 * 0, or -EINVAL: superslab_lg is neither 20 nor 21, or capacity is 0, over
 * HAK_CAPACITY_MAX or no multiple of 2 MiB.
 */
int hak_geometry_init(struct hak_geometry *geometry, uint64_t capacity, unsigned superslab_lg);

/*
 * Is this the header of a registry that we understand, of which `bytes` are
 * mapped? 0; -EINVAL: no registry, or a broken one; -EPROTO: another layout
 * version or fingerprint. Does not trust any field.
 */
int hak_registry_validate(const struct hak_registry *header, uint64_t bytes,
			  struct hak_geometry *ret_geometry);

#endif
