"""finetune-glue: several commands that share a folder, and folders that lack something or are damaged."""

import json
import shutil
import signal
import unittest

from glue_folders import arguments, make_glue
from interruption import signal_at, wait_until_stopped
from support import INPUT, USAGE, E2ETestCase, finish, flip_byte, make_model, make_task, must, start


class Runs(E2ETestCase):
    def setUp(self):
        super().setUp()
        self.out = self.dir / "out"

    def results(self, folder=None):
        return json.loads(((folder or self.out) / "results.json").read_text())

    def seeds(self, task):
        return [seed["seed"] for seed in self.results()["tasks"][task]["seeds"]]

    def test_the_best_run_is_that_of_all_commands(self):
        data = make_glue(self.dir / "glue", "rte")
        whole = self.dir / "whole"
        options = ["--task", "rte", "--errors", 2]
        must(*arguments(data, whole, *options, seeds=4))
        must(*arguments(data, self.out, *options, seeds=3))
        for more in (["--first-seed", 3], [], ["--first-seed", 1]):
            with self.subTest(more):
                must(*arguments(data, self.out, *options, *more, seeds=1))
                self.assertEqual(self.results(), self.results(whole))
                self.assertEqual((self.out / "rte").readlink(), (whole / "rte").readlink())
                self.assertEqual((self.out / "errors.tsv").read_bytes(), (whole / "errors.tsv").read_bytes())
                self.assertEqual([path.parent.name for path in self.out.glob("rte-seed*/model")],
                                 [(whole / "rte").readlink().parent.name])

    def test_a_command_that_keeps_no_models_leaves_those_of_others(self):
        data = make_glue(self.dir / "glue", "rte")
        must(*arguments(data, self.out, "--task", "rte", seeds=1))
        must(*arguments(data, self.out, "--task", "rte", "--first-seed", 1, "--save-models", "none", seeds=2))
        self.assertEqual([path.parent.name for path in self.out.glob("rte-seed*/model")], ["rte-seed0"])

    def test_a_task_that_others_only_start_from_is_trained_once(self):
        data = make_glue(self.dir / "glue", "rte", "mnli")
        must(*arguments(data, self.out, "--task", "rte", "--protocol", "transfer", seeds=3))
        self.assertEqual(self.seeds("mnli"), [0])
        self.assertEqual(self.seeds("rte"), [0, 1, 2])
        must(*arguments(data, self.out, "--task", "rte,mnli", "--protocol", "transfer", seeds=2))
        self.assertEqual(self.seeds("mnli"), [0, 1])

    def test_a_damaged_run_stops_no_other_task(self):
        data = make_glue(self.dir / "glue", "rte", "sst2")
        must(*arguments(data, self.out, "--task", "rte", seeds=2))
        unit = self.out / "rte-seed0" / "unit.json"
        unit.write_bytes(unit.read_bytes()[:100])
        result = must(*arguments(data, self.out, "--task", "sst2", seeds=1))
        self.assertIn("rte-seed0/unit.json", result.err)
        self.assertIn("it does not count", result.err)
        self.assertEqual((self.seeds("sst2"), self.seeds("rte")), ([0], [1]))
        result = self.bertcram(*arguments(data, self.out, "--task", "rte,sst2", seeds=2))
        self.assertEqual(result.code, INPUT, result)
        self.assertIn("remove the folder", result.error_lines[-1])
        self.assertEqual((self.seeds("sst2"), sorted(self.results()["failed"])), ([0, 1], ["rte"]))
        shutil.rmtree(unit.parent)
        must(*arguments(data, self.out, "--task", "rte,sst2", seeds=2))
        self.assertEqual(self.seeds("rte"), [0, 1])

    def test_seeds_that_did_not_fail_give_no_score_in_later_commands_either(self):
        data = make_glue(self.dir / "glue", "rte", "sst2")
        command = arguments(data, self.out, "--task", "rte", seeds=2)
        stopped = self.bertcram(*command, env=signal_at(1, "rename */rte-seed0/unit.json", signal.SIGTERM))
        self.assertEqual(stopped.code, 128 + signal.SIGTERM, stopped)
        self.assertEqual(self.seeds("rte"), [0])
        (weights,) = self.out.glob("rte-seed1/checkpoints/step-*/weights.safetensors")
        weights.unlink()
        weights.symlink_to(weights.name)  # "too many levels": seed 1 fails, and may not begin again
        self.assert_fails(self.bertcram(*command), INPUT, "weights.safetensors")
        self.assertEqual((self.results()["tasks"], list(self.results()["failed"])), ({}, ["rte"]))
        result = must(*arguments(data, self.out, "--task", "sst2", "--errors", 9, seeds=1))
        self.assertIn("failed: rte: ", result.text)
        self.assertEqual((list(self.results()["tasks"]), list(self.results()["failed"])), (["sst2"], ["rte"]))
        shutil.rmtree(self.out / "rte-seed1")
        must(*command)
        self.assertEqual(self.seeds("rte"), [0, 1])
        self.assertNotIn("failed", self.results())

    def paused_behind_the_first_run(self, command):
        """The command, stopped by SIGSTOP; the caller continues it."""
        process = start(*command, env=signal_at(1, "rename */rte-seed0/unit.json", signal.SIGSTOP))
        wait_until_stopped(process)
        return process

    def test_a_link_to_the_model_is_followed_once(self):
        data = make_glue(self.dir / "glue", "rte")
        for name in ("first", "second"):
            shutil.copytree(make_model().parent, self.dir / name)
        flip_byte(self.dir / "second" / "model" / "model.safetensors")
        latest = self.dir / "latest"
        latest.symlink_to("first")
        command = arguments(data, self.out, "--task", "rte", seeds=2)
        command[2:3] = [latest / "model"]
        del command[command.index("--output"):command.index("--output") + 2]
        process = self.paused_behind_the_first_run(command)
        latest.unlink()
        latest.symlink_to("second")
        process.send_signal(signal.SIGCONT)
        self.assert_ok(finish(process))
        self.assertFalse((self.dir / "second" / "glue").exists())
        must(*arguments(data, self.out, "--task", "rte", seeds=2))
        scores = self.dir / "first" / "glue"
        self.assertEqual(self.results(scores), self.results())
        self.assertEqual(*((folder / "rte-seed1" / "predictions.rte.tsv").read_bytes() for folder in (scores, self.out)))
        latest.unlink()
        latest.symlink_to("first")
        self.assertIn("2 runs are there already", must(*command).err)

    def test_a_model_that_changes_meanwhile_ends_the_command(self):
        data = make_glue(self.dir / "glue", "rte", "sst2")
        model = self.copy(make_model(), "model")
        command = arguments(data, self.out, "--task", "rte,sst2", seeds=2)
        command[2:3] = [model]
        process = self.paused_behind_the_first_run(command)
        before = (model / "model.safetensors").read_bytes()
        flip_byte(model / "model.safetensors")
        process.send_signal(signal.SIGCONT)
        self.assert_fails(finish(process), INPUT, model, "changed while it was fine-tuned")
        self.assertEqual((self.seeds("rte"), list(self.results()["tasks"])), ([0], ["rte"]))
        self.assertNotIn("failed", self.results())
        self.assert_fails(self.bertcram(*command), USAGE, "another --model")
        (model / "model.safetensors").write_bytes(before)
        must(*command)
        self.assertEqual((self.seeds("rte"), self.seeds("sst2")), ([0, 1], [0, 1]))

    def test_all_leaves_out_what_has_no_training_set_and_reports_what_has_no_dev_set(self):
        data = make_glue(self.dir / "glue", "rte", "sst2", "stsb")
        (data / "STS-B" / "train.tsv").unlink()
        result = must(*arguments(data, self.out, "--task", "all", seeds=1))
        self.assertRegex(result.err, r"W .*stsb: .*train\.tsv.*; it is left out")
        self.assertEqual(sorted(self.results()["tasks"]), ["rte", "sst2"])
        (data / "RTE" / "dev.tsv").rename(self.dir / "dev.tsv")
        result = self.bertcram(*arguments(data, self.dir / "other", "--task", "all", seeds=1))
        self.assertEqual(result.code, INPUT, result)
        self.assertIn("dev.tsv", result.error_lines[-1])
        found = self.results(self.dir / "other")
        self.assertEqual((sorted(found["tasks"]), sorted(found["failed"])), (["sst2"], ["rte"]))

    def test_the_protocols_own_values_are_no_change(self):
        data = make_glue(self.dir / "glue", "rte")
        command = arguments(data, self.out, "--task", "rte", "--protocol", "sane", seeds=1, epochs=5)
        must(*command, "--batch-rows", 16, "--learning-rate", "4e-5", "--dropout", "0.1", "--max-tokens", 128)
        self.assertEqual(self.results()["overrides"], {"max_tokens": "32"})  # the model takes no more
        command = [word for word in command if word not in ("--epochs", 5)]
        self.assertIn("1 run is there already", must(*command).err)
        self.assert_fails(self.bertcram(*command, "--batch-rows", 8), USAGE, "batch_rows: 0 -> 8")
        fresh = arguments(data, self.dir / "fresh", "--task", "rte", "--dropout=-0.5")
        self.assert_fails(self.bertcram(*fresh), USAGE, "--dropout -0.5", "or -1")
        self.assertFalse((self.dir / "fresh").exists())

    def test_a_run_that_goes_on_with_other_passes_says_so(self):
        data = make_glue(self.dir / "glue", "sst2", train=64)
        command = arguments(data, self.out, "--task", "sst2", "--protocol", "search", "--learning-rate", "1e-3", seeds=1, epochs=2)
        stopped = signal_at(1, "rename */best-epoch-1/config.json", signal.SIGTERM)
        self.assertEqual(self.bertcram(*command, env=stopped).code, 128 + signal.SIGTERM)
        again = must(*command, "--micro-rows", 4)
        self.assertIn("continues at step", again.err)
        self.assertRegex(again.err, r"W .*comes from .*passes of 32 rows; this session .*passes of 4 rows")
        unit = json.loads((self.out / "sst2-seed0" / "unit.json").read_text())
        self.assertEqual(unit["runtime"], "cpu (1 threads), fp32, passes of 4 rows")

    def test_results_hold_own_tasks_of_other_commands(self):
        data = make_glue(self.dir / "glue", "rte")
        must(*arguments(data, self.out, "--task-file", make_task(self.dir / "task"), seeds=2))
        before = self.results()["tasks"]["pets"]
        shutil.rmtree(self.dir / "task")
        must(*arguments(data, self.out, "--task", "rte", seeds=1))
        self.assertEqual(self.results()["tasks"]["pets"], before)
        self.assertEqual(self.seeds("rte"), [0])


if __name__ == "__main__":
    unittest.main(verbosity=2)
