# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# common.sh - where things are, and two ways to speak. To be sourced; needs $HARNESS.

SELFTESTS=$(dirname "$HARNESS")
# TOP may be given: a mutant's tree shares the build directory of the real one.
TOP=${TOP:-$(dirname "$SELFTESTS")}
BUILD=${ESPSYNC_BUILD:-$TOP/build}
export TOP BUILD
mkdir -p "$BUILD"

note() {
	echo "# $*" >&2
}

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}
