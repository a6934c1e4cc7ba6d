// SPDX-License-Identifier: GPL-2.0-or-later
/* wire: packets as they go over the wire, past charon and the kernel's SAs. See wire.h. */
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ikehdr.h"
#include "wire.h"
#include "xfrm.h"

/* Filtered before it hears anything. */
int wire_open(uint8_t len, const struct sock_fprog *filter)
{
	struct sockaddr_ll any = { .sll_family = AF_PACKET, .sll_protocol = htons(len == 4 ? ETH_P_IP : ETH_P_IPV6) };
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, filter, sizeof(*filter)) || bind(fd, (struct sockaddr *)&any, sizeof(any))) {
		close(fd);
		return -1;
	}
	return fd;
}

int wire_hear(uint8_t len)
{
	return wire_open(len, len == 4 ? &ikehdr_filter_ipv4 : &ikehdr_filter_ipv6);
}

void wire_send(const struct ha_addr *to, const uint8_t *packet, size_t len)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	int family = to->len == 4 ? AF_INET : AF_INET6;
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);

	if (fd < 0)
		return;
	memcpy(family == AF_INET ? (void *)&in.sin_addr : (void *)&in6.sin6_addr, to->bytes, to->len);
	if (!xfrm_bypass(fd, family))
		(void)!sendto(fd, packet, len, 0, family == AF_INET ? (struct sockaddr *)&in : (struct sockaddr *)&in6,
			      family == AF_INET ? sizeof(in) : sizeof(in6));
	close(fd);
}
