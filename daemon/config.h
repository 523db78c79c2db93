/* SPDX-License-Identifier: MIT */
#ifndef HAKD_CONFIG_H
#define HAKD_CONFIG_H

/* What the daemon was told: defaults, then an INI file, then flags. */

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire/socket_path.h"

struct hakd_config {
	char socket[HAK_SOCKET_PATH_MAX];
	uint64_t capacity; /* bytes */
	uint64_t limit;	   /* bytes; 0: half of the machine's memory */
	unsigned superslab_lg;
	uint64_t retain; /* bytes of free memory that the daemon keeps at most, the reserve apart */
	unsigned keep;	 /* seconds that memory which is free is kept, see hakd_config_keep_ms */
	unsigned idle_exit; /* seconds; 0: never */
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
 * Reads the file again, with the flags over it: log_level, limit, keep and retain are taken from
 * it; what else has changed is named in the log. -EINVAL: said on stderr what is wrong, and
 * nothing has changed.
 */
int hakd_config_reload(struct hakd_config *config);

/*
 * Free memory is kept for half of `keep` by the process that had it, and for the other half by the
 * daemon. 1 at least: to clients, 0 means that there is no such time.
 */
static inline uint64_t hakd_config_keep_ms(const struct hakd_config *config)
{
	return config->keep ? config->keep * UINT64_C(500) : 1;
}

/* "64G", "512M", "4096": bytes. 0 or -EINVAL. */
int hakd_config_size(const char *text, uint64_t *ret_bytes);

#endif
