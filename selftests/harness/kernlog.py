# SPDX-License-Identifier: GPL-2.0
"""What a kernel said that no kernel should say.

Job: find reports (lockdep, KASAN, oopses, leaks) in a kernel's log, less those
that the bare kernel makes by itself, which baseline.txt names and explains.
"""
import os
import re

TRIGGER = re.compile(
    r"BUG:|WARNING:|Oops|Call Trace|KASAN|lockdep|possible (circular|recursive|irq|deadlock)|unreferenced object|ref_tracker"
    r"|RIP:|UBSAN|ODEBUG|refcount_t|INFO: (task|rcu)|rcu_\w+ (detected|self-detected)|general protection|[Kk]ernel panic"
    r"|unregister_netdevice: waiting|kmemleak: \d+ new|scheduling while atomic|Internal error|Segfault with no mm")
# Said by a healthy kernel at boot; or, in the last line, by a debugging aid that is the one to whom faults.py refused memory.
HARMLESS = re.compile(r"RCU lockdep checking is enabled|memory used by lock dependency|kasan: KernelAddressSanitizer"
                      r"|KernelAddressSanitizer initialized|Kernel command line"
                      r"|ref_tracker: memory allocation failure")
# A data race is ours if either side of it is in the module; the rest of the kernel has its own.
RACE, OURS = "BUG: KCSAN: ", "[espsync"
BLOCK = 60
SHOWN = 40


def baseline():
    """Regular expressions, one a line, # for comments."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "baseline.txt")
    with open(path) as f:
        return [re.compile(line.rstrip("\n")) for line in f if line.strip() and not line.startswith("#")]


def reports(text, known=None):
    """Blocks of lines, each one report that the baseline does not know.

    A report is everything from its first suspicious line to the last one that
    follows within BLOCK lines; it is known if the baseline matches any of it.
    """
    known = baseline() if known is None else known
    lines = text.splitlines()
    found, i = [], 0
    while i < len(lines):
        if not TRIGGER.search(lines[i]) or HARMLESS.search(lines[i]):
            i += 1
            continue
        block = lines[max(0, i - 1):i + BLOCK]
        if RACE in lines[i] and OURS not in lines[i]:
            i += 1
            continue
        if not any(k.search(line) for k in known for line in block):
            found.append("\n".join(block[:SHOWN]))
        i += BLOCK
    return found


def leaks(text, known=None):
    """The same for what /sys/kernel/debug/kmemleak shows."""
    known = baseline() if known is None else known
    objects = re.split(r"(?m)^(?=unreferenced object)", text)
    return [o for o in objects if o.startswith("unreferenced") and not any(k.search(line) for k in known for line in o.splitlines())]
