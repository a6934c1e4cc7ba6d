#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# DESC: a group that asks for a mark, an xfrm interface or request ids has those SAs alone: the others are not followed, guarded or changed
# WHERE: uml qemu
# SETS: timeout=200
# In lib, and by another name: a select.py here would be what python's own modules import.
exec python3 "$(dirname "$0")/lib/selection.py"
