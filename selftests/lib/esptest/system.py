# SPDX-License-Identifier: GPL-2.0
"""Commands, waiting for a state, and undoing what was done."""
import ctypes
import os
import shlex
import signal
import subprocess
import threading
import time

_undo = []

# A program is started, or this process forked, not both: what is forked by one thread while another one starts a program holds that one's
# pipes as long as it lives, and the starting thread waits for them to be closed.
_starting = threading.RLock()
os.register_at_fork(before=_starting.acquire, after_in_parent=_starting.release, after_in_child=_starting.release)
_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


class Failed(Exception):
    """A command ended with a status that was not asked for."""


def defer(fn, *args):
    """Call fn(*args) at the end, in reverse order."""
    _undo.append((fn, args))


def cleanup():
    """Run what was deferred; the sentences of what failed."""
    broken = []
    while _undo:
        fn, args = _undo.pop()
        try:
            fn(*args)
        except Exception as e:
            broken.append(f"{getattr(fn, '__name__', fn)}: {e}")
    return broken


def in_ns(words, ns):
    return ["ip", "netns", "exec", str(ns), *words] if ns else words


def call_in(ns, fn, *args):
    """fn(*args) by a thread in a network namespace; far cheaper than `ip netns exec`."""
    box = {}

    def inside():
        try:
            fd = os.open(f"/run/netns/{ns}", os.O_RDONLY)
            if _libc.setns(fd, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns {ns}")
            os.close(fd)
            box["value"] = fn(*args)
        except BaseException as e:
            box["error"] = e

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if "error" in box:
        raise box["error"]
    return box["value"]


def sh(command, ns=None, ok=(0,), timeout=60, stdin=None):
    """Run a shell line (str) or words (list); its standard output. ok=None accepts any status.

    The answer is a str with the attributes status and stderr. In a namespace,
    /sys is still the outer one's; spawn() enters as `ip netns exec` does.
    """
    words = ["bash", "-c", command] if isinstance(command, str) else [str(w) for w in command]

    def run():
        with _starting:
            proc = subprocess.Popen(words, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, text=True)
        try:
            return *proc.communicate(stdin, timeout), proc.returncode
        finally:
            if proc.returncode is None:
                proc.kill()
                proc.wait()

    said, complained, status = call_in(ns, run) if ns else run()
    if ok is not None and status not in ok:
        shown = command if isinstance(command, str) else shlex.join(words)
        raise Failed(f"{f'[{ns}] ' if ns else ''}{shown}: status {status}: {complained.strip() or said.strip()}")
    out = Output(said)
    out.status, out.stderr = status, complained
    return out


class Output(str):
    status = 0
    stderr = ""


def _end(proc, sig):
    if proc.poll() is None:
        proc.send_signal(sig)
        try:
            proc.wait(10)
        except subprocess.TimeoutExpired:
            proc.kill()
            proc.wait()


def spawn(command, ns=None, stop=signal.SIGTERM, **popen):
    """Start a program and go on; it is ended at the end. Returns the Popen."""
    words = ["bash", "-c", "exec " + command] if isinstance(command, str) else [str(w) for w in command]
    popen.setdefault("stdin", subprocess.DEVNULL)
    with _starting:
        proc = subprocess.Popen(in_ns(words, ns), **popen)
    defer(_end, proc, stop)
    return proc


def until(condition, timeout=10, what=None, step=0.05):
    """Poll until condition() is true and return its value; AssertionError with what after the timeout."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what or getattr(condition, '__name__', 'it')}: not within {timeout} s")
        time.sleep(step)


def host_dir(variable):
    """A directory of the host that the harness names in the environment, where it is seen in this guest (UML): read-only, until the end."""
    path = f"/mnt/{variable.lower()}"
    os.makedirs(path, exist_ok=True)
    sh(["mount", "-t", "hostfs", "-o", f"ro,{os.environ[variable]}", "none", path])
    defer(sh, ["umount", "-l", path])
    return path


def module(name="espsync", *params):
    """Load a module; unloaded at the end, which is part of the test."""
    if not os.path.exists(f"/sys/module/{name}"):
        sh(["modprobe", name, *params])
        defer(unload, name)


def unload(name="espsync", timeout=20):
    """rmmod, waiting for namespaces that are still on their way out."""
    deadline = time.monotonic() + timeout
    while os.path.exists(f"/sys/module/{name}"):
        done = sh(["rmmod", name], ok=None)
        if done.status and time.monotonic() > deadline:
            raise Failed(f"rmmod {name}: {done.stderr.strip()}")
        if done.status:
            time.sleep(0.1)
