/* SPDX-License-Identifier: MIT */
/* Packing and unpacking, with the limits that both sides keep. */
#include "proto/wire/wire.h"

#include <errno.h>

int hak_wire_pack_request(const Hak__Request *request, void *buffer, size_t bytes)
{
	size_t needed = hak__request__get_packed_size(request);

	if (needed > bytes || needed > HAK_WIRE_PACKET_MAX)
		return -EMSGSIZE;
	return (int)hak__request__pack(request, buffer);
}

int hak_wire_pack_reply(const Hak__Reply *reply, void *buffer, size_t bytes)
{
	size_t needed = hak__reply__get_packed_size(reply);

	if (needed > bytes || needed > HAK_WIRE_PACKET_MAX)
		return -EMSGSIZE;
	return (int)hak__reply__pack(reply, buffer);
}

int hak_wire_unpack_request(const void *packet, size_t bytes, Hak__Request **ret_request)
{
	Hak__Request *request;

	if (bytes > HAK_WIRE_PACKET_MAX)
		return -EBADMSG;
	request = hak__request__unpack(NULL, bytes, packet);
	if (!request)
		return -EBADMSG;
	if (request->body_case == HAK__REQUEST__BODY__NOT_SET) {
		hak__request__free_unpacked(request, NULL);
		return -EBADMSG;
	}
	*ret_request = request;
	return 0;
}

int hak_wire_unpack_reply(const void *packet, size_t bytes, Hak__Reply **ret_reply)
{
	Hak__Reply *reply;

	if (bytes > HAK_WIRE_PACKET_MAX)
		return -EBADMSG;
	reply = hak__reply__unpack(NULL, bytes, packet);
	if (!reply)
		return -EBADMSG;
	*ret_reply = reply;
	return 0;
}
