"""kill -9 at chosen calls of pretrain and finetune-glue: what counts as finished is complete, and the same command goes
on to exactly what it would have written without the kill. A run without a kill tells which calls there are.
"""

import json
import shutil
import signal
import unittest

from interruption import CrashTestCase, calls_like, content, recorded, signal_at
from support import fixtures, finetune_args, make_model, make_packed, make_task, must, pretrain_args, read_jsonl

# ---- pretrain --------------------------------------------------------------------------------------------------------

def run_command(output):
    return pretrain_args(make_packed(), output, 8, model__dropout=0.1, checkpoint__every_steps=2, checkpoint__keep=1,
                         eval__every_steps=3)


def checkpoint_tensors(run):
    return {path.relative_to(run): path.read_bytes() for path in run.glob("checkpoints/step-*/*.safetensors")}


def recorded_figures(run):
    """metrics.jsonl without the lines that start a session and without times."""
    lines = [line for line in read_jsonl(run / "metrics.jsonl") if "event" not in line]
    return [{key: value for key, value in line.items() if key not in ("elapsed_seconds", "tokens_per_second", "mfu",
                                                                     "memory_bytes", "load_share", "overhead_share")}
            for line in lines]


class Pretrain(CrashTestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = fixtures() / "crash-pretrain"
        cls.root.mkdir()
        cls.calls = recorded(cls.root, run_command(cls.root / "out"))
        cls.whole = cls.root / "out"
        # All checkpoints that a run of these settings can have.
        must(*run_command(cls.root / "kept"), "--set", "checkpoint.keep=9")
        cls.tensors = checkpoint_tensors(cls.root / "kept")

    def setUp(self):
        super().setUp()
        self.assertEqual(len(self.tensors), 4 * 3)

    def check_killed(self):
        """Every checkpoint that has its name is complete; so is a model with its config.json."""
        for checkpoint in self.out.glob("checkpoints/step-*"):
            self.assertEqual(json.loads((checkpoint / "state.json").read_text())["step"], int(checkpoint.name[5:]))
            self.assertEqual(len([path for path in checkpoint.iterdir() if ".tmp-" not in path.name]), 4, checkpoint)
        for name, data in checkpoint_tensors(self.out).items():
            self.assertEqual(data, self.tensors[name], name)
        if (self.out / "model" / "config.json").exists():
            self.assertEqual(content(self.out / "model"), content(self.whole / "model"))

    def killed(self, call, calls="*"):
        self.kill(run_command(self.out), call, calls)
        self.check_killed()

    def finish(self):
        """The run continues, without a complaint, to the end of the whole one."""
        newest = max((path.name for path in self.out.glob("checkpoints/step-*")), default=None)
        result = self.assert_ok(self.bertcram(*run_command(self.out)))
        self.assertNotRegex(result.err, r"(?m)^\S+ W ")
        if newest:
            self.assertIn(f"continuing from {newest} ", result.err)
        self.assertEqual(content(self.out / "model"), content(self.whole / "model"))
        self.assertEqual(recorded_figures(self.out), recorded_figures(self.whole))
        self.check_killed()
        self.assert_no_temporaries()

    def killed_one_after_another(self, *globs):
        """Sessions that are killed each at the first of its calls like the next glob, and one that ends the run."""
        for glob in globs:
            with self.subTest(killed_at=glob):
                self.killed(1, glob)
        self.finish()

    def test_kills_while_the_run_starts(self):
        self.killed_one_after_another("write */out/.lock", "rename */out/config.yaml", "rename */latest",
                                      "write */out/metrics.jsonl")

    def test_kills_while_a_checkpoint_is_written(self):
        self.killed_one_after_another(
            "write */.partial-*/first_moments.safetensors.tmp*", "rename */.partial-*/state.json",
            "rename */checkpoints/step-0000000002", "rename */checkpoints/step-0000000004",
            "rename */checkpoints/.partial-step-0000000002", "remove *weights.safetensors",
            "rename */checkpoints/step-0000000008")

    def test_kills_while_the_last_evaluation_is_made_up_for(self):
        # A stop at the last step: its checkpoint is written, its evaluation on all rows is not made.
        lines = max(calls_like(self.calls, "write out/metrics.jsonl"))
        last_step = sum(call <= lines for call in calls_like(self.calls, "write out/metrics.jsonl")) - 1
        stopped = signal_at(last_step, "write */out/metrics.jsonl", signal.SIGTERM)
        self.assertEqual(self.bertcram(*run_command(self.out), env=stopped).code, 128 + signal.SIGTERM)
        self.check_killed()
        self.assertEqual([path.name for path in (self.out / "checkpoints").iterdir()], ["step-0000000008"])
        self.killed_one_after_another("write */step-0000000008/state.json.tmp*", "rename */step-0000000008/state.json",
                                      "rename */model/model.safetensors")

    def test_kills_while_the_model_is_written(self):
        self.killed_one_after_another("rename */model/vocab.txt", "rename */model/model.safetensors",
                                      "rename */model/config.json")

    def test_a_kill_before_older_checkpoints_are_removed(self):
        self.killed(1, "rename */checkpoints/.partial-step-0000000006")
        self.finish()
        self.assertEqual([path.name for path in (self.out / "checkpoints").iterdir()], ["step-0000000008"])

    def test_a_kill_before_the_run_says_that_it_is_finished(self):
        self.killed(max(calls_like(self.calls, "rename out/status.json")))
        self.finish()
        self.assertEqual(json.loads((self.out / "status.json").read_text())["state"], "finished")

    def test_kills_at_any_call(self):
        for number in sorted({len(self.calls), *self.drawn(range(1, len(self.calls)), 2)}):
            with self.killed_at(self.calls, number):
                shutil.rmtree(self.out, ignore_errors=True)
                self.killed(number)
                self.finish()


# ---- finetune-glue ---------------------------------------------------------------------------------------------------

def scores(folder):
    """results.json without what may differ: times."""
    def strip(value):
        if isinstance(value, dict):
            return {key: strip(each) for key, each in value.items() if "second" not in key}
        return [strip(each) for each in value] if isinstance(value, list) else value
    return strip(json.loads((folder / "results.json").read_text()))


class Finetune(CrashTestCase):
    SEEDS = 2

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = fixtures() / "crash-finetune"
        cls.task = make_task(cls.root / "task")
        cls.calls = recorded(cls.root, cls.command(cls.root / "out"))
        cls.whole = scores(cls.root / "out")

    @classmethod
    def command(cls, output, *more):
        return finetune_args(cls.task, make_model(), output, cls.SEEDS, *more)

    def seeds_done(self):
        """The seeds in results.json, each with the scores that it has to have."""
        if not (self.out / "results.json").exists():
            return 0
        seeds = scores(self.out)["tasks"]["pets"]["seeds"]
        self.assertEqual(seeds, self.whole["tasks"]["pets"]["seeds"][:len(seeds)])
        return len(seeds)

    def test_a_kill_gives_the_same_scores(self):
        written = sorted(calls_like(self.calls, "rename out/results.json"))
        self.assertEqual(len(written), self.SEEDS)
        for number in sorted({len(self.calls), *written, max(calls_like(self.calls, "rename out/settings.json"))}):
            with self.killed_at(self.calls, number):
                shutil.rmtree(self.out, ignore_errors=True)
                self.kill(self.command(self.out), number)
                self.assertEqual(self.seeds_done(), sum(call < number for call in written))
                self.assert_ok(self.bertcram(*self.command(self.out)))
                self.assertEqual(scores(self.out), self.whole)
                self.assert_no_temporaries()

    def test_kills_while_a_model_is_saved(self):
        command = self.command(self.out, "--save-models", "all")
        self.assert_ok(self.bertcram(*self.command(self.dir / "whole", "--save-models", "all")))
        for glob in ("rename */pets-seed0/model/model.safetensors", "rename */pets-seed0/model/config.json",
                     "rename */out/results.json"):
            with self.subTest(killed_at=glob):
                self.kill(command, 1, glob)
                self.seeds_done()
        self.assert_ok(self.bertcram(*command))
        self.assertEqual(scores(self.out), self.whole)
        for seed in range(self.SEEDS):
            saved = content(self.out / f"pets-seed{seed}" / "model")
            self.assertIn("config.json", saved)
            self.assertEqual(saved, content(self.dir / "whole" / f"pets-seed{seed}" / "model"))

    def test_kills_before_the_best_model_has_its_name(self):
        for call in (1, 2):  # of the first run; by the second session, which gives that one its name before the next
            with self.subTest(call=call):
                self.kill(self.command(self.out), call, "rename */out/pets")
        self.assert_ok(self.bertcram(*self.command(self.out)))
        self.assertEqual(scores(self.out), self.whole)
        whole = self.root / "out"
        self.assertEqual((self.out / "pets").readlink(), (whole / "pets").readlink())
        self.assertTrue((self.out / "pets" / "config.json").exists())
        self.assertEqual(*([path.parent.name for path in sorted(folder.glob("pets-seed*/model"))]
                           for folder in (self.out, whole)))
        self.assert_no_temporaries()

    def test_temporary_files_of_a_killed_session_are_cleared(self):
        command = self.command(self.out, "--save-models", "all")
        self.kill(command, 1, "rename */pets-seed0/model/model.safetensors")
        self.assert_ok(self.bertcram(*command))
        self.assert_no_temporaries()

    def test_sigint_keeps_what_is_finished(self):
        stopped = signal_at(1, "rename */out/results.json", signal.SIGINT)
        result = self.bertcram(*self.command(self.out), env=stopped)
        self.assertEqual(result.code, 128 + signal.SIGINT, result)
        self.assert_clean_stderr(result)
        self.assertEqual(self.seeds_done(), 1)
        self.assert_ok(self.bertcram(*self.command(self.out)))
        self.assertEqual(scores(self.out), self.whole)


if __name__ == "__main__":
    unittest.main(verbosity=2)
