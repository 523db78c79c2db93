/* SPDX-License-Identifier: MIT */
/* As with a file: of owner, group and others the first that a peer is decides. */
#include "daemon/net/access.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/error.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59 /* since Linux 4.13 */
#endif
#define GROUPS_MAX 65536u /* NGROUPS_MAX of Linux */

/* Its own group, or a supplementary one? */
static bool is_member(const struct hakd_peer *peer, gid_t wanted)
{
	socklen_t bytes = GROUPS_MAX * sizeof(gid_t);
	gid_t *groups = malloc(bytes);
	bool has = peer->gid == wanted;

	if (groups && !has && getsockopt(peer->fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) == 0)
		for (size_t i = 0; i < bytes / sizeof(gid_t) && !has; i++)
			has = groups[i] == wanted;
	free(groups);
	return has;
}

bool hakd_access_is_admin(const struct hakd_peer *peer)
{
	gid_t group = peer->daemon->config.admin_group;

	return peer->uid == 0 || peer->uid == geteuid() ||
	       (group != (gid_t)-1 && is_member(peer, group));
}

static unsigned rights_of(const struct hakd_peer *peer, const struct hakd_pool_config *pool)
{
	if (hakd_access_is_admin(peer))
		return 7;
	if (peer->uid == pool->owner)
		return pool->mode >> 6 & 7;
	if (is_member(peer, pool->group))
		return pool->mode >> 3 & 7;
	return pool->mode & 7;
}

bool hakd_access_check(struct hakd_peer *peer, uint64_t id, unsigned rights)
{
	const struct hakd_pool_config *pool = &peer->realm->config;
	unsigned missing = rights & ~rights_of(peer, pool);
	char reason[128];

	if (missing == 0)
		return true;
	snprintf(reason, sizeof(reason), "user %u may not %s pool %s", (unsigned)peer->uid,
		 missing & HAKD_MAY_WRITE  ? "write to"
		 : missing & HAKD_MAY_READ ? "read"
					   : "administer",
		 pool->name);
	hakd_peer_refuse(peer, id, HAK_E_DENIED, reason);
	return false;
}
