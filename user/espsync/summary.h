/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * summary.h - the one line that says it all.
 */
#ifndef ESPSYNC_SUMMARY_H
#define ESPSYNC_SUMMARY_H

#include <jansson.h>

/**
 * summary() - a node in one line
 * @channel: the channel, or JSON null
 * @groups: array of groups
 * @peers: array of peers
 *
 * Return: a JSON string such as
 * "group 0 active epoch 4 | peer 2 up 0.3 ms | 132 of 132 SAs protected | last takeover 12:03:11".
 */
json_t *summary(const json_t *channel, const json_t *groups, const json_t *peers);

#endif /* ESPSYNC_SUMMARY_H */
