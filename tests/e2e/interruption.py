"""Signals at exact moments, independent of time: tests/tools/kill_at_call.cpp, preloaded into bertcram, counts the
calls that change files and raises a signal just before the Nth. A call reads 'name path': 'rename /…/manifest.json'.

BERTCRAM_KILL_LIBRARY names the library (default kill_at_call.so beside the binary). Some calls are drawn from a seed,
which a failure prints; BERTCRAM_TEST_SEED=N repeats it.
"""

import fnmatch
import os
import pathlib
import random
import re
import signal

from support import BINARY, TEMPORARY, E2ETestCase, environment, must, snapshot

LIBRARY = pathlib.Path(os.environ.get("BERTCRAM_KILL_LIBRARY", BINARY.parent / "kill_at_call.so")).resolve()
SEED = int(os.environ.get("BERTCRAM_TEST_SEED", "20240607"))


def _preloaded(calls, **more):
    if not LIBRARY.exists():
        raise AssertionError(f"{LIBRARY} is not there; build it, or name one with BERTCRAM_KILL_LIBRARY")
    return environment(LD_PRELOAD=LIBRARY, BERTCRAM_CALLS=calls, **more)


def signal_at(call, calls="*", number=signal.SIGKILL):
    """The environment in which bertcram gets a signal just before its call number `call`, from 1, of those that match
    the glob `calls`."""
    return _preloaded(calls, BERTCRAM_KILL_AT=call, BERTCRAM_KILL_SIGNAL=int(number))


def recording(file):
    """The environment in which bertcram writes its calls into `file`, a line each."""
    return _preloaded("*", BERTCRAM_COUNT_CALLS=file)


def wait_until_stopped(process):
    """Waits for the SIGSTOP of signal_at(…, number=SIGSTOP)."""
    state = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    if state.si_code != os.CLD_STOPPED:
        raise AssertionError("the process ended before the call at which it was to stop")


# ---- crash tests -----------------------------------------------------------------------------------------------------

def content(folder):
    """{name within the folder: bytes} of what is neither hidden nor temporary."""
    named = {pathlib.Path(name).relative_to(folder): data for name, data in snapshot(folder).items()}
    return {str(name): data for name, data in named.items()
            if not any(part.startswith(".") or TEMPORARY.search(part) for part in name.parts)}


def recorded(root, command):
    """Runs the command to its end; @return its calls, with paths from `root`"""
    file = root / "calls"
    must(*command, env=recording(file))
    lines = file.read_text().splitlines()
    file.unlink()
    return [re.sub(r"\.tmp-\d+$", ".tmp", line.replace(f"{root}/", "")) for line in lines]


def calls_like(calls, *globs):
    """The numbers, from 1, of the calls that match a glob; there is one for each."""
    found = {glob: [number for number, call in enumerate(calls, 1) if fnmatch.fnmatchcase(call, glob)]
             for glob in globs}
    if not all(found.values()):
        raise AssertionError(f"no call is like {[glob for glob in globs if not found[glob]]}: {calls}")
    return set().union(*found.values())


class CrashTestCase(E2ETestCase):

    def setUp(self):
        super().setUp()
        self.out = self.dir / "out"

    def drawn(self, numbers, count):
        return set(random.Random(f"{SEED} {self.id()}").sample(sorted(numbers), count))

    def kill(self, command, call, calls="*"):
        result = self.bertcram(*command, env=signal_at(call, calls))
        self.assertEqual(result.code, -signal.SIGKILL, f"not killed at call {call} of {calls!r}{result}")

    def killed_at(self, calls, number):
        return self.subTest(f"killed at call {number} of {len(calls)}, {calls[number - 1]} (seed {SEED})")
