/* SPDX-License-Identifier: GPL-2.0 */
/*
 * addr.h - one type for "an IPv4 or IPv6 address with a port".
 *
 * Job: hold, compare and convert addresses of nodes and groups.
 * What may not enter: sockets, names, anything that allocates or locks.
 */
#ifndef ESPSYNC_ADDR_H
#define ESPSYNC_ADDR_H

#include <linux/in.h>
#include <linux/in6.h>
#include <linux/socket.h>
#include <linux/string.h>
#include <linux/types.h>
#include <net/ipv6.h>

/**
 * struct es_addr - address and port of one end
 * @family: AF_INET, AF_INET6, or AF_UNSPEC for none
 * @port: UDP port; 0 where there is none
 * @v4: the address if @family is AF_INET
 * @v6: the address if @family is AF_INET6
 * @scope: interface index of an IPv6 link-local address, else 0
 */
struct es_addr {
	u16 family;
	__be16 port;
	union {
		__be32 v4;
		struct in6_addr v6;
	};
	u32 scope;
};

/**
 * es_addr_len() - length of the raw address
 * @a: the address
 *
 * Return: 4, 16, or 0 if it is none.
 */
static inline unsigned int es_addr_len(const struct es_addr *a)
{
	switch (a->family) {
	case AF_INET:
		return sizeof(a->v4);
	case AF_INET6:
		return sizeof(a->v6);
	default:
		return 0;
	}
}

/**
 * es_addr_set() - make an address from its raw bytes
 * @a: what to fill; port and scope become 0
 * @raw: the bytes, network order
 * @len: 4 or 16
 *
 * Return: 0, or -EINVAL if no address has that length; then @a is none.
 */
static inline int es_addr_set(struct es_addr *a, const void *raw, unsigned int len)
{
	memset(a, 0, sizeof(*a));
	if (len == sizeof(a->v4))
		a->family = AF_INET;
	else if (len == sizeof(a->v6))
		a->family = AF_INET6;
	else
		return -EINVAL;
	memcpy(&a->v6, raw, len);	/* both start at the same place */
	return 0;
}

/**
 * es_addr_is_any() - is it the address that stands for all of its family?
 * @a: AF_INET or AF_INET6
 *
 * Return: true if it is
 */
static inline bool es_addr_is_any(const struct es_addr *a)
{
	return a->family == AF_INET ? !a->v4 : ipv6_addr_any(&a->v6);
}

/**
 * es_addr_equal_ip() - do two addresses name the same host?
 * @a: one
 * @b: the other
 *
 * Ports do not matter. The scope does where both have one.
 *
 * Return: true if they do
 */
static inline bool es_addr_equal_ip(const struct es_addr *a, const struct es_addr *b)
{
	if (a->family != b->family)
		return false;
	if (a->family == AF_INET)
		return a->v4 == b->v4;
	return a->family == AF_INET6 && ipv6_addr_equal(&a->v6, &b->v6) &&
	       (!a->scope || !b->scope || a->scope == b->scope);
}

/**
 * es_addr_from_sockaddr() - take an address over from a socket address
 * @a: what to fill
 * @ss: AF_INET or AF_INET6; of another family @a is none
 */
static inline void es_addr_from_sockaddr(struct es_addr *a, const struct sockaddr_storage *ss)
{
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)ss;
	const struct sockaddr_in *sin = (const struct sockaddr_in *)ss;

	memset(a, 0, sizeof(*a));
	if (ss->ss_family == AF_INET) {
		a->family = AF_INET;
		a->port = sin->sin_port;
		a->v4 = sin->sin_addr.s_addr;
	} else if (ss->ss_family == AF_INET6) {
		a->family = AF_INET6;
		a->port = sin6->sin6_port;
		a->v6 = sin6->sin6_addr;
		a->scope = sin6->sin6_scope_id;
	}
}

/**
 * es_addr_to_sockaddr() - what socket calls want
 * @a: the address
 * @ss: what to fill
 *
 * Return: length of the socket address, 0 if @a is none.
 */
static inline int es_addr_to_sockaddr(const struct es_addr *a, struct sockaddr_storage *ss)
{
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ss;
	struct sockaddr_in *sin = (struct sockaddr_in *)ss;

	memset(ss, 0, sizeof(*ss));
	ss->ss_family = a->family;
	switch (a->family) {
	case AF_INET:
		sin->sin_port = a->port;
		sin->sin_addr.s_addr = a->v4;
		return sizeof(*sin);
	case AF_INET6:
		sin6->sin6_port = a->port;
		sin6->sin6_addr = a->v6;
		sin6->sin6_scope_id = a->scope;
		return sizeof(*sin6);
	default:
		return 0;
	}
}

#endif /* ESPSYNC_ADDR_H */
