#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# DESC: the pure sources against their models, in userspace, under sanitizers
# WHERE: host
# SETS: timeout=1800 beside
#
# Builds every program in unit/ and runs them all. A program that does not
# build is a failure of that program alone. Random tests print their seed;
# UNIT_SEED=... repeats one, CASE=... runs those with that in their names.

cd "$(dirname "$0")/unit" || exit 1
# A directory of its own: a tree with a fault in it must not leave its programs
# to the next run of a good one.
OUTPUT=$(mktemp -d) || exit 1
export OUTPUT
trap 'rm -rf "$OUTPUT"' EXIT

read -ra names < <(make -s list | tr ' ' '\n' | grep -e "${CASE-}" | tr '\n' ' ')
failed=0 n=0

echo "KTAP version 1"
echo "1..${#names[@]}"
for name in "${names[@]}"; do
	n=$((n + 1))
	out=$(make -s "$OUTPUT/$name" 2>&1 && "$OUTPUT/$name" 2>&1)
	rc=$?
	# shellcheck disable=SC2001 # every line
	[ -n "$out" ] && sed 's/^/  /' <<<"$out"
	case $rc in
	0) echo "ok $n $name" ;;
	4) echo "ok $n $name # SKIP" ;;
	*) echo "not ok $n $name"; failed=1 ;;
	esac
done
exit "$failed"
