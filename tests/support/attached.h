/* SPDX-License-Identifier: MIT */
#ifndef HAKT_ATTACHED_H
#define HAKT_ATTACHED_H

/* A client without the library, for a look at the registry as a client has it. */

#include <sys/mman.h>
#include <unistd.h>

#include "client_lib/conn.h"
#include "proto/shm/registry.h"

/* A page, to be unmapped; the client hangs up with conn. */
static inline const struct hak_registry *hakt_attached(struct hakc_conn *conn,
						       const char *socket_path)
{
	int fds[HAK_WIRE_FDS_MAX];
	unsigned n = HAK_WIRE_FDS_MAX;
	Hak__Reply *reply;
	void *registry;

	assert_int_equal(hakc_conn_init(conn, socket_path, 60000), 0);
	assert_int_equal(hakc_conn_hello(conn, HAK__PEER_KIND__PEER_CLIENT, NULL, &reply, fds, &n),
			 0);
	registry = mmap(NULL, HAK_PAGE_BYTES, PROT_READ, MAP_SHARED, fds[0], 0);
	assert_true(registry != MAP_FAILED);
	hak__reply__free_unpacked(reply, NULL);
	while (n > 0)
		close(fds[--n]);
	return registry;
}

#endif
