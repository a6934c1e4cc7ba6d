// SPDX-License-Identifier: GPL-2.0
/*
 * trace.c - the bodies of the tracepoints.
 *
 * Job: the one file that makes them.
 * What may not enter: anything else.
 */
#define CREATE_TRACE_POINTS
#include "trace.h"
