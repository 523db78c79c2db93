/* SPDX-License-Identifier: MIT */
#ifndef HAKD_PACE_H
#define HAKD_PACE_H

/*
 * What keeps a peer from costing the others something: it has to say hello within some time, and is not
 * read for a moment when it asks more often than it may. On the loop only.
 */

#include "daemon/net/peer.h"

void hakd_pace_init(struct hakd_daemon *daemon);

/* It has connected; it has said hello; it goes. */
void hakd_pace_begin(struct hakd_peer *peer);
void hakd_pace_welcome(struct hakd_peer *peer);
void hakd_pace_end(struct hakd_peer *peer);

/* May it be read now? False: it is stopped, and goes on by itself (hakd_peer_go_on). */
bool hakd_pace_may_ask(struct hakd_peer *peer);

#endif
