/* SPDX-License-Identifier: MIT */
#ifndef HAKMEM_H
#define HAKMEM_H

/*
 * hakmem: malloc for cooperating processes.
 *
 * Processes that link this library allocate from a heap that they share. A
 * pointer made in one is good in the others (where the pool is mapped at its
 * own address, see hakmem_is_at_base), and any of them may free it. No call
 * takes a lock that another process could hold; the daemon, hakmemd, is asked
 * only for fresh memory, 1 MiB or 2 MiB at a time, and for statistics.
 *
 * All calls may be made by any thread at any time, except as said at
 * hakmem_detach; none may be made from a signal handler. After fork() the
 * child is a client of its own from its first call on, with the options of its parent's
 * hakmem_attach; blocks that its parent had stay its parent's, the child may read and
 * write them.
 *
 * Who owns a block: the process that allocated it, until another one takes it by
 * a ref (hakmem_take) or it is published. When its owner detaches or dies,
 * at any instruction, the block goes, and nothing else does. So there are two ways
 * of passing a block on:
 *   lending   the receiver uses the pointer, or hakmem_ptr of a ref. The block stays
 *             the sender's, who must live, and not free it, until the receiver
 *             has finished. The receiver may free it while the sender lives,
 *             unless the sender had it by a take: what was taken is freed by its
 *             taker only. When the sender has died the pointer dangles.
 *   giving    the receiver takes the ref. From then on the block is its own and
 *             the sender may die; the sender must not use or free it any more. Who
 *             can't know whether its ref was taken takes it itself, and then has it.
 * A ref that is in a message, in a ring, in a file, and not taken, keeps nothing
 * alive: its block is the sender's still.
 *
 * Errors: calls that look like malloc return NULL and set errno, the others
 * return 0 or a negative errno:
 *   ENOMEM        the pool's limit or the machine's memory is reached, or the
 *                 size is larger than the pool
 *   EDQUOT        a limit of this process, or of its user, is reached; from an attach: of clients
 *   EINVAL        an argument is out of range
 *   ENOENT        no socket: no daemon has been started
 *   ECONNREFUSED  a socket, but nobody listens on it
 *   ESTALE        from a call that asks the daemon: the pool that this process attached to
 *                 has ended, or its daemon has gone and nobody listens. What the process has
 *                 it can use and free, and what others published look up; hakmem_detach and
 *                 hakmem_attach get it a new pool
 *   EACCES        the daemon refused, or the socket may not be opened; or this process is
 *                 attached for reading
 *   EPROTO        the daemon is of another version
 *   ETIMEDOUT     the daemon did not answer in time; ENOMEM from calls that allocate in a
 *                 process that is attached
 *
 * The daemon may die, and another one go on with the pool: this process finds it by itself.
 * Meanwhile calls go on with what the process has. One that can't do without the daemon waits for it,
 * HAKMEM_TIMEOUT_MS at most, and other threads wait with it that need memory beyond their own
 * caches and slabs. Frees, hakmem_trim and hakmem_detach never wait for a daemon that is not there.
 *
 * Environment, read at attach:
 *   HAKMEM_SOCKET      the daemon's socket; default: the user's
 *                      ($XDG_RUNTIME_DIR/hakmem/hakmemd.sock) if there is one,
 *                      else /run/hakmem/hakmemd.sock
 *   HAKMEM_POOL        the pool, default "default"
 *   HAKMEM_TIMEOUT_MS  longest wait for an answer, or for a daemon, default 5000
 *   HAKMEM_LOG         error (default), warn, info or debug, to stderr
 *   HAKMEM_AUTOSPAWN   1: start a daemon of the user's own if none listens;
 *                      HAKMEM_DAEMON names the binary, default: hakmemd beside
 *                      the library or in PATH
 *   HAKMEM_HARDENED    1: find misuse of the heap at the call, which costs thirty times as much
 *                      then; 0 or nothing: not; anything else: 1. See below
 *
 * A hardened process caches no blocks. Each free that is to be refused is refused and reported at
 * the call, also of a block that another thread or process has freed. Of a block that it allocates
 * what was asked for may be used and no more: what was written behind that is reported, on stderr
 * with address and size, when a hardened process frees or reallocs it, and the program goes on.
 * Freed blocks are filled with 0xdb, their first 64 KiB at most. Blocks of a slab are given out in
 * random order. Processes of both kinds can share a pool: blocks of those that aren't hardened have
 * no guard. libhakmem_malloc.so does the same for malloc. docs/security.md says more.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define HAKMEM_API __attribute__((visibility("default")))
#else
#define HAKMEM_API
#endif

/* Names a block in every process of its pool; 0 names none. Made for messages. */
typedef uint64_t hakmem_ref_t;

