/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * knl.h - requests to the espsync genetlink family and their answers.
 */
#ifndef ESPSYNC_KNL_H
#define ESPSYNC_KNL_H

#include <jansson.h>
#include <netlink/netlink.h>

#include "attr.h"
#include "cli.h"

struct addr;

/**
 * struct knl - a socket with the family resolved, and what the kernel said last
 * @what: the command, for refusals
 * @sk: the socket
 * @family: the family's number
 * @err: 0 or a negative errno of the last request
 * @why: the kernel's own words about it (extack), or empty; also a warning on success
 * @done: the answer is complete
 * @on_reply: called for every message of the answer
 * @arg: its argument
 */
struct knl {
	const char *what;
	struct nl_sock *sk;
	int family;
	int err;
	char why[256];
	bool done;
	void (*on_reply)(struct nlattr *top, int len, void *arg);
	void *arg;
};

/**
 * knl_open() - enter the namespace, open a socket, find the family
 * @nl: to be filled
 * @cli: which namespace
 * @what: the command, for refusals
 *
 * Return: 0, or an exit code after having said why.
 */
int knl_open(struct knl *nl, const struct cli *cli, const char *what);

/**
 * knl_close() - end of it
 * @nl: opened, or not
 */
void knl_close(struct knl *nl);

/**
 * knl_request() - begin a request
 * @nl: opened
 * @cmd: enum espsync_cmd
 *
 * Return: the message; knl_send_and_wait() and knl_array() free it.
 */
struct nl_msg *knl_request(struct knl *nl, uint8_t cmd);

/**
 * knl_nest() - begin the nest of the object that a request is about
 * @msg: the request
 * @type: enum espsync_attr
 *
 * Return: to be given to knl_nest_end().
 */
struct nlattr *knl_nest(struct nl_msg *msg, int type);

/**
 * knl_nest_end() - end it, empty or not: an empty set of addresses says something
 * @msg: the request
 * @nest: from knl_nest()
 */
void knl_nest_end(struct nl_msg *msg, struct nlattr *nest);

/**
 * knl_send_and_wait() - send a request, wait for the end of its answer
 * @nl: opened; @nl->err and @nl->why tell afterwards
 * @msg: the request; wiped and freed
 * @object: what the answer carries, or NULL
 * @out: the answer's (last) object, or NULL if there was none
 *
 * Return: 0 or a negative errno; knl_refused() makes a sentence of it.
 */
int knl_send_and_wait(struct knl *nl, struct nl_msg *msg, const struct object *object, json_t **out);

/**
 * knl_array() - dump
 * @nl: opened
 * @msg: the request; wiped and freed
 * @object: what each message carries
 * @out: a JSON array
 *
 * A dump that changed under its reader is asked for again.
 *
 * Return: 0 or a negative errno.
 */
int knl_array(struct knl *nl, struct nl_msg *msg, const struct object *object, json_t **out);

/**
 * knl_refused() - a sentence for what the kernel refused
 * @nl: after a request that failed
 * @name: the object that was meant, or NULL
 *
 * Return: the exit code: NO for what was not found, else REFUSED.
 */
int knl_refused(const struct knl *nl, const char *name);

/**
 * typedef knl_fill_t - puts what is to be said of an object into its nest
 * @msg: the request
 * @arg: the object
 */
typedef void knl_fill_t(struct nl_msg *msg, const void *arg);

/**
 * knl_order() - one request about one object, from the socket's opening to its end
 * @cli: which namespace
 * @what: the command, for refusals
 * @cmd: enum espsync_cmd
 * @type: of the object's nest, enum espsync_attr
 * @name: the object, for refusals
 * @fill: puts into the nest
 * @arg: its argument
 *
 * Return: an exit code, after having said why if it is not 0.
 */
int knl_order(const struct cli *cli, const char *what, uint8_t cmd, int type, const char *name, knl_fill_t *fill, const void *arg);

/**
 * knl_put() - add an attribute; a request that does not fit into its message ends the program
 * @msg: the request
 * @type: the attribute
 * @data: its value
 * @len: its length
 */
void knl_put(struct nl_msg *msg, int type, const void *data, size_t len);

void knl_put_u8(struct nl_msg *msg, int type, uint8_t value);
void knl_put_u32(struct nl_msg *msg, int type, uint32_t value);
void knl_put_u64(struct nl_msg *msg, int type, uint64_t value);
void knl_put_be16(struct nl_msg *msg, int type, uint16_t value);
void knl_put_be32(struct nl_msg *msg, int type, uint32_t value);
void knl_put_addr(struct nl_msg *msg, int type, const struct addr *addr);

#endif /* ESPSYNC_KNL_H */
