# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# initrd.sh - what a kernel under QEMU begins with. To be sourced; needs common.sh.

# The least that finds the root: the rest comes from the root and modules.ext4. $1: where the kernel is, $2: its release.
prepare_initrd() {
	local dir=$1 release=$2 root=$1/initrd.d m path

	rm -rf "$root"
	mkdir -p "$root/bin" "$root/modules" "$root/proc" "$root/dev"
	cp "$("$HARNESS/guest-root")/bin/busybox" "$root/bin/busybox"
	ln -s busybox "$root/bin/sh"
	cp "$HARNESS/guest-stage1" "$root/init"
	for m in virtio_pci virtio_blk virtio_console ext4 crc32c_generic overlay 9p 9pnet_virtio; do
		modprobe -d "$dir/modroot" -S "$release" --show-depends "$m" 2>/dev/null || true
	done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r path; do
		cp "$path" "$root/modules/"
		basename "$path"
	done > "$root/modules.order"
	chmod 755 "$root/init"
	(cd "$root" && find . | cpio -o -H newc --quiet) > "$dir/initrd.tmp"
	mv "$dir/initrd.tmp" "$dir/initrd"
	rm -rf "$root"
}
