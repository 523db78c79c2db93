/* SPDX-License-Identifier: MIT */
#ifndef HAKD_RESUME_H
#define HAKD_RESUME_H

/*
 * What a daemon that is gone had in its hands, from the registry of a pool that
 * was opened (mem/reopen.h has done what needs no loop):
 *
 * | left                        | goes on as                                         |
 * |-----------------------------|----------------------------------------------------|
 * | holder FREE                 | free; its next generation is the next one          |
 * | holder ATTACHED, it lives   | a client without a connection; in doubt, if its    |
 * |                             | lease was kept, else only its pidfd is watched     |
 * | holder ATTACHED, it is gone | a death: its kept pidfd says so, or else its pid   |
 * | holder RECLAIMING           | collected again from the start, what is RECLAIMING |
 * |                             | already included: both scans                       |
 * | a run RECLAIMING, its owner | collected by a job of its client, as if that had   |
 * | lives                       | just given it back                                 |
 * | a run RECLAIMING, of nobody | waits for a grace again, its tags are zeroed       |
 * | an ORPHAN                   | looked at, may go to an heir after a grace         |
 */

#include "daemon/daemon.h"

/*
 * On the loop's thread, when liveness is there and before anybody is accepted.
 * 0 or a negative errno: a process can't be watched, said on stderr.
 */
int hakd_resume(struct hakd_realm *realm);

#endif
