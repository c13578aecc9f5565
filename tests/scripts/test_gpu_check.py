"""scripts/gpu_check.py without a GPU: a part that fails, hangs or cannot be done does not take the others along."""
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import types
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def load():
    spec = importlib.util.spec_from_file_location("gpu_check", ROOT / "scripts" / "gpu_check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class GpuCheck(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bertcram-gpu-check-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.module = load()
        options = types.SimpleNamespace(cpu=True, logs=self.folder, train_seconds=1)
        self.check = self.module.Check(options, self.folder)

    def test_a_part_that_is_done_gives_its_figures(self):
        part = self.check.part("good", 10, lambda check: {"printed": check.run("echo", "words")})
        self.assertEqual((part["state"], part["figures"]), ("ok", {"printed": "words\n"}))
        self.assertIn("$ echo words", (self.folder / "good.txt").read_text())

    def test_a_command_that_fails_fails_its_part_and_shows_its_last_words(self):
        part = self.check.part("bad", 10, lambda check: check.run("sh", "-c", "echo the reason >&2; exit 3"))
        self.assertEqual(part["state"], "failed")
        self.assertIn("code 3", part["reason"])
        self.assertIn("the reason", part["tail"])

    def test_a_part_that_hangs_is_stopped_with_all_its_processes(self):
        marker = self.folder / "pid"
        begin = time.monotonic()
        part = self.check.part("slow", 1, lambda check: check.run("sh", "-c", f"sleep 600 & echo $! >{marker}; wait"))
        self.assertEqual(part["state"], "failed")
        self.assertIn("not done after 1 s", part["reason"])
        self.assertLess(time.monotonic() - begin, 30)
        deadline = time.monotonic() + 10
        while pathlib.Path(f"/proc/{int(marker.read_text())}/cmdline").exists() and time.monotonic() < deadline:
            if pathlib.Path(f"/proc/{int(marker.read_text())}/cmdline").read_bytes() == b"":
                break  # a zombie that nobody has collected yet
            time.sleep(0.05)
        self.assertLess(time.monotonic(), deadline)

    def test_a_mistake_of_ours_fails_its_part_alone(self):
        self.assertEqual(self.check.part("mistake", 10, lambda check: {}["no such key"])["state"], "failed")

    def test_what_needs_a_gpu_says_that_there_is_none(self):
        for part in (self.module.gpu_tests, self.module.bench("bert-base.yaml"), self.module.peers("base")):
            result = self.check.part("gpu", 10, part)
            self.assertEqual((result["state"], result["reason"]), ("skipped", "no GPU"))

    def test_when_all_time_is_used_up_the_rest_is_skipped(self):
        self.check.begin_all -= self.module.ALL_SECONDS
        result = self.check.part("late", 10, lambda check: check.run("true"))
        self.assertEqual((result["state"], result["reason"]), ("skipped", "no time left"))

    def test_without_a_gpu_it_asks_for_cpu(self):
        if self.module.gpu_count() > 0:
            self.skipTest("there is a GPU")
        done = subprocess.run([sys.executable, ROOT / "scripts" / "gpu_check.py", self.folder / "out.json"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 4)
        self.assertIn("--cpu", done.stderr)
        self.assertFalse((self.folder / "out.json").exists())

    def test_on_a_cpu_it_trains_and_writes_one_file(self):
        results = self.folder / "out.json"
        environment = {**os.environ, "BERTCRAM_TORCH_DIR": str(next(ROOT.glob(".deps/venv/lib/python3*/site-packages/torch")))}
        done = subprocess.run([ROOT / "scripts" / "gpu_check.sh", results, "--cpu", "--train-seconds", "3"], capture_output=True, text=True,
                              env=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.strip(), str(results))
        found = json.loads(results.read_text())
        self.assertIn("bertcram", found["machine"]["bertcram"])
        states = {name: part["state"] for name, part in found["parts"].items() if not name.startswith("peers")}
        done = {name for name, state in states.items() if state == "ok"}
        self.assertEqual(done, {"bench_mini", "training"})
        self.assertEqual({states[name] for name in states.keys() - done}, {"skipped"})
        self.assertGreater(found["parts"]["training"]["figures"]["held_out"]["loss"], 0)


if __name__ == "__main__":
    unittest.main()
