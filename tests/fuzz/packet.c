/* SPDX-License-Identifier: MIT */
/*
 * Packets: anything is unpacked or refused. What was unpacked packs again, and that
 * says the same: packed and unpacked once more it gives the same bytes.
 */
#include <errno.h>
#include <stdlib.h>

#include "proto/wire/wire.h"
#include "tests/fuzz/input.h"

static uint8_t first[HAK_WIRE_PACKET_MAX], second[HAK_WIRE_PACKET_MAX];

static void unpack_request(const uint8_t *packet, size_t n)
{
	Hak__Request *request = NULL, *again = NULL;
	int r = hak_wire_unpack_request(packet, n, &request), bytes;

	HAKT_CLAIM(r == 0 || (r == -EBADMSG && !request));
	if (r < 0)
		return;
	HAKT_CLAIM(request->body_case != HAK__REQUEST__BODY__NOT_SET);
	bytes = hak_wire_pack_request(request, first, sizeof(first));
	HAKT_CLAIM(bytes > 0 || bytes == -EMSGSIZE); /* what isn't packed, or is long, may grow */
	/* A field 0 of a tag too long is let through as unknown, and not as it is packed then. */
	if (bytes > 0 && hak_wire_unpack_request(first, (size_t)bytes, &again) == 0) {
		HAKT_CLAIM(hak_wire_pack_request(again, second, sizeof(second)) == bytes);
		HAKT_CLAIM(memcmp(first, second, (size_t)bytes) == 0);
		HAKT_CLAIM(hak_wire_pack_request(again, second, (size_t)bytes - 1) == -EMSGSIZE);
		hak__request__free_unpacked(again, NULL);
	}
	hak__request__free_unpacked(request, NULL);
}

static void unpack_reply(const uint8_t *packet, size_t n)
{
	Hak__Reply *reply = NULL, *again = NULL;
	int r = hak_wire_unpack_reply(packet, n, &reply), bytes;

	HAKT_CLAIM(r == 0 || (r == -EBADMSG && !reply));
	if (r < 0)
		return;
	bytes = hak_wire_pack_reply(reply, first, sizeof(first));
	HAKT_CLAIM(bytes >= 0 || bytes == -EMSGSIZE);
	if (bytes >= 0 && hak_wire_unpack_reply(first, (size_t)bytes, &again) == 0) {
		HAKT_CLAIM(hak_wire_pack_reply(again, second, sizeof(second)) == bytes);
		HAKT_CLAIM(memcmp(first, second, (size_t)bytes) == 0);
		hak__reply__free_unpacked(again, NULL);
	}
	hak__reply__free_unpacked(reply, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	unpack_request(bytes, n);
	unpack_reply(bytes, n);
	return 0;
}
