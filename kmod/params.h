/* SPDX-License-Identifier: GPL-2.0 */
/*
 * params.h - the module's parameters.
 */
#ifndef ESPSYNC_PARAMS_H
#define ESPSYNC_PARAMS_H

#include "espsync.h"

int es_params_check(void);
int es_params_apply(struct es_net *es);

#endif /* ESPSYNC_PARAMS_H */
