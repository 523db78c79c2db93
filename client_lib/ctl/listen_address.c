/* SPDX-License-Identifier: MIT */
/* Addresses are numbers, so that where one listens hangs on nobody's answer. */
#include "client_lib/ctl/listen_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int parse_port(const char *text, in_port_t *ret_port)
{
	size_t n = strlen(text);
	unsigned long port = strtoul(text, NULL, 10);

	if (n == 0 || n > 5 || strspn(text, "0123456789") != n || port > UINT16_MAX)
		return -EINVAL;
	*ret_port = htons((uint16_t)port);
	return 0;
}

int hakc_listen_address_parse(const char *text, struct hakc_listen_address *ret_address)
{
	struct hakc_listen_address address = {.n = 0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&address.address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address.address;
	const char *colon = strrchr(text, ':');
	bool has_brackets = *text == '[';
	char host[INET6_ADDRSTRLEN];
	in_port_t port;
	size_t n;

	if (!colon || parse_port(colon + 1, &port) < 0)
		return -EINVAL;
	n = (size_t)(colon - text);
	if (has_brackets) {
		if (n < 2 || colon[-1] != ']')
			return -EINVAL;
		text++;
		n -= 2;
	}
	if (n >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = 0;
	if (has_brackets) {
		*v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
		address.n = sizeof(*v6);
		if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
			return -EINVAL;
	} else {
		*v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
		address.n = sizeof(*v4);
		if (inet_pton(AF_INET, host, &v4->sin_addr) != 1)
			return -EINVAL;
	}
	*ret_address = address;
	return 0;
}

bool hakc_listen_address_is_loopback(const struct hakc_listen_address *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->address;

	if (address->address.ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		return v6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET;
	return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

int hakc_listen_address_open(struct hakc_listen_address *address)
{
	int family = address->address.ss_family, on = 1, r;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	/* Connections of an earlier server that linger hold nobody up. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
	    bind(fd, (struct sockaddr *)&address->address, address->n) < 0 ||
	    listen(fd, SOMAXCONN) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address->address, &address->n) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

const char *hakc_listen_address_text(const struct hakc_listen_address *address,
				     char text[HAKC_LISTEN_ADDRESS_TEXT])
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->address;
	char host[INET6_ADDRSTRLEN] = "";

	if (address->address.ss_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(text, HAKC_LISTEN_ADDRESS_TEXT, "%s:%u", host, ntohs(v4->sin_port));
	} else {
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(text, HAKC_LISTEN_ADDRESS_TEXT, "[%s]:%u", host, ntohs(v6->sin6_port));
	}
	return text;
}
