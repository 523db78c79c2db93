/* SPDX-License-Identifier: MIT */
/*
 * Packing and unpacking. Messages are filled and compared by their
 * descriptors, so a field that is added to hakmem.proto is tested too.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/shm/holders.h"
#include "proto/wire/wire.h"
#include "tests/support/random.h"

enum { REPEATS = 5 };

static uint8_t packet[HAK_WIRE_PACKET_MAX + 1];

static void *allocate(size_t bytes)
{
	void *memory = calloc(1, bytes);

	assert_non_null(memory);
	return memory;
}

static size_t size_of(const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return 8;
	default:
		return 4;
	}
}

static ProtobufCMessage *random_message(const ProtobufCMessageDescriptor *type, int body,
					uint64_t *seed);

static void fill_value(const ProtobufCFieldDescriptor *field, void *value, uint64_t *seed)
{
	uint64_t r = hakt_random(seed);
	ProtobufCBinaryData data = {0};
	char *text;

	switch (field->type) {
	case PROTOBUF_C_TYPE_BYTES:
		data.len = 1 + r % 40;
		data.data = allocate(data.len);
		memset(data.data, (int)(r >> 8), data.len);
		memcpy(value, &data, sizeof(data));
		return;
	case PROTOBUF_C_TYPE_STRING:
		text = allocate(32);
		snprintf(text, 32, "%llx", (unsigned long long)r);
		memcpy(value, &text, sizeof(text));
		return;
	case PROTOBUF_C_TYPE_MESSAGE:
		*(ProtobufCMessage **)value = random_message(field->descriptor, 0, seed);
		return;
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)value = r & 1;
		return;
	default: /* values of all lengths */
		r >>= hakt_random(seed) % 64;
		memcpy(value, &r, size_of(field));
	}
}

/* A message with all its fields set, of a oneof the one with the number `body`. */
static ProtobufCMessage *random_message(const ProtobufCMessageDescriptor *type, int body,
					uint64_t *seed)
{
	ProtobufCMessage *message = allocate(type->sizeof_message);

	type->message_init(message);
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		char *quantifier = (char *)message + field->quantifier_offset;
		char *value = (char *)message + field->offset;

		if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
			if (field->id != (uint32_t)body)
				continue;
			memcpy(quantifier, &body, sizeof(body));
		}
		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			char *array = allocate(REPEATS * size_of(field));

			memcpy(quantifier, &(size_t){REPEATS}, sizeof(size_t));
			for (unsigned k = 0; k < REPEATS; k++)
				fill_value(field, array + k * size_of(field), seed);
			memcpy(value, &array, sizeof(array));
		} else {
			fill_value(field, value, seed);
		}
	}
	return message;
}

static void check_equal(const ProtobufCMessage *a, const ProtobufCMessage *b);

static void check_equal_values(const ProtobufCFieldDescriptor *field, const char *a, const char *b)
{
	const ProtobufCBinaryData *data = (const void *)a, *other = (const void *)b;

	switch (field->type) {
	case PROTOBUF_C_TYPE_BYTES:
		assert_int_equal(data->len, other->len);
		assert_memory_equal(data->data, other->data, data->len);
		return;
	case PROTOBUF_C_TYPE_STRING:
		assert_string_equal(*(char *const *)a, *(char *const *)b);
		return;
	case PROTOBUF_C_TYPE_MESSAGE:
		check_equal(*(ProtobufCMessage *const *)a, *(ProtobufCMessage *const *)b);
		return;
	default:
		assert_memory_equal(a, b, size_of(field));
	}
}

static void check_equal(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	assert_ptr_equal(a->descriptor, b->descriptor);
	for (unsigned i = 0; i < a->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &a->descriptor->fields[i];
		const char *left = (const char *)a + field->offset;
		const char *right = (const char *)b + field->offset;

		if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
			uint32_t id;

			memcpy(&id, (const char *)a + field->quantifier_offset, sizeof(id));
			assert_memory_equal(&id, (const char *)b + field->quantifier_offset,
					    sizeof(id));
			if (id != field->id)
				continue;
		}
		if (field->label != PROTOBUF_C_LABEL_REPEATED) {
			check_equal_values(field, left, right);
			continue;
		}
		assert_memory_equal((const char *)b + field->quantifier_offset, &(size_t){REPEATS},
				    sizeof(size_t));
		for (unsigned k = 0; k < REPEATS; k++)
			check_equal_values(field, *(char *const *)left + k * size_of(field),
					   *(char *const *)right + k * size_of(field));
	}
}

