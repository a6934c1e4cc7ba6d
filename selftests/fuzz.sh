#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# DESC: libFuzzer over all that reads input from outside, FUZZ_S seconds each (default 10), with ASan, UBSan and the targets' own judges
# WHERE: host
# SETS: timeout=3600 named
#
# `make fuzz` is the same for longer, and keeps what it found; see fuzz/README.md.

cd "$(dirname "$0")/fuzz" || exit 1
command -v clang >/dev/null || { echo "1..0 # SKIP no clang: make fuzz installs it"; exit 4; }
# A directory of its own: a tree with a fault in it must not leave its programs
# to the next run of a good one.
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT
./run -o "$out" -s "${FUZZ_S:-10}"