/* For hakmem_attach. Zero everything you don't set: 0 and NULL mean the environment's or default. */
struct hakmem_options {
	const char *socket;    /* path of the daemon's socket */
	const char *pool;      /* name of the pool */
	unsigned timeout_ms;   /* longest wait for an answer, milliseconds */
	unsigned offsets_only; /* 1: don't map at the pool's address even if it is free */
	unsigned read_only;    /* 1: attach for reading, see below */
};

/*
 * Attaches this process to a pool; options may be NULL: those that a parent attached with, before it
 * forked, else the environment's. Not needed: the first allocation does it with NULL. 0; -EISCONN: it is attached already; or an
 * error from the list above, after which nothing has changed.
 */
HAKMEM_API int hakmem_attach(const struct hakmem_options *options);

/*
 * A process that attaches with read_only reads what others have: hakmem_ptr, hakmem_root_lookup,
 * hakmem_owner, hakmem_usable_size, hakmem_contains, hakmem_is_at_base. All that would write is refused: -EACCES,
 * or NULL and EACCES; a free is reported. The kernel enforces it: the pool is mapped from a descriptor that was opened for
 * reading, a write to a block is a SIGSEGV. It owns nothing and is no client: the daemon knows
 * nothing of its life, and need not be there. So nobody waits for it either: what it reads must be
 * kept alive by whom it has it from. Its children read too.
 */

/*
 * Leaves the pool: what this process has allocated goes back, in use or not,
 * and the mapping ends, so every pointer into the pool dangles. No other
 * thread may be in a call of this library meanwhile. Needs no daemon: of one that is away, or of a
 * pool that has ended, it leaves all the same. Attaching again is
 * allowed, and attaches to whichever pool there is then. 0; -ENOTCONN: it was not attached.
 */
HAKMEM_API int hakmem_detach(void);

/*
 * A block of at least size bytes, aligned to 16; uninitialised. Size 0 gives a
 * unique pointer. NULL and errno on failure.
 */
HAKMEM_API void *hakmem_malloc(size_t size)
#if defined(__GNUC__)
	__attribute__((malloc, alloc_size(1), warn_unused_result))
#endif
	;

/* count * size bytes of zeros; ENOMEM also where the product overflows. */
HAKMEM_API void *hakmem_calloc(size_t count, size_t size)
#if defined(__GNUC__)
	__attribute__((malloc, alloc_size(1, 2), warn_unused_result))
#endif
	;

/*
 * The block with room for at least size bytes, where it is or moved, contents
 * kept as far as they fit. It stays where there is room behind it; one of more
 * than a SuperSlab that gets smaller gives back its end. Its refs may be void from then on. block
 * NULL: malloc. On failure NULL and errno, the contents are untouched; EINVAL: block is no block of
 * the pool. Size 0 is not free, it gives a block. A block that has another owner by now is
 * copied and not freed, which is reported.
 */
HAKMEM_API void *hakmem_realloc(void *block, size_t size)
#if defined(__GNUC__)
	__attribute__((warn_unused_result))
#endif
	;

/*
 * A block aligned to alignment, a power of two from 1 to 2 MiB; size need not
 * be a multiple of it. NULL and errno: EINVAL or as malloc.
 */
