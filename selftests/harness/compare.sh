# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# compare.sh - the same tests in several ways, one after the other, and a table in the end.
#
# Job: what has passed is not run again until its directory under
# build/results is deleted, so a series that was cut short goes on.
#
# To be sourced; needs $HARNESS, common.sh and $dir, where the runs' logs are kept.

# once NAME ARGUMENT... - one run of the tests, kept in $dir/NAME.log; what passed of it, in $dir/NAME.passed
# shellcheck disable=SC2154 # dir
once() {
	local log=$dir/$1.log
	shift

	if tail -n 1 "$log" 2>/dev/null | grep -q ' passed, 0 failed'; then
		note "was run before: $log"
		return
	fi
	echo "# run $*" | tee -a "$log"
	"$HARNESS/run" -r "${log%.log}.passed" "$@" 2>&1 | tee -a "$log" || true
}

# table WHAT NAME... - what came of the runs; fails if anything did
table() {
	local what=$1
	shift

	# shellcheck disable=SC2016 # awk's own
	awk -v what="$what" '
	FNR == 1 { n++; split(FILENAME, path, "/"); k = path[length(path)]; sub(/\.log$/, "", k); name[n] = k; passed[n] = "-"; failed[n] = "did not end"; secs[n] = "-" }
	/^# [0-9]+ s$/ { secs[n] = $2 }
	/^[0-9]+ passed, [0-9]+ failed/ { passed[n] = $1; failed[n] = $3 }
	END {
		printf "%-10s %8s %12s %9s\n", what, "passed", "failed", "seconds"
		for (i = 1; i <= n; i++) {
			printf "%-10s %8s %12s %9s\n", name[i], passed[i], failed[i], secs[i]
			bad += failed[i] != "0"
		}
		exit bad > 0
	}' "${@/#/$dir/}"
}