static Hak__Request *random_request(int body, uint64_t *seed)
{
	return (Hak__Request *)random_message(&hak__request__descriptor, body, seed);
}

static Hak__Reply *random_reply(int body, uint64_t *seed)
{
	return (Hak__Reply *)random_message(&hak__reply__descriptor, body, seed);
}

/* The numbers of a message's bodies. How many there are. */
static unsigned bodies_of(const ProtobufCMessageDescriptor *type, int *ret_bodies, unsigned max)
{
	unsigned n = 0;

	for (unsigned i = 0; i < type->n_fields; i++) {
		if (!(type->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
			continue;
		assert_true(n < max);
		ret_bodies[n++] = (int)type->fields[i].id;
	}
	return n;
}

static void test_every_request_comes_back_as_it_was(void **state)
{
	uint64_t seed = hakt_random_seed();
	int bodies[64];
	unsigned n_bodies = bodies_of(&hak__request__descriptor, bodies, 64);

	(void)state;
	assert_true(n_bodies >= 19);
	for (unsigned i = 0; i < 64 * n_bodies; i++) {
		int body = bodies[i % n_bodies];
		Hak__Request *request = random_request(body, &seed), *got = NULL;
		int n = hak_wire_pack_request(request, packet, sizeof(packet));

		assert_true(n > 0);
		assert_int_equal(hak_wire_unpack_request(packet, (size_t)n, &got), 0);
		assert_int_equal(got->body_case, body);
		check_equal(&request->base, &got->base);
		hak__request__free_unpacked(request, NULL);
		hak__request__free_unpacked(got, NULL);
	}
}

static void test_every_reply_comes_back_as_it_was(void **state)
{
	uint64_t seed = hakt_random_seed();
	int bodies[64] = {0}; /* the first: a reply without one */
	unsigned n_bodies = 1 + bodies_of(&hak__reply__descriptor, bodies + 1, 63);

	(void)state;
	assert_true(n_bodies >= 11);
	for (unsigned i = 0; i < 64 * n_bodies; i++) {
		int body = bodies[i % n_bodies];
		Hak__Reply *reply = random_reply(body, &seed), *got = NULL;
		int n = hak_wire_pack_reply(reply, packet, sizeof(packet));

		assert_true(n > 0);
		assert_int_equal(hak_wire_unpack_reply(packet, (size_t)n, &got), 0);
		assert_int_equal(got->body_case, body);
		check_equal(&reply->base, &got->base);
		hak__reply__free_unpacked(reply, NULL);
		hak__reply__free_unpacked(got, NULL);
	}
}

static void test_a_request_without_a_body_is_EBADMSG(void **state)
{
	Hak__Request request = HAK__REQUEST__INIT, *got = NULL;
	int n;

	(void)state;
	request.id = 77;
	n = hak_wire_pack_request(&request, packet, sizeof(packet));
	assert_true(n > 0);
	assert_int_equal(hak_wire_unpack_request(packet, (size_t)n, &got), -EBADMSG);
	assert_int_equal(hak_wire_unpack_request(packet, 0, &got), -EBADMSG);
	assert_null(got);
}

static void test_a_buffer_that_is_too_small_is_EMSGSIZE(void **state)
{
	uint64_t seed = hakt_random_seed();
	Hak__Request *request = random_request(HAK__REQUEST__BODY_GIVEBACK, &seed);
	Hak__Reply *reply = random_reply(HAK__REPLY__BODY_STATUS, &seed);
	int asked = hak_wire_pack_request(request, packet, sizeof(packet));
	int answered = hak_wire_pack_reply(reply, packet, sizeof(packet));

	(void)state;
	memset(packet, 0x5a, sizeof(packet));
	for (int room = 0; room < asked; room++)
		assert_int_equal(hak_wire_pack_request(request, packet, (size_t)room), -EMSGSIZE);
	for (int room = 0; room < answered; room++)
		assert_int_equal(hak_wire_pack_reply(reply, packet, (size_t)room), -EMSGSIZE);
	for (unsigned i = 0; i < sizeof(packet); i++)
		assert_int_equal(packet[i], 0x5a);
	assert_int_equal(hak_wire_pack_request(request, packet, (size_t)asked), asked);
	assert_int_equal(packet[asked], 0x5a);
	assert_int_equal(hak_wire_pack_reply(reply, packet, (size_t)answered), answered);
	hak__request__free_unpacked(request, NULL);
	hak__reply__free_unpacked(reply, NULL);
}

static void test_more_than_a_packet_holds_is_EMSGSIZE(void **state)
{
	enum { ROOM = 4 * HAK_WIRE_PACKET_MAX, N = 20000 };
	uint8_t *room = allocate(ROOM);
	uint32_t *superslabs = allocate(N * sizeof(*superslabs));
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Giveback giveback = HAK__GIVEBACK__INIT;
	Hak__Reply reply = HAK__REPLY__INIT;
	char *reason = allocate(HAK_WIRE_PACKET_MAX + 1);

	(void)state;
	memset(superslabs, 0xff, N * sizeof(*superslabs));
	giveback.superslabs = superslabs;
	giveback.n_superslabs = N;
	request.body_case = HAK__REQUEST__BODY_GIVEBACK;
	request.giveback = &giveback;
	assert_int_equal(hak_wire_pack_request(&request, room, ROOM), -EMSGSIZE);
	memset(reason, 'x', HAK_WIRE_PACKET_MAX);
	reply.reason = reason;
	assert_int_equal(hak_wire_pack_reply(&reply, room, ROOM), -EMSGSIZE);
	reason[HAK_WIRE_PACKET_MAX - 4] = 0; /* its tag and length take 4 bytes */
	assert_int_equal(hak_wire_pack_reply(&reply, room, ROOM), HAK_WIRE_PACKET_MAX);
	free(room);
	free(superslabs);
	free(reason);
}

static void test_a_packet_that_is_too_long_is_EBADMSG(void **state)
{
	Hak__Request request = HAK__REQUEST__INIT, *got_request = NULL;
	Hak__Hello hello = HAK__HELLO__INIT;
	Hak__Reply reply = HAK__REPLY__INIT, *got_reply = NULL;
	char *text = allocate(HAK_WIRE_PACKET_MAX + 1);

	(void)state;
	memset(text, 'x', HAK_WIRE_PACKET_MAX - 3);
	reply.reason = text;
	assert_int_equal(hak__reply__get_packed_size(&reply), HAK_WIRE_PACKET_MAX + 1);
	hak__reply__pack(&reply, packet);
	assert_int_equal(hak_wire_unpack_reply(packet, HAK_WIRE_PACKET_MAX + 1, &got_reply),
			 -EBADMSG);
	text[HAK_WIRE_PACKET_MAX - 7] = 0;
	hello.name = text;
	request.body_case = HAK__REQUEST__BODY_HELLO;
	request.hello = &hello;
	assert_int_equal(hak__request__get_packed_size(&request), HAK_WIRE_PACKET_MAX + 1);
	hak__request__pack(&request, packet);
	assert_int_equal(hak_wire_unpack_request(packet, HAK_WIRE_PACKET_MAX + 1, &got_request),
			 -EBADMSG);
	assert_null(got_reply);
	assert_null(got_request);
	free(text);
}

static void test_the_largest_grant_fits_a_packet(void **state)
{
	uint32_t superslabs[HAK_WIRE_REFILL_MAX];
	Hak__Reply reply = HAK__REPLY__INIT;
	Hak__Grant grant = HAK__GRANT__INIT;

	(void)state;
	memset(superslabs, 0xff, sizeof(superslabs));
	grant.superslabs = superslabs;
	grant.n_superslabs = HAK_WIRE_REFILL_MAX;
	reply.id = UINT64_MAX;
	reply.body_case = HAK__REPLY__BODY_GRANT;
	reply.grant = &grant;
	assert_true(hak_wire_pack_reply(&reply, packet, sizeof(packet)) > 0);
}

static void test_a_full_page_of_clients_fits_a_packet(void **state)
{
	Hak__Client one = HAK__CLIENT__INIT, *all[HAK_WIRE_CLIENTS_PAGE];
	Hak__Reply reply = HAK__REPLY__INIT;
	Hak__Clients clients = HAK__CLIENTS__INIT;
	char name[] = "a name of 15 by", pool[] = "a pool's name of thirty-one byt",
	     text[] = "disconnected";

	(void)state;
	one.holder = HAK_HOLDER_COUNT;
	one.generation = one.uid = UINT32_MAX;
	one.pid = -1;
	one.name = name;
	one.pool = pool;
	one.state = text;
	one.granted_superslabs = one.live_blocks = one.allocated_bytes = UINT64_MAX;
	one.attached_at = -1;
	for (unsigned i = 0; i < HAK_WIRE_CLIENTS_PAGE; i++)
		all[i] = &one;
	clients.clients = all;
	clients.n_clients = HAK_WIRE_CLIENTS_PAGE;
	reply.body_case = HAK__REPLY__BODY_CLIENTS;
	reply.clients = &clients;
	assert_true(hak_wire_pack_reply(&reply, packet, sizeof(packet)) > 0);
}

static void test_a_full_page_of_an_audit_fits_a_packet(void **state)
{
	Hak__Anomaly one = HAK__ANOMALY__INIT, *all[HAK_WIRE_CHECK_PAGE];
	Hak__Check check = HAK__CHECK__INIT;
	Hak__Reply reply = HAK__REPLY__INIT;
	char text[160], kind[] = "generation";

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	one.kind = kind;
	one.text = text;
	one.superslab = UINT32_MAX;
	one.slot = -1;
	one.offset = UINT64_MAX;
	one.owner = UINT32_MAX;
	for (unsigned i = 0; i < HAK_WIRE_CHECK_PAGE; i++)
		all[i] = &one;
	check.anomalies = all;
	check.n_anomalies = HAK_WIRE_CHECK_PAGE;
	check.superslabs = check.slabs = check.spans = check.stale_hints = UINT64_MAX;
	check.live_blocks = check.live_bytes = UINT64_MAX;
	check.lost_blocks = check.lost_bytes = check.more_anomalies = UINT64_MAX;
	check.next_superslab = UINT32_MAX;
	check.orphans = UINT64_MAX;
	reply.id = UINT64_MAX;
	reply.body_case = HAK__REPLY__BODY_CHECK;
	reply.check = &check;
	assert_true(hak_wire_pack_reply(&reply, packet, sizeof(packet)) > 0);
}

static void test_all_owners_of_a_page_of_an_audit_fit_a_packet(void **state)
{
	static uint32_t owners[HAK_HOLDER_COUNT];
	static uint64_t blocks[HAK_HOLDER_COUNT], bytes[HAK_HOLDER_COUNT];
	Hak__Check check = HAK__CHECK__INIT;
	Hak__Reply reply = HAK__REPLY__INIT;

	(void)state;
	for (unsigned i = 0; i < HAK_HOLDER_COUNT; i++) {
		owners[i] = i;
		/* The most that a page has: 16384 SuperSlabs of 2 MiB, of blocks of 16 bytes. */
		blocks[i] = UINT64_C(1) << 31;
		bytes[i] = UINT64_C(1) << 35;
	}
	check.n_owners = check.n_owner_blocks = check.n_owner_bytes = HAK_HOLDER_COUNT;
	check.owners = owners;
	check.owner_blocks = blocks;
	check.owner_bytes = bytes;
	check.superslabs = check.slabs = check.spans = check.stale_hints = UINT64_MAX;
	check.live_blocks = check.live_bytes = check.orphans = UINT64_MAX;
	check.lost_blocks = check.lost_bytes = check.more_anomalies = UINT64_MAX;
	check.next_superslab = UINT32_MAX;
	reply.id = UINT64_MAX;
	reply.body_case = HAK__REPLY__BODY_CHECK;
	reply.check = &check;
	assert_true(hak_wire_pack_reply(&reply, packet, sizeof(packet)) > 0);
}

static void test_a_full_page_of_roots_fits_a_packet(void **state)
{
	static Hak__Root page[HAK_WIRE_ROOTS_PAGE];
	Hak__Root *roots[HAK_WIRE_ROOTS_PAGE];
	Hak__Roots list = HAK__ROOTS__INIT;
	Hak__Reply reply = HAK__REPLY__INIT;
	char name[64];

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	for (unsigned i = 0; i < HAK_WIRE_ROOTS_PAGE; i++) {
		hak__root__init(&page[i]);
		page[i].name = name;
		page[i].ref = page[i].offset = page[i].bytes = UINT64_MAX;
		page[i].blocks = page[i].holder = page[i].generation = UINT32_MAX;
		page[i].pid = -1;
		page[i].published_at = -1;
		roots[i] = &page[i];
	}
	list.n_roots = HAK_WIRE_ROOTS_PAGE;
	list.roots = roots;
	list.next_entry = UINT32_MAX;
	reply.id = UINT64_MAX;
	reply.body_case = HAK__REPLY__BODY_ROOTS;
	reply.roots = &list;
	assert_true(hak_wire_pack_reply(&reply, packet, sizeof(packet)) > 0);
}

/* As both a request and a reply: refused, or a message that can be packed again. */
static void check_anything(const uint8_t *bytes, size_t n)
{
	Hak__Request *request = NULL;
	Hak__Reply *reply = NULL;
	static uint8_t again[2 * HAK_WIRE_PACKET_MAX];
	int r = hak_wire_unpack_request(bytes, n, &request);

	if (r == 0) {
		assert_int_not_equal(request->body_case, HAK__REQUEST__BODY__NOT_SET);
		assert_true(hak_wire_pack_request(request, again, sizeof(again)) > 0);
		hak__request__free_unpacked(request, NULL);
	} else {
		assert_int_equal(r, -EBADMSG);
		assert_null(request);
	}
	r = hak_wire_unpack_reply(bytes, n, &reply);
	if (r == 0) {
		assert_true(hak_wire_pack_reply(reply, again, sizeof(again)) >= 0);
		hak__reply__free_unpacked(reply, NULL);
	} else {
		assert_int_equal(r, -EBADMSG);
		assert_null(reply);
	}
}

/* In memory of its exact size, so that a read behind it is noticed. */
static void check_copy(const uint8_t *bytes, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	check_anything(copy, n);
	free(copy);
}

static int pack_any(unsigned i, uint64_t *seed)
{
	int n;

	if (i % 19 < 11) {
		Hak__Request *request = random_request(2 + (int)(i % 19), seed);

		n = hak_wire_pack_request(request, packet, sizeof(packet));
		hak__request__free_unpacked(request, NULL);
	} else {
		Hak__Reply *reply = random_reply(4 + (int)(i % 19 - 11), seed);

		n = hak_wire_pack_reply(reply, packet, sizeof(packet));
		hak__reply__free_unpacked(reply, NULL);
	}
	assert_true(n > 0);
	return n;
}

static void test_packets_cut_off_anywhere_are_survived(void **state)
{
	uint64_t seed = hakt_random_seed();

	(void)state;
	for (unsigned i = 0; i < 38; i++) {
		int n = pack_any(i, &seed);

		for (int length = 0; length <= n; length++)
			check_copy(packet, (size_t)length);
	}
}

static void test_of_two_bodies_the_last_counts(void **state)
{
	uint64_t seed = hakt_random_seed();

	(void)state;
	for (unsigned i = 0; i < 49; i++) {
		uint8_t both[8192];
		Hak__Request *request = random_request(2 + (int)(i / 7), &seed), *got = NULL;
		Hak__Request *last = random_request(2 + (int)(i % 7), &seed);
		int n = hak_wire_pack_request(request, both, 4096);

		last->id |= 1; /* a 0 is not sent */
		n += hak_wire_pack_request(last, both + n, 4096);
		assert_int_equal(hak_wire_unpack_request(both, (size_t)n, &got), 0);
		assert_int_equal(got->body_case, last->body_case);
		assert_int_equal(got->id, last->id);
		hak__request__free_unpacked(request, NULL);
		hak__request__free_unpacked(last, NULL);
		hak__request__free_unpacked(got, NULL);
	}
}

static void test_random_bytes_are_survived(void **state)
{
	uint64_t seed = hakt_random_seed();

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		size_t n = hakt_random(&seed) % (i % 100 ? 64 : 4096);

		for (size_t k = 0; k < n; k++)
			packet[k] = (uint8_t)hakt_random(&seed);
		check_copy(packet, n);
	}
}

static void test_good_packets_with_wrong_bytes_are_survived(void **state)
{
	uint64_t seed = hakt_random_seed();

	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		int n = pack_any(i, &seed);

		for (uint64_t changes = 1 + hakt_random(&seed) % 8; changes > 0; changes--)
			packet[hakt_random(&seed) % (unsigned)n] = (uint8_t)hakt_random(&seed);
		check_copy(packet, (size_t)n);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_every_request_comes_back_as_it_was),
	cmocka_unit_test(test_every_reply_comes_back_as_it_was),
	cmocka_unit_test(test_a_request_without_a_body_is_EBADMSG),
	cmocka_unit_test(test_a_buffer_that_is_too_small_is_EMSGSIZE),
	cmocka_unit_test(test_more_than_a_packet_holds_is_EMSGSIZE),
	cmocka_unit_test(test_a_packet_that_is_too_long_is_EBADMSG),
	cmocka_unit_test(test_the_largest_grant_fits_a_packet),
	cmocka_unit_test(test_a_full_page_of_clients_fits_a_packet),
	cmocka_unit_test(test_a_full_page_of_an_audit_fits_a_packet),
	cmocka_unit_test(test_all_owners_of_a_page_of_an_audit_fit_a_packet),
	cmocka_unit_test(test_a_full_page_of_roots_fits_a_packet),
	cmocka_unit_test(test_packets_cut_off_anywhere_are_survived),
	cmocka_unit_test(test_of_two_bodies_the_last_counts),
	cmocka_unit_test(test_random_bytes_are_survived),
	cmocka_unit_test(test_good_packets_with_wrong_bytes_are_survived),
};

HAKT_MAIN(tests, NULL, NULL)
