"""scripts/wandb_sync.sh: what it hands to wandb, by a stand-in for that package (the real one was tried by hand, see
docs/monitoring.md)."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "wandb_sync.sh"
STAND_IN = '''
import json, os, pathlib

class Run:
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def log(self, numbers, step): tell({"step": step, **numbers})

def tell(message):
    with pathlib.Path(os.environ["TOLD"]).open("a") as file: file.write(json.dumps(message) + "\\n")

def init(**options):
    tell(options)
    return Run()
'''


class Sync(unittest.TestCase):

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.dir = pathlib.Path(holder.name)
        self.packages = self.dir / "packages"
        self.packages.mkdir()
        (self.packages / "wandb.py").write_text(STAND_IN)
        (self.packages / "yaml.py").write_text("def safe_load(text): return {'text': text}\n")
        self.told_file = self.dir / "told"

    def sync(self, *args, packages=True):
        env = dict(os.environ, TOLD=str(self.told_file), PYTHON=sys.executable)
        env["PYTHONPATH"] = str(self.packages if packages else self.dir)
        if not packages:  # whatever is installed
            (self.dir / "wandb.py").write_text("raise ImportError\n")
        return subprocess.run([str(SCRIPT), *map(str, args)], env=env, capture_output=True, text=True, timeout=60)

    def make_run(self, name, *lines):
        run = self.dir / name
        run.mkdir()
        (run / "metrics.jsonl").write_text("".join(lines))
        (run / "config.yaml").write_text("seed: 1\n")
        return run

    def told(self):
        return [json.loads(line) for line in self.told_file.read_text().splitlines()]

    def test_every_number_goes_by_its_step_and_nothing_else(self):
        run = self.make_run("first", '{"event":"start","step":0,"seed":3}\n', '{"step":1,"loss":5.5,"mfu":null,"tokens":8}\n',
                            '{"step":2,"loss":5,"tokens":16}\n', '{"step":2,"eval_loss":4.5,"samples":[{"before":"a"}]}\n', "damaged\n",
                            '{"step":3,"lo')
        done = self.sync("--project", "mine", run)
        self.assertEqual(done.returncode, 0, done.stderr)
        options, *steps = self.told()
        self.assertEqual((options["project"], options["name"], options["config"]), ("mine", "first", {"text": "seed: 1\n"}))
        self.assertEqual(steps, [{"step": 1, "train/loss": 5.5, "train/tokens": 8},
                                 {"step": 2, "train/loss": 5, "train/tokens": 16, "eval/loss": 4.5}])

    def test_a_run_that_went_on_gets_another_id_in_the_same_group(self):
        run = self.make_run("first", '{"step":1,"loss":5.5}\n')
        self.sync(run)
        self.sync(run)
        with (run / "metrics.jsonl").open("a") as file:
            file.write('{"step":2,"loss":5}\n')
        self.sync(run)
        first, again, longer = [message for message in self.told() if "id" in message]
        self.assertEqual(first["id"], again["id"])
        self.assertNotEqual(first["id"], longer["id"])
        self.assertEqual(first["group"], longer["group"])

    def test_what_is_wrong_is_said_before_anything_is_sent(self):
        run = self.make_run("first", '{"step":1,"loss":5.5}\n')
        for args, code, word in (([], 2, "no run given"), (["--project"], 2, "needs a name"), ([run, self.dir / "none"], 3, "no metrics.jsonl")):
            done = self.sync(*args)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(word, done.stderr)
        self.assertFalse(self.told_file.exists())
        done = self.sync(run, packages=False)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("pip install wandb", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
