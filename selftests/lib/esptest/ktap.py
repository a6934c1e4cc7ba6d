# SPDX-License-Identifier: GPL-2.0
"""KTAP: cases in order, one line each, kselftest's exit codes."""
import faulthandler
import inspect
import os
import random
import signal
import sys
import time
import traceback

from . import system

PASS, FAIL, SKIP = 0, 1, 4


class Skip(Exception):
    """Raised with a reason by a case, or by the setup for all of them."""


def note(text):
    for line in str(text).splitlines():
        print(f"# {line}", flush=True)


def check(condition, text):
    """A case ends here if the condition does not hold; the text says what should have been."""
    if not condition:
        raise AssertionError(text)


def equal(got, wanted, text):
    check(got == wanted, f"{text}: got {got!r}, wanted {wanted!r}")


def seeded(name="SEED"):
    """A random generator whose seed is printed, and can be given in the environment."""
    seed = int(os.environ.get(name) or random.SystemRandom().randrange(1 << 32))
    note(f"seed {seed} ({name}={seed} repeats it)")
    return random.Random(seed)


def _run(number, case, context):
    """One case and its line."""
    name = case.__name__.replace("_", "-")
    start = time.monotonic()
    try:
        case(context) if inspect.signature(case).parameters else case()
        verdict, line = PASS, f"ok {number} {name} # {time.monotonic() - start:.1f} s"
    except Skip as e:
        verdict, line = SKIP, f"ok {number} {name} # SKIP {e}"
    except AssertionError as e:
        where = traceback.extract_tb(e.__traceback__)
        at = next((f for f in reversed(where) if "/esptest/" not in f.filename), where[-1])
        note(f"{os.path.basename(at.filename)}:{at.lineno}: {e}")
        verdict, line = FAIL, f"not ok {number} {name}"
    except Exception:  # a broken test is a failed one
        note(traceback.format_exc())
        verdict, line = FAIL, f"not ok {number} {name}"
    print(line, flush=True)
    return verdict


def main(cases, setup=None):
    """Run setup, then each case with what setup returned, clean up, and exit.

    In the environment, CASE: only those cases that have it in their names; FAIL_FAST: none after one that failed.
    """
    word = os.environ.get("CASE", "").replace("-", "_")
    cases = [case for case in cases if word in case.__name__]
    faulthandler.register(signal.SIGINT, all_threads=True, chain=True)   # of a test that is stuck
    print("TAP version 13", flush=True)
    print(f"1..{len(cases)}", flush=True)
    try:
        verdicts = _all(cases, setup)
    finally:
        broken = system.cleanup()
    for text in broken:
        note(f"cleaning up: {text}")
    if broken or FAIL in verdicts:
        sys.exit(FAIL)
    sys.exit(SKIP if SKIP in verdicts else PASS)


def _all(cases, setup):
    context = None
    if setup:
        try:
            context = setup()
        except Skip as e:
            for i, case in enumerate(cases, 1):
                print(f"ok {i} {case.__name__.replace('_', '-')} # SKIP {e}", flush=True)
            return [SKIP]
        except Exception:
            note(traceback.format_exc())
            for i, case in enumerate(cases, 1):
                print(f"not ok {i} {case.__name__.replace('_', '-')} # setup failed", flush=True)
            return [FAIL]
    verdicts = []
    for i, case in enumerate(cases, 1):
        verdicts.append(_run(i, case, context))
        if verdicts[-1] == FAIL and os.environ.get("FAIL_FAST"):
            break
    return verdicts
