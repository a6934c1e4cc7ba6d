#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: module (W=1), helper and tool build without a warning, the module for 6.1, 6.12 and 7.2; install and uninstall leave nothing
# WHERE: host
# SETS: timeout=900 named
import os
import re
import shutil
import subprocess

from esptest import check, defer, equal, main

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("ESPSYNC_BUILD", f"{TOP}/build")
# Of the machine, not of the source: objtool has no vmlinux to check against.
NOT_OURS = re.compile(r"Skipping BTF generation|the compiler differs|jobserver")


def run(*words, **env):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL,
                          env={k: v for k, v in {**os.environ, **env}.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "TOP")})
    check(done.returncode == 0, f"{' '.join(words)}: status {done.returncode}\n{done.stdout[-2000:]}")
    return done.stdout


def warnings(text):
    return [line for line in text.splitlines() if re.search(r"\bwarning\b", line, re.I) and not NOT_OURS.search(line)]


class Copy:
    """A copy of the tree as a newcomer would have it: nothing built."""

    def __init__(self):
        self.dir = f"{BUILD}/tmp/builds-{os.getpid()}"
        defer(shutil.rmtree, self.dir, True)
        self.tree, self.dest = f"{self.dir}/tree", f"{self.dir}/dest"
        os.makedirs(self.dir)
        run("rsync", "-a", "--exclude=/build", "--exclude=/.git", "--include=*/", "--exclude=*.o", "--exclude=*.d", "--exclude=*.ko", "--exclude=*.cmd",
            "--exclude=/user/espsync/espsync", "--exclude=/user/espsyncd/espsyncd", f"{TOP}/", self.tree)

    def make(self, *words):
        return run("make", "-C", self.tree, *words)

    def files(self):
        return sorted(os.path.relpath(os.path.join(d, f), self.dest) for d, _, names in os.walk(self.dest) for f in names)


def make_builds_it_all_without_a_warning(copy):
    equal(warnings(copy.make()), [], "warnings")
    for name in ("kmod/espsync.ko", "user/espsync/espsync", "user/espsyncd/espsyncd"):
        check(os.path.exists(f"{copy.tree}/{name}"), f"{name} is built")


def install_honours_its_directories(copy):
    copy.make("install", f"DESTDIR={copy.dest}", "PREFIX=/opt/here")
    files = copy.files()
    agent = "opt/here/lib/ocf/resource.d/espsync/espsync"
    for end in ("opt/here/sbin/espsync", "opt/here/sbin/espsyncd", agent):
        check(end in files, f"{end} is installed (of {files})")
    with open(f"{copy.dest}/{agent}", encoding="utf-8") as f:
        check("\ntool=/opt/here/sbin/espsync\n" in f.read(), "the agent knows where the tool is")
    check(os.access(f"{copy.dest}/{agent}", os.X_OK), "the agent can be run")
    check(any(re.fullmatch(r"lib/modules/[^/]+/.*espsync\.ko(\.\w+)?", f) for f in files), f"the module is installed (of {files})")


def uninstall_leaves_nothing(copy):
    copy.make("uninstall", f"DESTDIR={copy.dest}", "PREFIX=/opt/here")
    # kbuild's own index of the tree, which is not ours to delete.
    equal([f for f in copy.files() if not re.match(r"lib/modules/[^/]+/modules\.", f)], [], "files left")


def dkms_has_all_it_needs(copy):
    """What DKMS would do: build from /usr/src alone."""
    copy.make("dkms-install", f"DESTDIR={copy.dest}")
    with open(f"{copy.tree}/dkms.conf") as f:
        version = re.search(r'PACKAGE_VERSION="(.*)"', f.read())[1]
    sources = f"{copy.dest}/usr/src/espsync-{version}"
    headers = run("make", "-s", "-C", copy.tree, "--eval", "print: ; @echo $(KDIR)", "print").strip()
    run("make", "-C", headers, f"M={sources}", "modules")
    check(os.path.exists(f"{sources}/kmod/espsync.ko"), "kmod/espsync.ko, where BUILT_MODULE_LOCATION says")


def _for_kernel(series):
    where = run(f"{TOP}/selftests/harness/module-build", series, FRESH="1").strip().splitlines()[-1]
    with open(f"{where}/log") as f:
        equal(warnings(f.read()), [], f"warnings against {series}")


def dkms_follows_a_second_kernel(copy):
    """add, build and install for one, as modprobe in two-machines finds it; autoinstall when another comes; remove takes all away."""
    root = f"{copy.dir}/dkms"
    run(f"{TOP}/selftests/harness/dkms-tree", "6.1", DKMS_ROOT=root)
    kernel = run(f"{TOP}/selftests/harness/stock-kernel", "6.12").strip().splitlines()[-1]
    with open(f"{kernel}/release") as f:
        second = f.read().strip()
    first, = os.listdir(f"{root}/modules")

    def dkms(*words):
        return run(f"{root}/program/usr/sbin/dkms", *words, "--dkmstree", f"{root}/dkms", "--sourcetree", f"{root}/usr/src",
                   "--installtree", f"{root}/modules", "--no-depmod")

    def installed():
        return sorted(k for k in os.listdir(f"{root}/modules") if os.path.exists(f"{root}/modules/{k}/updates/dkms/espsync.ko"))

    equal(installed(), [first], "kernels with the module")
    os.makedirs(f"{root}/modules/{second}", exist_ok=True)
    dkms("autoinstall", "-k", second, "-a", "x86_64", "--kernelsourcedir", f"{kernel}/{os.readlink(f'{kernel}/kdir')}")
    equal(installed(), sorted([first, second]), "kernels with the module after autoinstall")
    dkms("remove", "-m", "espsync", "-v", os.listdir(f"{root}/usr/src")[0].rpartition("-")[2], "--all")
    equal(installed(), [], "kernels with the module after remove")


def module_builds_for_6_12(copy):
    _for_kernel("6.12")


def module_builds_for_7_2(copy):
    _for_kernel("7.2")


main([make_builds_it_all_without_a_warning, install_honours_its_directories, uninstall_leaves_nothing, dkms_has_all_it_needs, dkms_follows_a_second_kernel,
      module_builds_for_6_12, module_builds_for_7_2], Copy)
