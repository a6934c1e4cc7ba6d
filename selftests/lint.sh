#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# DESC: what sparse, checkpatch, coccinelle, analyzers, kernel-doc, shellcheck, codespell and the fences say of the sources: nothing
# WHERE: host
# SETS: timeout=1800 beside
#
# harness/lint's output as KTAP, a case for each tool; CASE=... is one of them.

set -o pipefail
lint=$(dirname "$0")/harness/lint

echo "KTAP version 1"
echo "1..$("$lint" -l | grep -c -e "${CASE-}")"
"$lint" ${CASE:+"$CASE"} | awk '
	/^ok / { printf "ok %d %s # %s s\n", ++n, $2, $3; next }
	/^not ok / { printf "not ok %d %s\n", ++n, $3; next }
	{ print "# " $0 }'
