/* SPDX-License-Identifier: MIT */
/*
 * A hostile client attaches as the protocol wants it, and then does one thing after the other, in
 * bursts at full speed and with pauses, until it ends in one of all possible ways.
 */
#include "tests/stress/hostile/hostile.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/now.h"
#include "tests/support/random.h"

#define ANSWER_MS 5000u

uint64_t hostile_pick(struct hostile_client *client)
{
	return hakt_random(&client->seed);
}

uint64_t hostile_number(struct hostile_client *client)
{
	uint64_t r = hostile_pick(client);
	const uint64_t numbers[] = {0,
				    1,
				    2,
				    r & 0xff,
				    0xffff,
				    HAK_SLAB_ARG_MAX,
				    UINT32_MAX - 1,
				    UINT32_MAX,
				    UINT64_C(1) << 32,
				    INT64_MAX,
				    UINT64_C(1) << 63,
				    UINT64_MAX - 1,
				    UINT64_MAX,
				    UINT64_C(1) << (r >> 8) % 64,
				    r};

	return numbers[(r >> 16) % (sizeof(numbers) / sizeof(numbers[0]))];
}

static bool map(struct hostile_client *client, const Hak__Welcome *welcome)
{
	struct hak_geometry g;

	client->registry = mmap(NULL, welcome->registry_bytes, PROT_READ, MAP_SHARED,
				client->fds[0], 0);
	if (client->registry == MAP_FAILED ||
	    hak_registry_validate(client->registry, welcome->registry_bytes, &g) < 0)
		return false;
	client->heap = mmap(NULL, g.heap_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
			    client->fds[1], 0);
	if (client->heap == MAP_FAILED)
		return false;
	hak_segment_init(&client->segment, &g, client->registry, client->heap);
	return true;
}

bool hostile_attach(struct hostile_client *client)
{
	Hak__Reply *reply = NULL;
	unsigned n = HAK_WIRE_FDS_MAX;
	bool is_right = false;

	client->is_attached = false;
	if (hakc_conn_init(&client->conn, client->socket, ANSWER_MS) < 0)
		return false;
	if (hakc_conn_hello(&client->conn, HAK__PEER_KIND__PEER_CLIENT, NULL, &reply, client->fds,
			    &n) == 0 &&
	    n == HAK_WIRE_FDS_MAX) {
		const Hak__Welcome *welcome = reply->welcome;

		if (welcome->uuid.len == HAK_UUID_BYTES)
			memcpy(client->uuid, welcome->uuid.data, HAK_UUID_BYTES);
		client->generation = welcome->generation;
		client->holder = welcome->holder;
		client->holder_generation = welcome->holder_generation;
		is_right = map(client, welcome);
	}
	if (reply)
		hak__reply__free_unpacked(reply, NULL);
	client->is_attached = is_right;
	return is_right;
}

unsigned hostile_holder(struct hostile_client *client)
{
	uint64_t r = hostile_pick(client);

	switch (r % 6) {
	case 0:
		return HAK_HOLDER_NONE;
	case 1:
		return HAK_HOLDER_ROOT;
	case 2:
		return client->holder;
	case 3:
		return (r >> 8) % HAK_HOLDER_COUNT;
	default: /* of those who are there, slots are taken from the first on */
		return HAK_HOLDER_FIRST + (r >> 8) % 12;
	}
}

uint32_t hostile_superslab(struct hostile_client *client)
{
	uint32_t n = client->segment.geometry.n_superslabs;
	uint32_t at = hostile_pick(client) % n;

	if (hostile_pick(client) % 8 == 0)
		return at;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t next = (at + i) % n;

		if (hak_superslab_state(hak_load_relaxed(&client->segment.superslabs[next])) !=
		    HAK_SUPERSLAB_FREE)
			return next;
	}
	return at;
}

static void rest(struct hostile_client *client)
{
	uint64_t r = hostile_pick(client);

	if (r % 4 == 0)
		usleep((useconds_t)((r >> 8) % 20000));
}

static void say_bye(struct hostile_client *client)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Bye bye = HAK__BYE__INIT;
	Hak__Reply *reply;

	request.body_case = HAK__REQUEST__BODY_BYE;
	request.bye = &bye;
	if (hakc_conn_call(&client->conn, &request, &reply, NULL, NULL, NULL, NULL) == 0)
		hak__reply__free_unpacked(reply, NULL);
}

/* It goes on scribbling for a while when the daemon thinks that it has gone. */
static void leave(struct hostile_client *client)
{
	uint64_t r = hostile_pick(client);

	if (r % 4 == 0)
		say_bye(client);
	else if (r % 4 == 1)
		hakc_conn_deinit(&client->conn);
	else if (r % 4 == 2)
		close(client->fds[2]); /* its lease */
	for (unsigned i = 0; client->is_attached && i < (r >> 8) % 8; i++)
		hostile_scribble(client);
	if ((r >> 16) % 2)
		kill(getpid(), SIGKILL);
}

int hostile_live(struct hostile_table *table, const char *socket, uint64_t seed)
{
	struct hostile_client client = {.table = table,
					.socket = socket,
					.seed = seed,
					.conn = {.fd = -1},
					.fds = {-1, -1, -1}};
	int64_t end;

	if (!hostile_attach(&client)) {
		hostile_talk(&client);
		usleep(20000);
		return 0;
	}
	end = hakt_now_ms() + 20 + (int64_t)(hostile_pick(&client) % 3000);
	while (hakt_now_ms() < end && !hak_load_relaxed(&table->stop)) {
		if (hostile_pick(&client) % 3)
			hostile_scribble(&client);
		else
			hostile_talk(&client);
		rest(&client);
	}
	leave(&client);
	return 0;
}
