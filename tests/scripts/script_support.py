"""Shared by the tests of the scripts: runs them in a scratch folder against a DataServer."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from data_server import DataServer

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path(os.environ.get("BERTCRAM_DATA_DIR") or ROOT.parent / "shared" / "data")
HUNG_SECONDS = 120
DONE, USAGE, INPUT, RESOURCES = 0, 2, 3, 4

# One fetch_file as the scripts do it: DIR FILE BYTES SHA256 URL…
FETCH = '. "$ROOT/scripts/lib.sh"; . "$ROOT/scripts/fetch.sh"; fetch_begin "$1"; shift; fetch_file "$@"'


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def environment(**extra):
    env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith("BERTCRAM_FETCH")}
    # No waiting between attempts, and a connection counts as stalled after a second: nothing here is slow by itself.
    env.update({"ROOT": str(ROOT), "BERTCRAM_FETCH_WAIT": "0", "BERTCRAM_FETCH_TRIES": "3", "BERTCRAM_FETCH_STALL": "1"})
    env.update(extra)
    return env


class ScriptTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bertcram-scripts-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.server = DataServer({})
        self.addCleanup(self.server.close)
        self.pages = self.server.pages

    def url(self, path):
        return self.server.url(path)

    def run_script(self, *command, **extra):
        return subprocess.run([str(word) for word in command], cwd=self.folder, env=environment(**extra), text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=HUNG_SECONDS)

    def script(self, name, *words, **extra):
        return self.run_script(ROOT / "scripts" / name, *words, **extra)

    def fetch(self, file, size, checksum, *urls, **extra):
        """fetch_file of scripts/fetch.sh; the file is named from the scratch folder."""
        return self.run_script("bash", "-euo", "pipefail", "-c", FETCH, "fetch", self.folder, self.folder / file, size,
                               checksum, *urls, **extra)

    def assert_code(self, result, code):
        self.assertEqual(result.returncode, code, f"\n--- stdout\n{result.stdout}\n--- stderr\n{result.stderr}")

    def read(self, file):
        return (self.folder / file).read_bytes()

    def part(self, file):
        path = self.folder / file
        return path.parent / ".fetch" / f"{path.name}.part"
