/* SPDX-License-Identifier: MIT */
#ifndef HAK_ERROR_H
#define HAK_ERROR_H

/*
 * What the daemon can answer instead of doing what it was asked; on the wire
 * as Reply.error. X(NAME, code, errno that a client reports, text)
 */
#define HAK_ERRORS(X)                                                                    \
	X(NONE, 0, 0, "done")                                                            \
	X(PROTOCOL, 1, EPROTO, "the request breaks the protocol")                        \
	X(VERSION, 2, EPROTO, "another version of the protocol or of the memory layout") \
	X(NO_MEMORY, 3, ENOMEM, "the pool's limit or the machine's memory is reached")   \
	X(NO_SLOT, 4, EUSERS, "all client slots of the daemon are taken")                \
	X(NO_POOL, 5, ENOENT, "there is no pool of that name")                           \
	X(DENIED, 6, EACCES, "not permitted")                                            \
	X(NOT_YOURS, 7, EPERM, "that memory is not granted to the client that asked")    \
	X(STOPPING, 8, ESHUTDOWN, "the daemon is stopping")                              \
	X(INTERNAL, 9, EIO, "the daemon failed; its log says how")                       \
	X(STALE, 10, ESTALE, "the ref is void: taken, freed, or of a dead owner")        \
	X(NOT_OWNER, 11, EPERM, "the block belongs to somebody else")                    \
	X(EXISTS, 12, EEXIST, "that name is taken, or that block is published already")  \
	X(NO_ROOT, 13, ENOENT, "there is no root of that name")                          \
	X(ROOTS_FULL, 14, ENOSPC, "the table of roots is full")                          \
	X(BAD_ARGUMENT, 15, EINVAL, "no name or no ref")                                 \
	X(ENDED, 16, ESTALE, "the pool that you are attached to has ended")              \
	X(BUSY, 17, EBUSY, "the pool is in use")                                         \
	X(POOLS_FULL, 18, ENOSPC, "there are as many pools as there can be")             \
	X(QUOTA, 19, EDQUOT, "a limit of the client, or of its user, is reached")        \
	X(KICKED, 20, EPERM, "an administrator has ended grants to this client")

enum hak_error {
#define X(name, code, number, text) HAK_E_##name = (code),
	HAK_ERRORS(X)
#undef X
};

/* The errno of an error (positive); EPROTO for a code that this side doesn't know. */
int hak_error_errno(unsigned error);

/* Its text; never NULL. */
const char *hak_error_text(unsigned error);

#endif
