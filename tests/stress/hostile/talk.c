/* SPDX-License-Identifier: MIT */
/*
 * What a hostile client sends: requests with numbers that aren't its, by a connection that is
 * a client's; nonsense, by others; and many connections at once.
 */
#include "tests/stress/hostile/hostile.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/shm/roots.h"
#include "tests/support/send_fds.h"

#define REFS	 600u /* more than the table of roots has entries */
#define AT_ONCE	 40u  /* connections of a flood */
#define ATTACHED 6u   /* of them clients: the driver keeps a pidfd and a lease of each */

/* A request and all that it may point to. */
struct request {
	Hak__Request message;
	Hak__Hello hello;
	Hak__Resume resume;
	Hak__Refill refill;
	Hak__Giveback giveback;
	Hak__StatusQuery status;
	Hak__StatsQuery stats;
	Hak__ClientsQuery clients;
	Hak__CheckQuery check;
	Hak__Publish publish;
	Hak__Withdraw withdraw;
	Hak__RootsQuery roots;
	Hak__Trim trim;
	uint32_t superslabs[REFS];
	uint64_t refs[REFS];
	char name[96];
};

static void make_name(struct hostile_client *client, char name[96])
{
	uint64_t r = hostile_pick(client);

	memset(name, 0, 96);
	if (r % 4 == 0)
		snprintf(name, 96, "honest %u", (unsigned)(r >> 8) % 20);
	else
		for (unsigned i = 0; i < (r >> 8) % 95; i++)
			name[i] = (char)(r % 4 == 1 ? hostile_pick(client) : 'a' + i % 26);
}

static void make_hello(struct hostile_client *client, struct request *q)
{
	uint64_t r = hostile_pick(client);

	hak__hello__init(&q->hello);
	hak__resume__init(&q->resume);
	make_name(client, q->name);
	q->hello.protocol_version = HAK_PROTOCOL_VERSION;
	q->hello.layout_version = HAK_LAYOUT_VERSION;
	q->hello.layout_fingerprint = hak_layout_fingerprint();
	q->hello.kind = r % 8 ? HAK__PEER_KIND__PEER_TOOL : HAK__PEER_KIND__PEER_CLIENT;
	q->hello.name = q->name;
	if (r >> 8 & 1) { /* another's slot, or its own */
		q->hello.kind = HAK__PEER_KIND__PEER_CLIENT;
		q->hello.resume = &q->resume;
		q->resume.uuid.data = client->uuid;
		q->resume.uuid.len = r >> 9 & 7 ? HAK_UUID_BYTES : r >> 12 & 15;
		q->resume.generation = client->generation;
		q->resume.holder = hostile_holder(client);
		q->resume.holder_generation = r >> 16 & 1 ? client->holder_generation
							  : (uint32_t)hostile_number(client);
		if (r >> 17 & 1)
			q->resume.holder = client->holder;
	}
	q->message.body_case = HAK__REQUEST__BODY_HELLO;
	q->message.hello = &q->hello;
}

/* A SuperSlab that there is, or a number. */
static uint32_t make_superslab(struct hostile_client *client)
{
	return client->is_attached && hostile_pick(client) % 4 ? hostile_superslab(client)
							       : (uint32_t)hostile_number(client);
}

static void make_refill(struct hostile_client *client, struct request *q)
{
	uint64_t r = hostile_pick(client);

	hak__refill__init(&q->refill);
	q->refill.count = r % 4 ? 1 + (r >> 8) % 3 : (uint32_t)hostile_number(client);
	q->refill.huge = r >> 16 & 1;
	q->refill.alignment = r >> 17 & 1 ? hostile_number(client) : 0;
	q->refill.extends = r >> 18 & 1 ? make_superslab(client) + 1 : 0;
	q->message.body_case = HAK__REQUEST__BODY_REFILL;
	q->message.refill = &q->refill;
}

static void make_giveback(struct hostile_client *client, struct request *q)
{
	uint64_t r = hostile_pick(client);

	hak__giveback__init(&q->giveback);
	for (unsigned i = 0; i < REFS; i++)
		q->superslabs[i] = make_superslab(client);
	q->giveback.n_superslabs = r % 3 ? r >> 8 & 3 : (r >> 8) % REFS;
	q->giveback.superslabs = q->superslabs;
	q->giveback.shortens = r >> 20 & 1 ? make_superslab(client) + 1 : 0;
	q->message.body_case = HAK__REQUEST__BODY_GIVEBACK;
	q->message.giveback = &q->giveback;
}

