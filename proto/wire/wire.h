/* SPDX-License-Identifier: MIT */
#ifndef HAK_WIRE_H
#define HAK_WIRE_H

/*
 * Packing and unpacking of packets: no I/O, no state. The generated structs of
 * hakmem.proto come in by this header and by no other.
 */

#include <stddef.h>
#include <stdint.h>

#include "hakmem.pb-c.h"

#ifndef HAK_PROTOCOL_VERSION /* a test builds a peer that speaks another one */
#define HAK_PROTOCOL_VERSION 4u
#endif
#define HAK_WIRE_PACKET_MAX   65536u /* bytes of a packet */
#define HAK_WIRE_FDS_MAX      3	     /* descriptors a packet may carry */
#define HAK_WIRE_REFILL_MAX   1024u  /* SuperSlabs a refill that isn't huge may ask for */
#define HAK_WIRE_CLIENTS_PAGE 128u   /* clients in one page */
#define HAK_WIRE_CHECK_PAGE   160u   /* anomalies in one page */
#define HAK_WIRE_ROOTS_PAGE   128u   /* roots in one page */

/*
 * Packs a message into buffer. Bytes of the packet; -EMSGSIZE: it needs more
 * than `bytes` or HAK_WIRE_PACKET_MAX.
 */
int hak_wire_pack_request(const Hak__Request *request, void *buffer, size_t bytes);
int hak_wire_pack_reply(const Hak__Reply *reply, void *buffer, size_t bytes);

/*
 * Unpacks a packet, which may be anything. 0; -EBADMSG: no such message, or
 * a request without a body. Release by hak__request__free_unpacked or
 * hak__reply__free_unpacked (message, NULL).
 */
int hak_wire_unpack_request(const void *packet, size_t bytes, Hak__Request **ret_request);
int hak_wire_unpack_reply(const void *packet, size_t bytes, Hak__Reply **ret_reply);

#endif
