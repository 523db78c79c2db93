/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_MODULES_H
#define HAK_SHM_MODULES_H

/*
 * The files that the frames of samples lie in (programs, libraries), by number, so that frames say
 * something when their process has gone. The table is where the area of holder 0 would be, who is
 * nobody. Clients write it; an entry that is READY stays as long as the pool.
 *
 *   FREE --claim--> BUSY (of a holder and its generation) --write--> READY
 *                    |
 *                    +--- its holder is not that one any more: claim --> BUSY (of another)
 *
 * | operation | who may                                | killed half way                   |
 * |-----------|----------------------------------------|-----------------------------------|
 * | claim     | a client; one CAS                      | BUSY, and the next one takes it   |
 * | write     | who has claimed it, READY the last     | likewise                          |
 * | read      | anybody: copies it and looks at it     | -                                 |
 *
 * Two clients may enter the same file twice: it has two numbers then.
 */

#include "proto/shm/segment.h"

#define HAK_MODULE_COUNT    256u /* number 0: not known */
#define HAK_MODULE_ID_BYTES 20u	 /* of a build ID, at most */

struct hak_module {
	hak_u64 word;
	uint32_t n_id; /* bytes of the build ID; 0: it has none */
	uint8_t id[HAK_MODULE_ID_BYTES];
	char path[224]; /* NUL-terminated */
};

_Static_assert(sizeof(struct hak_module) * HAK_MODULE_COUNT == HAK_CLIENT_AREA_BYTES,
	       "the table is an area");

/*
 * The number of a file, which is entered if it isn't there; 0: there is no room. Of `module` id and
 * path count. A client, for its holder.
 */
unsigned hak_module_enter(const struct hak_segment *segment, unsigned holder,
			  const struct hak_module *module);

/* False: it is not READY. */
bool hak_module_read(const struct hak_segment *segment, unsigned number,
		     struct hak_module *ret_module);

#endif