/* Refs of what there is, by what the words say, or of nothing. */
static uint64_t make_ref(struct hostile_client *client)
{
	struct hak_location l;
	uint64_t offset;

	if (!client->is_attached || hostile_pick(client) % 4 == 0)
		return hostile_number(client);
	offset = (uint64_t)hostile_superslab(client) << client->segment.geometry.superslab_lg;
	offset += hostile_pick(client) % (UINT64_C(1) << client->segment.geometry.superslab_lg);
	l = hak_segment_locate_offset(&client->segment, offset);
	if (l.place != HAK_PLACE_BLOCK && l.place != HAK_PLACE_INTERIOR)
		return hak_ref_make(offset & ~UINT64_C(15), 1, 0);
	return hak_ref_make(l.start, hak_slab_epoch(l.word),
			    hak_tag_inc(hak_load_relaxed(
				    &hak_segment_tags(&client->segment, l.slot)[l.index])));
}

static void make_publish(struct hostile_client *client, struct request *q)
{
	uint64_t r = hostile_pick(client);

	hak__publish__init(&q->publish);
	make_name(client, q->name);
	for (unsigned i = 0; i < REFS; i++)
		q->refs[i] = make_ref(client);
	q->publish.name = q->name;
	q->publish.refs = q->refs;
	q->publish.n_refs = r % 3 ? r >> 8 & 3 : (r >> 8) % REFS;
	q->message.body_case = HAK__REQUEST__BODY_PUBLISH;
	q->message.publish = &q->publish;
}

static void make_question(struct hostile_client *client, struct request *q)
{
	switch (hostile_pick(client) % 6) {
	case 0:
		hak__status_query__init(&q->status);
		q->message.body_case = HAK__REQUEST__BODY_STATUS;
		q->message.status = &q->status;
		break;
	case 1:
		hak__stats_query__init(&q->stats);
		q->message.body_case = HAK__REQUEST__BODY_STATS;
		q->message.stats = &q->stats;
		break;
	case 2:
		hak__clients_query__init(&q->clients);
		q->clients.from_holder = (uint32_t)hostile_number(client);
		q->message.body_case = HAK__REQUEST__BODY_CLIENTS;
		q->message.clients = &q->clients;
		break;
	case 3:
		hak__check_query__init(&q->check);
		q->check.from_superslab = make_superslab(client);
		q->check.owners = hostile_pick(client) & 1;
		q->message.body_case = HAK__REQUEST__BODY_CHECK;
		q->message.check = &q->check;
		break;
	case 4:
		hak__roots_query__init(&q->roots);
		q->roots.from_entry = (uint32_t)hostile_number(client);
		q->message.body_case = HAK__REQUEST__BODY_ROOTS;
		q->message.roots = &q->roots;
		break;
	default:
		hak__trim__init(&q->trim);
		q->trim.wait_ms = (uint32_t)(hostile_pick(client) % 50);
		q->message.body_case = HAK__REQUEST__BODY_TRIM;
		q->message.trim = &q->trim;
	}
}

static void make_request(struct hostile_client *client, struct request *q)
{
	hak__request__init(&q->message);
	switch (hostile_pick(client) % 10) {
	case 0:
		make_hello(client, q);
		break;
	case 1:
	case 2:
	case 3:
		make_refill(client, q);
		break;
	case 4:
	case 5:
		make_giveback(client, q);
		break;
	case 6:
	case 7:
		make_publish(client, q);
		break;
	case 8:
		hak__withdraw__init(&q->withdraw);
		make_name(client, q->name);
		q->withdraw.name = q->name;
		q->message.body_case = HAK__REQUEST__BODY_WITHDRAW;
		q->message.withdraw = &q->withdraw;
		break;
	default:
		make_question(client, q);
	}
}

static void count(struct hostile_client *client, uint64_t n)
{
	hak_add_relaxed(&client->table->packets, n);
}

/* Asks as a client, and mostly waits for the answer. */
static void ask(struct hostile_client *client)
{
	static struct request q;
	Hak__Reply *reply;

	make_request(client, &q);
	count(client, 1);
	if (hostile_pick(client) % 8 == 0) {
		(void)hakc_conn_send(&client->conn, &q.message);
		return;
	}
	if (hakc_conn_call(&client->conn, &q.message, &reply, NULL, NULL, NULL, NULL) == 0)
		hak__reply__free_unpacked(reply, NULL);
}

/* A connection of its own again, with the slot that it has. */
static void come_back(struct hostile_client *client)
{
	Hak__Resume resume = HAK__RESUME__INIT;
	Hak__Reply *reply;

	resume.uuid.data = client->uuid;
	resume.uuid.len = HAK_UUID_BYTES;
	resume.generation = client->generation;
	resume.holder = client->holder;
	resume.holder_generation = client->holder_generation;
	hakc_conn_deinit(&client->conn);
	count(client, 1);
	if (hakc_conn_renew(&client->conn, client->socket) == 0 &&
	    hakc_conn_send_resume(&client->conn, &resume) == 0 &&
	    hakc_conn_receive(&client->conn, 1000, &reply) == 0)
		hak__reply__free_unpacked(reply, NULL);
}

