# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# To be sourced. The configuration of a kernel, out of fragments.

# kconfig OUT SRC ARCH FRAGMENT...: what was asked for must be what comes out; of two fragments the later one is asked.
kconfig() {
	local out=$1 src=$2 arch=$3
	shift 3

	mkdir -p "$out"
	make -s -C "$src" O="$out" ARCH="$arch" tinyconfig >/dev/null
	(cd "$out" && "$src/scripts/kconfig/merge_config.sh" -m -O "$out" "$out/.config" "$@" >/dev/null)
	make -s -C "$src" O="$out" ARCH="$arch" olddefconfig >/dev/null
	awk -F= '/^CONFIG_/ { v[$1] = $2 } END { for (o in v) if (v[o] ~ /^[ym]/) print o }' "$@" | sort | while read -r o; do
		grep -q "^$o=" "$out/.config" || echo "kconfig: $o is not in $out" >&2
	done
}