HAKMEM_API void *hakmem_aligned_alloc(size_t alignment, size_t size)
#if defined(__GNUC__)
	__attribute__((malloc, alloc_size(2), warn_unused_result))
#endif
	;

/*
 * Frees a block: of this process, or one that another process has allocated and nobody has taken.
 * NULL is allowed. All its refs are void. An address that is not of the pool, not the begin of a
 * block, a block that was taken by or published for others, or one that is free already is reported
 * on stderr with its value, counted, and otherwise ignored (a second free of
 * a block that this thread has freed before may be noticed late, but not by a hardened process).
 * errno stays.
 */
HAKMEM_API void hakmem_free(void *block);

/* Usable bytes of a block, at least what was asked for; 0 for what is none. */
HAKMEM_API size_t hakmem_usable_size(const void *block);

/*
 * 1: an address of the pool's memory, whether of a block or not; 0: not, or
 * this process is not attached. Never attaches, takes no lock.
 */
HAKMEM_API int hakmem_contains(const void *address);

/*
 * The ref of a block, as it is now: void when the block is taken, freed or
 * realloc'd, and when its owner dies. 0 and errno: EINVAL: not the begin of a
 * block, or one that is being freed; EPERM: a block of another process, of
 * whose neighbours no ref was made so far (its owner must make the first);
 * ENOMEM: no memory for the tags (4 bytes a block) that the block and its
 * neighbours need from their first ref on. Frees of such blocks cost an atomic
 * operation more.
 */
HAKMEM_API hakmem_ref_t hakmem_ref(const void *block);

/*
 * The address of a ref's block in this process, attaching if needed. NULL and
 * errno: EINVAL for 0 and what is no ref of this pool; ESTALE if the memory
 * has certainly been used for something else since the ref was made. Does not make it the caller's, see
 * "lending" above; of a ref that is void it may be the address of another block by now.
 */
HAKMEM_API void *hakmem_ptr(hakmem_ref_t ref);

/*
 * Makes the caller's process the owner of a ref's block: *ret_block can be used
 * and freed, and outlives who sent it. A ref is a ticket that can be taken once,
 * by whoever comes first, also by its maker (which revokes it). 0; -ESTALE:
 * it was taken before, or the block was freed, or its owner has died: nothing
 * has changed, *ret_block neither; -EINVAL: no ref of this pool. Attaches if
 * needed. A process that is killed in this call has taken it or has not.
 */
HAKMEM_API int hakmem_take(hakmem_ref_t ref, void **ret_block);

/* Who owns a block. */
enum hakmem_owner {
	HAKMEM_OWNER_SELF = 1,	/* this process */
	HAKMEM_OWNER_OTHER = 2, /* another one */
	HAKMEM_OWNER_ROOT = 3,	/* the pool: it has been published */
};

/*
 * Asks for the owner of a block: one of the above, or -EINVAL: no block, or a
 * free one. A glimpse, unless it is the caller's own. ret_pid, if it isn't NULL,
 * gets the owner's process id; 0 where there is none.
 */
HAKMEM_API int hakmem_owner(const void *block, int *ret_pid);

/*
 * Roots: names for blocks that shall outlive the process that made them. What is
 * published belongs to the pool: no process's death or hakmem_detach takes it, nobody
 * can free, take or realloc it, everybody may look it up, read and write it.
 * It stays until it is withdrawn, at the longest as long as the daemon's pool.
 *
 * A name has 1 to 63 bytes without control characters. The pool has room for 512
 * published blocks; `hakmemctl roots` lists them. Publishing and withdrawing ask the
 * daemon and attach if needed. All void the refs that were made of the blocks before.
 */

/*
 * Publishes a block that the caller's process owns, by a ref made by hakmem_ref. Only that
 * block: what it points to goes with its owner as ever. 0; or, and nothing has changed:
 * -EINVAL: no such name can be, or no ref of this pool; -EPERM: the block is another
 * process's (take it first); -ESTALE: the ref is void; -EEXIST: the name is in use, or the block
 * is published already; -ENOSPC: no room. -ETIMEDOUT, or -ESTALE of a pool that has ended: the
 * daemon has not answered: it is published or will be, or it is the caller's still; hakmem_owner
 * tells, after a time-out when the daemon answers again. If a daemon dies meanwhile, the next one is asked.
 */