static void say_hello(struct hostile_client *client, struct hakc_conn *conn, bool is_client)
{
	Hak__Hello hello = HAK__HELLO__INIT;
	Hak__Request request = HAK__REQUEST__INIT;

	hello.protocol_version = HAK_PROTOCOL_VERSION;
	hello.layout_version = HAK_LAYOUT_VERSION;
	hello.layout_fingerprint = hak_layout_fingerprint();
	hello.kind = is_client ? HAK__PEER_KIND__PEER_CLIENT : HAK__PEER_KIND__PEER_TOOL;
	request.body_case = HAK__REQUEST__BODY_HELLO;
	request.hello = &hello;
	(void)hakc_conn_send(conn, &request);
	count(client, 1);
}

/* A packet that is whole, cut, changed, none at all, too long, or with descriptors. */
static void send_any(struct hostile_client *client, struct hakc_conn *conn)
{
	static struct request q;
	static char packet[HAK_WIRE_PACKET_MAX + 64];
	uint64_t r = hostile_pick(client);
	int n;

	make_request(client, &q);
	n = hak_wire_pack_request(&q.message, packet, sizeof(packet));
	n = n < 0 ? 0 : n;
	if (r % 6 == 0)
		n = n > 0 ? (int)((r >> 8) % (unsigned)n) : 0;
	else if (r % 6 == 1 && n > 0)
		packet[(r >> 8) % (unsigned)n] ^= (char)(1 << (r >> 40) % 8);
	else if (r % 6 == 2)
		for (n = 0; n < (int)((r >> 8) % 3000); n++)
			packet[n] = (char)hostile_pick(client);
	else if (r % 64 == 3)
		n = sizeof(packet);
	if (r % 6 == 4)
		(void)hakt_send_fds(conn->fd, packet, (size_t)n, client->fds, 3);
	else
		(void)send(conn->fd, packet, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	count(client, 1);
}

/* A stranger: some packets, perhaps without reading a reply. */
static void babble(struct hostile_client *client)
{
	struct hakc_conn conn = {.fd = -1};
	uint64_t r = hostile_pick(client);
	Hak__Reply *reply;

	if (hakc_conn_init(&conn, client->socket, 1000) < 0)
		return;
	if (r % 4)
		say_hello(client, &conn, r % 4 == 1);
	for (unsigned i = 0; i < (r >> 8) % 8; i++)
		send_any(client, &conn);
	while (r >> 16 & 1 && hakc_conn_receive(&conn, 100, &reply) == 0)
		hak__reply__free_unpacked(reply, NULL);
	hakc_conn_deinit(&conn);
}

/* Many connections at once, some of them clients, which all ask something and go. */
static void flood(struct hostile_client *client)
{
	struct hakc_conn conns[AT_ONCE];
	uint64_t r = hostile_pick(client);
	unsigned n = 1 + (r >> 8) % AT_ONCE;

	for (unsigned i = 0; i < n; i++) {
		conns[i] = (struct hakc_conn){.fd = -1};
		if (hakc_conn_init(&conns[i], client->socket, 1000) == 0 && r >> 32 & 3)
			say_hello(client, &conns[i], i < ATTACHED);
	}
	for (unsigned i = 0; i < n && r >> 34 & 1; i++)
		if (conns[i].fd >= 0)
			send_any(client, &conns[i]);
	if (r >> 35 & 1)
		usleep((useconds_t)((r >> 40) % 20000));
	for (unsigned i = 0; i < n; i++)
		hakc_conn_deinit(&conns[i]);
}

/* The daemon hears of each close of a lease's file. */
static void close_leases(struct hostile_client *client)
{
	uint64_t r = hostile_pick(client), n = r % 4 ? r % 2000 : r % 200000;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", client->fds[2]);
	for (unsigned i = 0; i < n; i++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd >= 0)
			close(fd);
		count(client, 1);
	}
}

void hostile_talk(struct hostile_client *client)
{
	uint64_t r = hostile_pick(client);

	if (!client->is_attached) {
		babble(client);
		return;
	}
	if (!hakc_conn_is_alive(&client->conn))
		come_back(client);
	switch (r % 16) {
	case 0:
		flood(client);
		break;
	case 1:
		close_leases(client);
		break;
	case 2:
		come_back(client);
		break;
	case 3:
	case 4:
	case 5:
		babble(client);
		break;
	default:
		for (unsigned i = 0; i < (r >> 8) % 10; i++)
			ask(client);
	}
}
