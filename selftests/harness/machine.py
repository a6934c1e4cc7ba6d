# SPDX-License-Identifier: GPL-2.0
"""One guest: User Mode Linux or a stock kernel under QEMU.

Job: turn a kind of machine ("uml", "uml-fast", "uml-bench", "qemu-6.1", "qemu-6.12",
"qemu-7.2", "qemu-kcsan") and a shell command into a running process whose standard output
is the command's. What runs in the guest, and what its output means, does not
belong here.
"""
import itertools
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading

HARNESS = os.path.dirname(os.path.abspath(__file__))
TOP = os.environ.get("TOP") or os.path.dirname(os.path.dirname(HARNESS))
BUILD = os.environ.get("ESPSYNC_BUILD") or os.path.join(TOP, "build")
KINDS = ("uml", "uml-fast", "uml-bench", "qemu-6.1", "qemu-6.12", "qemu-7.2", "qemu-kcsan")

# The same kernel, and nothing watches: for what keeps to time. The first word is uml.patch's.
LENIENT = ["lenient", "kmemleak=off", "no_debug_objects"]

_counter = itertools.count()


class Unprepared(Exception):
    """A kernel, root or module could not be made; the message is the sentence to print."""


def last_in_turn():
    """Of a process of its own session: run when nobody else wants to, also where sessions are scheduled as groups."""
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    try:
        with open("/proc/self/autogroup", "w") as f:
            f.write("19")
    except OSError:
        pass


def _make(script, *args, beside=False):
    """Run one of the harness's own builders; the last line it prints is the answer."""
    done = subprocess.run([os.path.join(HARNESS, script), *args], stdout=subprocess.PIPE, text=True,
                          env=dict(os.environ, TOP=TOP, ESPSYNC_BUILD=BUILD), start_new_session=beside,
                          preexec_fn=last_in_turn if beside else None)
    if done.returncode or not done.stdout.strip():
        raise Unprepared(f"{script} {' '.join(args)} failed")
    return done.stdout.strip().splitlines()[-1]


# What a test may want that is not in every guest (SETS): the word for its directory on the host in the environment, and who makes it.
WANTED = {
    "source": ("KERNEL_SOURCE", "kernel-source"),
    "selftests": ("KERNEL_SELFTESTS", "kernel-source", "selftests"),
    "trixie": ("STRONGSWAN_TRIXIE", "guest-root", "trixie", "strongswan"),
    "sid": ("STRONGSWAN_SID", "guest-root", "sid", "strongswan"),
    "iproute2": ("IPROUTE2", "guest-root", "trixie", "iproute2"),
    "libreswan": ("LIBRESWAN", "guest-root", "bookworm", "libreswan"),
}
SUITES = ("bookworm", "trixie", "sid")      # whose strongSwan (S=); the first one is in every guest


def wanted(words):
    """{variable: directory on the host} of those among the words."""
    return {WANTED[w][0]: os.path.realpath(_make(*WANTED[w][1:])) for w in WANTED if w in words}


def packages_of(name):
    """A directory of packages that one test lays over the guests' root (SETS: packages=NAME), see guest-more."""
    return os.path.realpath(_make("guest-more", name))


class Kernel:
    """What a machine of this kind boots; made on first use, cached under build/."""

    def __init__(self, kind, module=True, beside=False):
        if kind not in KINDS:
            raise Unprepared(f"{kind}: no such kind of machine (one of {' '.join(KINDS)})")
        self.kind = kind
        self.uml = kind.startswith("uml")
        self.name = {"uml-fast": "uml"}.get(kind, kind.removeprefix("qemu-"))
        self.debug = kind == "uml"
        self.root = _make("guest-root", beside=beside)
        if self.uml:
            self.dir = _make("uml-build", *(["bench"] if kind == "uml-bench" else []), beside=beside)
        elif self.name == "kcsan":
            self.dir = _make("kcsan-kernel", beside=beside)
        else:
            self.dir = _make("stock-kernel", self.name, beside=beside)
        self.module = None
        if module and any(os.path.exists(os.path.join(TOP, "kmod", f)) for f in ("Kbuild", "Makefile")):
            self.module = _make("module-build", self.name, beside=beside)


