/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_LISTEN_ADDRESS_H
#define HAKC_CTL_LISTEN_ADDRESS_H

/* Where a server of hakmemctl listens: 127.0.0.1:9464, [::1]:9464. */

#include <stdbool.h>
#include <sys/socket.h>

#define HAKC_LISTEN_ADDRESS_TEXT 80

struct hakc_listen_address {
	struct sockaddr_storage address;
	socklen_t n;
};

/* 0, or -EINVAL: it is no address, or no port. Names are not looked up. */
int hakc_listen_address_parse(const char *text, struct hakc_listen_address *ret_address);

/* Can nobody but this machine get there? */
bool hakc_listen_address_is_loopback(const struct hakc_listen_address *address);

/* A socket that listens there, or a negative errno; of port 0, the address becomes the kernel's choice. */
int hakc_listen_address_open(struct hakc_listen_address *address);

/* As it would be parsed. */
const char *hakc_listen_address_text(const struct hakc_listen_address *address,
				     char text[HAKC_LISTEN_ADDRESS_TEXT]);

#endif
