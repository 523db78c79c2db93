/* SPDX-License-Identifier: MIT */
#include "bench/support/refill.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "bench/support/bench.h"
#include "bench/support/clock.h"

#define TIMEOUT_MS 60000

void bench_refill_init(struct bench_refill *client)
{
	int fds[HAK_WIRE_FDS_MAX];
	unsigned n_fds = HAK_WIRE_FDS_MAX;
	Hak__Reply *reply;

	if (hakc_conn_init(&client->conn, getenv("HAKMEM_SOCKET"), TIMEOUT_MS) < 0 ||
	    hakc_conn_hello(&client->conn, HAK__PEER_KIND__PEER_CLIENT, NULL, &reply, fds, &n_fds))
		bench_fail("attaching");
	client->registry_bytes = reply->welcome->registry_bytes;
	client->registry = mmap(NULL, client->registry_bytes, PROT_READ, MAP_SHARED, fds[0], 0);
	if (client->registry == MAP_FAILED)
		bench_fail("mapping the registry");
	hak__reply__free_unpacked(reply, NULL);
}

static Hak__Reply *call(struct bench_refill *client, Hak__Request *request)
{
	Hak__Reply *reply;

	if (hakc_conn_call(&client->conn, request, &reply, NULL, NULL, NULL, NULL) < 0 ||
	    reply->error)
		bench_fail("asking the daemon");
	return reply;
}

uint64_t bench_refill(struct bench_refill *client)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Refill refill = HAK__REFILL__INIT;
	Hak__Giveback giveback = HAK__GIVEBACK__INIT;
	uint64_t start = hakt_now_ns(), ns;
	Hak__Reply *reply;

	refill.count = 1;
	request.body_case = HAK__REQUEST__BODY_REFILL;
	request.refill = &refill;
	reply = call(client, &request);
	ns = hakt_now_ns() - start;
	giveback.n_superslabs = 1;
	giveback.superslabs = reply->grant->superslabs;
	request.body_case = HAK__REQUEST__BODY_GIVEBACK;
	request.giveback = &giveback;
	hak__reply__free_unpacked(call(client, &request), NULL);
	hak__reply__free_unpacked(reply, NULL);
	return ns;
}
