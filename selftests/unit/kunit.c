// SPDX-License-Identifier: GPL-2.0
/*
 * kunit.c - what the unit tests need to be a module: the pure sources, and a seed.
 *
 * Job: compile kmod's pure sources once more, into the module that tests them.
 * No test stands here.
 */
#include <linux/module.h>

#include "../../kmod/keys.c"
#include "../../kmod/lease.c"
#include "../../kmod/pace.c"
#include "../../kmod/rate.c"
#include "../../kmod/role.c"
#include "../../kmod/session.c"
#include "../../kmod/window.c"
#include "../../kmod/wire.c"

#include "ktap.h"

unsigned long long ktap_given_seed;
module_param_named(seed, ktap_given_seed, ullong, 0444);
MODULE_PARM_DESC(seed, "repeats a run of the random suites (0: another each time)");

MODULE_DESCRIPTION("espsync's unit tests in the kernel");
MODULE_LICENSE("GPL");
