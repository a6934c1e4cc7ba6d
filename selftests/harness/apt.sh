# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# apt.sh - Debian packages of any suite, without touching the system's apt.
#
# Job: an apt with lists, cache, status and sources of its own under
# build/apt/SUITE, and downloading from it. Nothing here installs anything.
#
# To be sourced; needs $BUILD.

# Where this machine gets its own packages from, unless told otherwise.
# shellcheck disable=SC2016 # for apt-get
APT_MIRROR=${APT_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' | sed -n 's#\(/debian\)/*$#\1#p' | sed -n 1p)}
APT_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# A stable suite alone lacks its security updates.
apt_sources() {
	printf 'deb [signed-by=%s] %s %s main\n' "$APT_KEYRING" "$APT_MIRROR" "$1"
	case $1 in
	bookworm|trixie)
		printf 'deb [signed-by=%s] %s %s-security main\n' "$APT_KEYRING" "$APT_MIRROR-security" "$1" ;;
	*-backports)
		printf 'deb [signed-by=%s] %s %s main\n' "$APT_KEYRING" "$APT_MIRROR" "${1%-backports}" ;;
	esac
}

# apt_private SUITE ARGS...: apt-get or apt-cache (by $APT_PROG) in the suite's world
apt_private() {
	local suite=$1 dir=$BUILD/apt/$1
	shift

	"${APT_PROG:-apt-get}" -qq -o Dpkg::Use-Pty=0 \
		-o Dir::Etc::sourcelist="$dir/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferences=/dev/null \
		-o Dir::Etc::preferencesparts=/dev/null \
		-o Dir::State::lists="$dir/lists" \
		-o Dir::State::status="$dir/status" \
		-o Dir::Cache="$dir/cache" \
		-o Dir::Cache::archives="$BUILD/apt/archives" \
		-o APT::Get::List-Cleanup=0 \
		-o Acquire::Languages=none \
		-o APT::Sandbox::User=root \
		-o Debug::NoLocking=1 \
		"$@"
}

# apt_setup SUITE: make the suite's world and read its lists, once, whoever comes first
apt_setup() {
	local suite=$1 dir=$BUILD/apt/$1

	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$BUILD/apt/archives/partial"
	(
		flock 7
		[ -e "$dir/.ready" ] && exit 0
		: > "$dir/status"
		apt_sources "$suite" > "$dir/sources.list"
		apt_private "$suite" update || exit 1
		touch "$dir/.ready"
	) 7>"$dir/.lock"
}

# apt_file PACKAGE: the newest downloaded file of it
apt_file() {
	# shellcheck disable=SC2012 # names are dpkg's own
	ls -t "$BUILD/apt/archives/$1"_*.deb 2>/dev/null | head -1
}

# apt_fetch SUITE PACKAGE...: download them, unless there
apt_fetch() {
	local suite=$1
	shift

	(cd "$BUILD/apt/archives" && apt_private "$suite" download "$@" >&2)
}

# apt_closure SUITE PACKAGE...: file names of them and all they depend on, downloaded
apt_closure() {
	local suite=$1
	shift

	apt_private "$suite" install -y --no-install-recommends --download-only "$@" >&2 || return 1
	# A file that is there already would be left out.
	apt_private "$suite" install --print-uris -y --no-install-recommends \
		-o Dir::Cache::archives="$BUILD/apt/none" "$@" | awk '{print $2}'
}
