/* SPDX-License-Identifier: MIT */
#ifndef HAKD_CONFIG_H
#define HAKD_CONFIG_H

/* What the daemon was told: defaults, then an INI file, then flags. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/shm/registry.h"
#include "proto/wire/socket_path.h"

#define HAKD_POOLS_MAX 64u

/* What one may do with a pool. */
#define HAKD_MAY_READ	    4u /* attach for reading, look at what is in it */
#define HAKD_MAY_WRITE	    2u /* attach */
#define HAKD_MAY_ADMINISTER 1u /* trim it */

/* A section [pool NAME]. */
struct hakd_pool_config {
	char name[HAK_POOL_NAME_BYTES];
	uint64_t capacity; /* bytes */
	uint64_t limit;	   /* bytes; 0: half of the machine's memory */
	unsigned superslab_lg;
	uint64_t retain; /* bytes of free memory that the daemon keeps at most, the reserve apart */
	uid_t owner;
	gid_t group;
	uint64_t client_limit; /* bytes that a client may have; 0: as many as there are */
	uint64_t user_limit;   /* and all clients of a user together */
	bool is_hardened;      /* processes that attach are, see docs/security.md */
	uint64_t profile;      /* bytes between two samples, 0: none, see proto/shm/sample.h */
	unsigned user_clients; /* clients that a user may have; 0: as many as there can be */
	unsigned
		mode; /* of owner, group, others: HAKD_MAY_... in three octal digits, as of a file */
	unsigned keep; /* seconds that memory which is free is kept, see hakd_config_keep_ms */
};

struct hakd_config {
	char socket[HAK_SOCKET_PATH_MAX];
	unsigned n_pools;
	struct hakd_pool_config pools[HAKD_POOLS_MAX]; /* the first one is "default" */
	gid_t admin_group;			       /* may all that root may; (gid_t)-1: none */
	unsigned hello_timeout;	      /* seconds that a peer has to say hello; 0: for ever */
	unsigned requests_per_second; /* of a connection; 0: no limit */
	unsigned idle_exit;	      /* seconds; 0: never */
	unsigned socket_mode;
	int log_level; /* enum hakd_log_level */
	bool foreground;
	bool supervise;
	const char *file; /* of --config; NULL: the default one, if it is there */
	int argc;	  /* for the next reading */
	char **argv;
};

/*
 * argv is read again at a reload; --supervise is --foreground in it from then on, so that it
 * is what the supervisor's daemon gets. 0: go on; 1: --help or --version was answered;
 * -EINVAL: said what is wrong on stderr.
 */
int hakd_config_init(struct hakd_config *config, int argc, char **argv);

/*
 * Reads the file again, with the flags over it: what can change while the daemon is at work is
 * taken from it, and pools that it didn't have; what else has changed is named in the log.
 * -EINVAL: said on stderr what is wrong, and nothing has changed.
 */
int hakd_config_reload(struct hakd_config *config);

/*
 * Free memory is kept for half of `keep` by the process that had it, and for the other half by the
 * daemon. 1 at least: to clients, 0 means that there is no such time.
 */
static inline uint64_t hakd_config_keep_ms(const struct hakd_pool_config *pool)
{
	return pool->keep ? pool->keep * UINT64_C(500) : 1;
}

/* All settings of `from` that a pool can take while it is there. */
void hakd_config_take_pool(struct hakd_pool_config *to, const struct hakd_pool_config *from);

/* The section of a pool; NULL: there is none. */
const struct hakd_pool_config *hakd_config_pool(const struct hakd_config *config, const char *name);

/* A section that says nothing, without a name. */
void hakd_config_usual_pool(struct hakd_pool_config *ret_pool);

#define HAKD_FLAW_BYTES 256

/* Is it possible? Sets a limit that isn't set. 0; -EINVAL, and which setting must be what. */
int hakd_config_check_pool(struct hakd_pool_config *pool, char ret_flaw[HAKD_FLAW_BYTES]);

/* May a pool be called that? 1 to 31 letters, digits, '-', '_' and '.', a letter or digit first. */
bool hakd_config_is_pool_name(const char *name);

#endif