class Machine:
    """A guest that runs one job. stdout is a pipe that carries what the job prints. files: descriptors that its arguments name.

    icount: QEMU's clock is the number of instructions, a nanosecond each, and nothing is waited for: what is timed so is the same each time.
    """

    def __init__(self, kernel, job, *, name="", mem=None, cpus=2, tty=False, leaks=False,
                 args=(), cmdline=(), env=None, files=(), icount=False):
        self.kernel = kernel
        self.name = name or f"{kernel.kind}-{os.getpid()}-{next(_counter)}"
        self.dir = os.path.join(BUILD, "tmp", f"vm-{self.name}")
        self.mem = mem or (1024 if kernel.uml else 768)
        self.cpus, self.tty, self.leaks = cpus, tty, leaks
        self.args, self.cmdline, self.env, self.files = list(args), list(cmdline), dict(env or {}), tuple(files)
        self.icount = icount
        self.log = os.path.join(self.dir, "klog")
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        with open(os.path.join(self.dir, "job"), "w") as f:
            for key, value in self.env.items():
                f.write(f"export {key}={shlex.quote(value)}\n")
            f.write(job + "\n")
        self.proc = None
        self._pump = None

    # -- command lines -------------------------------------------------------

    def _kernel_env(self):
        words = [f"ESPTOP={TOP}", f"ESPBUILD={BUILD}", f"ESPRUN={self.dir}"]
        if self.kernel.module:
            words.append(f"ESPKO={self.kernel.module}")
        if self.tty:
            words.append("ESPTTY=1")
        if self.leaks:
            words.append("ESPLEAKS=1")
        if self.kernel.debug:
            words += ["kunit.enable=1", "kunit.autorun=1"]
        elif self.kernel.uml:
            words += LENIENT
        return words

    def _uml(self):
        release, = os.listdir(os.path.join(self.kernel.dir, "lib/modules"))
        return [os.path.join(self.kernel.dir, "linux"), f"mem={self.mem}M", f"ncpus={self.cpus}", "seccomp=on",
                "root=/dev/root", "rootfstype=hostfs", f"rootflags={self.kernel.root}", "ro", "init=/stage1",
                "con=null", "ssl=null", "lockdep.lock_stat=0", "con0=null,fd:2", "con1=fd:0,fd:1" if self.tty else "con1=null,fd:1",
                f"uml_dir={self.dir}", "umid=uml", "panic=-1", "ESPCHANNEL=tty1",
                f"ESPMODULES={os.path.realpath(self.kernel.dir)}/lib/modules/{release}",
                *self._kernel_env(), *self.cmdline, *self.args]

    def _qemu(self):
        def share(path, tag, ro):
            return ["-virtfs", f"local,path={path},mount_tag={tag},security_model=none,multidevs=remap"
                    + (",readonly=on" if ro else "")]

        def disk(path):
            return ["-drive", f"file={path},if=virtio,format=raw,readonly=on"]

        kernel = self.kernel
        words = ["console=ttyS0", "panic=-1", "loglevel=5", "ESPCHANNEL=hvc0",
                 *self._kernel_env(), *self.cmdline]
        accel = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"] if self.icount else ["-accel", "tcg,thread=multi"]
        return ["qemu-system-x86_64", *accel, "-cpu", "max", "-smp", str(self.cpus),
                "-m", str(self.mem), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-kernel", f"{kernel.dir}/vmlinuz", "-initrd", f"{kernel.dir}/initrd", "-append", " ".join(words),
                "-serial", f"file:{self.log}", "-device", "virtio-serial-pci",
                "-chardev", "stdio,id=command,signal=off", "-device", "virtconsole,chardev=command",
                *disk(_make("root-image", kernel.root)), *disk(f"{kernel.dir}/modules.ext4"),
                *share(TOP, "top", True), *share(os.path.join(BUILD, "tmp"), "tmp", False), *self.args]

    # -- life ----------------------------------------------------------------

    def start(self, stdout=subprocess.PIPE):
        os.makedirs(os.path.join(BUILD, "tmp"), exist_ok=True)
        self.proc = subprocess.Popen(self._uml() if self.kernel.uml else self._qemu(),
                                     stdin=None if self.tty else subprocess.DEVNULL, stdout=stdout,
                                     stderr=subprocess.PIPE, start_new_session=not self.tty, cwd=self.dir, pass_fds=self.files)
        with open(os.path.join(self.dir, "pid"), "w") as f:
            f.write(f"{self.proc.pid}\n")
        self._pump = threading.Thread(target=self._save_stderr, daemon=True)
        self._pump.start()
        return self

    def _save_stderr(self):
        """UML's console, or QEMU's complaints."""
        with open(self.log if self.kernel.uml else os.path.join(self.dir, "qemu.log"), "wb") as log:
            while chunk := os.read(self.proc.stderr.fileno(), 65536):
                log.write(chunk)
                log.flush()

    def wait(self, timeout=None):
        """The job's exit status, or None if the machine ended without saying one."""
        self.proc.wait(timeout)
        self._pump.join(5)
        return self.status()

    def status(self):
        try:
            with open(os.path.join(self.dir, "status")) as f:
                return int(f.read())
        except (OSError, ValueError):
            return None

    def kill(self):
        """As a power cut: SIGKILL to the machine and, under UML, to its processes."""
        if self.proc is None:
            return
        if self.tty:
            self.proc.kill()
        else:
            try:
                os.killpg(self.proc.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.proc.wait()

    def kernel_log(self):
        """Everything the guest's kernel said: the console, which survives a crash."""
        try:
            with open(self.log, errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def discard(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def main(argv):
    """vm KIND [OPTIONS] -- COMMAND..."""
    import argparse

    parser = argparse.ArgumentParser(prog="vm", description="Run COMMAND as root in a fresh guest.")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--mem", type=int, help="MiB of memory")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--timeout", type=float, help="seconds; then the guest is killed and the status is 124")
    parser.add_argument("--name", default="", help="name of the machine's directory, build/tmp/vm-NAME (then kept)")
    parser.add_argument("--no-module", action="store_true", help="do not build espsync.ko")
    parser.add_argument("--leaks", action="store_true", help="debug UML: scan for leaks at the end")
    parser.add_argument("--log", action="store_true", help="print the kernel's log at the end")
    parser.add_argument("--arg", action="append", default=[], help="one more word for QEMU (or UML)")
    parser.add_argument("--append", action="append", default=[], help="one more word for the kernel")
    split = argv.index("--") if "--" in argv else len(argv)
    o = parser.parse_args(argv[:split])
    o.command = argv[split + 1:]
    tty = sys.stdin.isatty() and sys.stdout.isatty() and not o.command
    job = " ".join(map(shlex.quote, o.command)) if len(o.command) > 1 else (o.command or ["bash -i"])[0]
    job = f"cd {shlex.quote(TOP)}\n{job}"
    try:
        kernel = Kernel(o.kind, module=not o.no_module)
    except Unprepared as e:
        print(f"vm: {e}", file=sys.stderr)
        return 125
    machine = Machine(kernel, job, name=o.name, mem=o.mem, cpus=o.cpus, tty=tty, leaks=o.leaks,
                      args=o.arg, cmdline=o.append)
    # Ended from outside, the guest must not stay behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    status = None
    try:
        machine.start(stdout=None if tty else subprocess.PIPE)
        if not tty:
            pump = threading.Thread(target=_copy_out, args=(machine.proc.stdout.fileno(),), daemon=True)
            pump.start()
        status = machine.wait(o.timeout)
        if not tty:
            pump.join(5)
    except subprocess.TimeoutExpired:
        print(f"vm: killed after {o.timeout} s", file=sys.stderr)
        status = 124
    except KeyboardInterrupt:
        status = 130
    finally:
        machine.kill()
    if o.log or status is None:
        sys.stderr.write(machine.kernel_log() if o.log else "\n".join(machine.kernel_log().splitlines()[-40:]) + "\n")
    if o.leaks and os.path.exists(f"{machine.dir}/kmemleak"):
        with open(f"{machine.dir}/kmemleak") as f:
            sys.stderr.write(f.read())
    if status is None:
        print(f"vm: the guest ended without a status, see {machine.dir}", file=sys.stderr)
        return 125
    if not o.name:
        machine.discard()
    return status


def _copy_out(fd):
    while chunk := os.read(fd, 65536):
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