HAKMEM_API int hakmem_root_publish(const char *name, hakmem_ref_t ref);

/*
 * The same for n blocks under one name, all or none, for structures of blocks that point
 * to each other. hakmem_root_lookup gives the first; the others are to be reached from it. -EEXIST
 * also if a block is twice in the list. If a ref is taken by somebody else during the call:
 * -ESTALE, and refs that were made of the other blocks may be void.
 */
HAKMEM_API int hakmem_root_publish_list(const char *name, const hakmem_ref_t *refs, size_t n);

/*
 * The ref of a name's (first) block, for hakmem_ptr: to be used, not to be taken
 * (-ESTALE). Asks nobody, and works while the daemon is away; attaches if needed. 0;
 * -ENOENT: there is no such name, or no daemon to attach to; -EINVAL. Whoever looks it
 * up has to know by other means that nobody withdraws and frees it meanwhile.
 */
HAKMEM_API int hakmem_root_lookup(const char *name, hakmem_ref_t *ret_ref);

/*
 * Ends a name: its blocks, all of the list, are the caller's process's from now on, to be
 * freed or passed on, and go with it if it dies. *ret_ref is a fresh ref of the (first) one. Any
 * process may do that. 0; -ENOENT: there is no such name; -EINVAL; -ESTALE: a process has
 * scribbled over the pool's words: the name is gone, the blocks are lost, or the pool has ended.
 * -ETIMEDOUT: the daemon has not answered: as for hakmem_root_publish, hakmem_owner of the block tells.
 */
HAKMEM_API int hakmem_root_withdraw(const char *name, hakmem_ref_t *ret_ref);

/*
 * 1: the pool is mapped at its own address, raw pointers may be shared; 0: it
 * is mapped elsewhere, use refs. Attaches if needed; a negative errno.
 */
HAKMEM_API int hakmem_is_at_base(void);

/*
 * What a process keeps of the memory that it has freed: its threads cache blocks (up to 256 KiB a
 * size, 16 MiB of blocks between 32 KiB and 1 MiB), and it keeps up to 64 unused SuperSlabs, 8
 * if it never wanted back what it gave, and up to 32 of freed blocks larger than one. A cached
 * block holds its SuperSlab. What was not needed for the daemon's `keep` (10 s by default) goes
 * back to the daemon, at most three eighths of that later; all of it goes back when
 * the daemon asks, being short of memory or told to by hakmemctl trim. A thread does both where it
 * leaves its caches, and at each allocation of up to 1 KiB unless it makes more than 16 a
 * millisecond. A thread that calls nothing gives nothing back, and others can't empty its caches.
 */

/*
 * Gives back now what this thread and this process hold without need: the calling thread's caches
 * and empty slabs, those of threads that have ended, then unused SuperSlabs to the daemon. Slow;
 * for long pauses and for exact statistics. 0 or a negative errno.
 */
HAKMEM_API int hakmem_trim(void);

/* What this process has done and holds. Counts since it attached. */
struct hakmem_stats {
	uint64_t superslabs;	  /* granted to this process now */
	uint64_t superslab_bytes; /* size of one */
	uint64_t live_blocks;	  /* in its slabs: allocated, or in a thread's cache */
	uint64_t live_bytes;	  /* size of these, rounded up to their classes */
	uint64_t claims;	  /* blocks taken from slabs into caches */
	uint64_t frees;		  /* blocks given back to slabs */
	uint64_t refills;	  /* times the daemon was asked for memory */
	uint64_t remote_frees;	  /* frees of blocks that another thread or process claims */
	uint64_t refused_frees;	  /* double, invalid and foreign frees */
	uint64_t out_of_memory;	  /* allocations answered by ENOMEM */
	uint64_t overflows;	  /* blocks found written past their end, see HAKMEM_HARDENED */
};

