/* SPDX-License-Identifier: GPL-2.0 */
/*
 * crypt.h - the primitives that sessions are made of.
 *
 * Job: name them once: the kernel's own in the module, and those that the unit
 * test brings (selftests/unit/crypt_stub.h) where there is no kernel.
 * What may not enter: keys, formats, rules.
 */
#ifndef ESPSYNC_CRYPT_H
#define ESPSYNC_CRYPT_H

#include "pure.h"

#ifdef __KERNEL__

#include <crypto/chacha20poly1305.h>
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/random.h>

#include "compat.h"

#else

#include "../selftests/unit/crypt_stub.h"

#endif /* __KERNEL__ */

#endif /* ESPSYNC_CRYPT_H */
