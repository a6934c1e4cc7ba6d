/* SPDX-License-Identifier: GPL-2.0 */
/*
 * aevent.h - makes xfrm raise NEWAE, and keeps it from anybody else.
 */
#ifndef ESPSYNC_AEVENT_H
#define ESPSYNC_AEVENT_H

#include "espsync.h"

int es_aevent_get(struct es_net *es);
void es_aevent_put(struct es_net *es);
void es_aevent_net_init(struct es_net *es);

#endif /* ESPSYNC_AEVENT_H */