/* 0; -ENOTCONN: not attached. bytes: sizeof(struct hakmem_stats), so that it may grow. */
HAKMEM_API int hakmem_stats(struct hakmem_stats *ret_stats, size_t bytes);

/*
 * More pools than one, in one process. A pool other than the process's first has a handle; NULL
 * is the first one's: the one of hakmem_attach, and of all calls without "_in". A process has at most
 * 15 others open. Blocks of all of them go to the same hakmem_free, hakmem_realloc (which stays in the
 * block's pool), hakmem_usable_size, hakmem_ref and hakmem_owner: these find the pool by the address.
 * A ref is of its pool: who gets one must know which.
 */
struct hakmem_pool;

/*
 * Attaches this process to a pool, as one of its clients, by its name; options as for hakmem_attach,
 * their `pool` is not looked at. May be called again: the same handle, to be closed as often. The process may be
 * attached to other pools or to none. After fork() the child has its parent's handles, and attaches
 * to each pool at its first call there. 0; -EINVAL: no such name is possible; -EMFILE: 15 are
 * open; -EISCONN: it is this process's first pool, or open by another socket's path; or as
 * hakmem_attach.
 */
HAKMEM_API int hakmem_pool_open(const char *name, const struct hakmem_options *options,
				struct hakmem_pool **ret_pool);

/*
 * As hakmem_detach, of the last opening: no other thread may be in a call about this pool meanwhile.
 * 0; -EINVAL: it isn't open.
 */
HAKMEM_API int hakmem_pool_close(struct hakmem_pool *pool);

/* The pool, of those that hakmem_pool_open opened, that has this address; NULL: none of them. */
HAKMEM_API struct hakmem_pool *hakmem_pool_of(const void *address);

/* As the calls of these names without "_in", in a pool. */
HAKMEM_API void *hakmem_malloc_in(struct hakmem_pool *pool, size_t size)
#if defined(__GNUC__)
	__attribute__((malloc, alloc_size(2), warn_unused_result))
#endif
	;
HAKMEM_API void *hakmem_calloc_in(struct hakmem_pool *pool, size_t count, size_t size)
#if defined(__GNUC__)
	__attribute__((malloc, alloc_size(2, 3), warn_unused_result))
#endif
	;
HAKMEM_API void *hakmem_aligned_alloc_in(struct hakmem_pool *pool, size_t alignment, size_t size)
#if defined(__GNUC__)
	__attribute__((malloc, alloc_align(2), alloc_size(3), warn_unused_result))
#endif
	;
HAKMEM_API void *hakmem_ptr_in(struct hakmem_pool *pool, hakmem_ref_t ref);
HAKMEM_API int hakmem_take_in(struct hakmem_pool *pool, hakmem_ref_t ref, void **ret_block);
HAKMEM_API int hakmem_root_publish_in(struct hakmem_pool *pool, const char *name, hakmem_ref_t ref);
HAKMEM_API int hakmem_root_publish_list_in(struct hakmem_pool *pool, const char *name,
					   const hakmem_ref_t *refs, size_t n);
HAKMEM_API int hakmem_root_lookup_in(struct hakmem_pool *pool, const char *name,
				     hakmem_ref_t *ret_ref);
HAKMEM_API int hakmem_root_withdraw_in(struct hakmem_pool *pool, const char *name,
				       hakmem_ref_t *ret_ref);
HAKMEM_API int hakmem_is_at_base_in(struct hakmem_pool *pool);
HAKMEM_API int hakmem_trim_in(struct hakmem_pool *pool);
HAKMEM_API int hakmem_stats_in(struct hakmem_pool *pool, struct hakmem_stats *ret_stats,
			       size_t bytes);

/* The library's version, "major.minor.patch". */
HAKMEM_API const char *hakmem_version(void);

#ifdef __cplusplus
}
#endif

#endif
