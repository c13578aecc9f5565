"""What happens to a pretraining run on a machine that is short of memory, time or patience."""

import json
import os
import pathlib
import shutil
import signal
import unittest

from support import (BINARY, RESOURCES, USAGE, E2ETestCase, environment, finish, make_model, make_packed,
                     pretrain_args, read_jsonl, sets, start, stop_after)

CLOCK = pathlib.Path(os.environ.get("BERTCRAM_CLOCK_LIBRARY", BINARY.parent / "jumping_clock.so")).resolve()


def weights(run):
    return (run / "model" / "model.safetensors").read_bytes()


def steps(run):
    return [line for line in read_jsonl(run / "metrics.jsonl") if "lr" in line]


class Memory(E2ETestCase):
    LARGE = {"model__hidden": 128, "model__layers": 2, "model__ffn": 512, "batch__rows": 1024, "batch__micro_rows": 1024,
             "eval__rows": 8}

    def run_within(self, limit, output, **more):
        arguments = pretrain_args(make_packed(), output, 2, **{**self.LARGE, **more})
        return self.bertcram(*arguments, *(["--memory-limit", limit] if limit else []))

    def test_a_pass_that_finds_no_memory_is_halved_and_the_step_stays_the_same(self):
        whole, tight = self.dir / "whole", self.dir / "tight"
        self.assert_ok(self.run_within(None, whole))
        result = self.assert_ok(self.run_within("500MiB", tight))
        self.assertIn("out of memory at step 1: going on with this step in passes of 512 rows", result.err)
        for ours, theirs in zip(steps(tight), steps(whole)):
            self.assertAlmostEqual(ours["loss"], theirs["loss"], places=4)
            self.assertAlmostEqual(ours["grad_norm"], theirs["grad_norm"], places=3)
        state = json.loads(next((tight / "checkpoints").glob("step-*/state.json")).read_text())
        self.assertLess(state["rows_per_pass"], 1024)

    def test_a_model_that_does_not_fit_at_all_ends_with_4(self):
        self.assert_fails(self.run_within("300MiB", self.dir / "run", model__hidden=4096, model__ffn=16384), RESOURCES,
                          "out of memory")
        self.assert_fails(self.run_within("8 gigs", self.dir / "run"), USAGE, "8 gigs", "8GiB")


class Time(E2ETestCase):

    def test_the_rate_falls_with_the_time_budget_of_which_some_is_kept_for_the_last_evaluation(self):
        # How many steps there are, and how long they take, is the machine's choice; what a line says follows from the one before.
        run, seconds, warmup = self.dir / "run", 3, 0.1
        arguments = pretrain_args(make_packed(), run, 1, schedule__warmup_frac=warmup, optim__learning_rate=1e-3)
        at = arguments.index("--steps")
        arguments[at:at + 2] = ["--budget", f"{seconds}s"]
        result = self.assert_ok(self.bertcram(*arguments, "--json"))
        lines = steps(run)
        for before, line in zip(lines, lines[1:]):
            self.assertLess(before["elapsed_seconds"], seconds, "a step after the budget")
            used = before["elapsed_seconds"] / seconds  # at least: a part of the budget is kept
            if used > warmup:
                self.assertLessEqual(line["lr"], 1e-3 * (1 - used) / (1 - warmup) + 1e-9, line)
        self.assertGreater(result.json["elapsed_seconds"], seconds * 0.75)
        state = json.loads(max((run / "checkpoints").glob("step-*/state.json")).read_text())
        self.assertGreater(state["reserved_seconds"], 0)
        self.assertGreater(result.json["elapsed_seconds"], lines[-1]["elapsed_seconds"])  # with the last evaluation

    def test_a_wall_clock_that_jumps_changes_nothing(self):
        command = lambda run: pretrain_args(make_packed(), run, 20, checkpoint__every_steps=5)
        self.assert_ok(self.bertcram(*command(self.dir / "calm")))
        self.assertTrue(CLOCK.exists(), CLOCK)
        self.assert_ok(self.bertcram(*command(self.dir / "jumping"), env=environment(LD_PRELOAD=CLOCK)))
        self.assertEqual(weights(self.dir / "jumping"), weights(self.dir / "calm"))
        for line in steps(self.dir / "jumping"):
            self.assertTrue(0 <= line["elapsed_seconds"] < 1000, line)
            self.assertGreater(line["tokens_per_second"], 0)

    def test_the_time_for_logging_checkpoints_and_data_is_recorded(self):
        run = self.dir / "run"
        self.assert_ok(self.bertcram(*pretrain_args(make_packed(), run, 20, checkpoint__every_steps=5)))
        for line in steps(run):
            self.assertTrue(0 < line["load_share"] < 1 and 0 <= line["overhead_share"] < 1, line)
        self.assertTrue(any(line["overhead_share"] > 0 for line in steps(run)))


class Impatience(E2ETestCase):

    def begun(self, run, **more):
        process = start(*pretrain_args(make_packed(), run, 4000, checkpoint__every_steps=50, eval__every_steps=500, **more))
        metrics = run / "metrics.jsonl"
        self.assertTrue(stop_after(process, lambda: metrics.exists() and metrics.read_bytes().count(b"\n") > 60))
        return process

    def test_a_storm_of_signals_ends_the_run_once(self):
        run = self.dir / "run"
        process = self.begun(run)
        for number in [signal.SIGTERM] + [signal.SIGTERM, signal.SIGINT, signal.SIGHUP] * 20:
            process.send_signal(number)
        result = finish(process)
        # Signals that arrive together are delivered in the order of their numbers.
        self.assertIn(result.code, (128 + signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGHUP))
        self.assertEqual(result.err.count("after writing a checkpoint"), 1)
        self.assertEqual(json.loads((run / "status.json").read_text())["state"], "stopped")
        self.assert_no_temporaries(run)

    def test_a_run_folder_that_vanishes_is_made_again(self):
        run = self.dir / "run"
        process = self.begun(run)
        shutil.rmtree(run, ignore_errors=True)
        self.assertTrue(stop_after(process, lambda: any((run / "checkpoints").glob("step-*"))))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(finish(process).code, 128 + signal.SIGTERM)
        newest = max((run / "checkpoints").glob("step-*"))
        step = int(newest.name.split("-")[1])
        again = self.assert_ok(self.bertcram(*pretrain_args(make_packed(), run, step + 5, checkpoint__every_steps=50,
                                                            eval__every_steps=500), "--allow-config-change"))
        self.assertIn(f"continuing from {newest.name}", again.err)

    def test_another_configuration_only_where_that_is_allowed(self):
        run = self.dir / "run"
        self.assert_ok(self.bertcram(*pretrain_args(make_packed(), run, 10)))
        longer = pretrain_args(make_packed(), run, 20, optim__learning_rate=1e-4)
        self.assert_fails(self.bertcram(*longer), USAGE, "budget.steps: 10 -> 20", "optim.learning_rate",
                          "--allow-config-change")
        result = self.assert_ok(self.bertcram(*longer, "--allow-config-change"))
        self.assertIn("optim.learning_rate", result.err)
        self.assertEqual([line["step"] for line in steps(run)], list(range(1, 21)))
        self.assert_fails(self.bertcram(*pretrain_args(make_packed(), run, 30, model__layers=3), "--allow-config-change"),
                          USAGE, "model.layers", "cannot change")


class Going(E2ETestCase):

    def test_a_run_goes_on_from_the_model_of_another(self):
        first, second = self.dir / "first", self.dir / "second"
        self.assert_ok(self.bertcram(*pretrain_args(make_packed(), first, 60, optim__learning_rate=5e-3)))
        begin = self.bertcram("eval", "--model", first / "model", "--data", make_packed(), "--json", "--precision", "fp32")
        self.assert_ok(self.bertcram("pretrain", "--data", make_packed(), "--output", second, "--init-from",
                                     first / "model", "--steps", 40, "--threads", 1, "--precision", "fp32",
                                     *sets(**{"batch.rows": 8, "batch.micro_rows": 4, "log_every_steps": 1,
                                              "optim.learning_rate": 1e-3})))
        self.assertLess(steps(second)[0]["loss"], begin.json["loss"] + 0.5)
        end = self.bertcram("eval", "--model", second / "model", "--data", make_packed(), "--json", "--precision", "fp32")
        self.assertLess(end.json["loss"], begin.json["loss"])

    def test_longer_rows_in_a_second_phase(self):
        longer = ["--data", make_packed(seq_len=64), "--threads", 1, "--precision", "fp32", "--steps", 10]
        second = self.dir / "second"
        first = make_model(arch="modern")  # of rows of 32
        self.assert_ok(self.bertcram("pretrain", *longer, "--output", second, "--init-from", first,
                                     *sets(**{"batch.rows": 8, "log_every_steps": 1})))
        before = self.bertcram("eval", "--model", first, "--data", make_packed(), "--json", "--precision", "fp32").json
        self.assertLess(steps(second)[0]["loss"], before["loss"] + 0.5)
        config = json.loads((second / "model" / "config.json").read_text())
        self.assertGreaterEqual(config["max_position_embeddings"], 64)
        self.assert_fails(self.bertcram("pretrain", *longer, "--output", self.dir / "bert", "--init-from", make_model()),
                          USAGE, "max_positions 32 is less than the rows of 64")

    def test_a_folder_that_is_none(self):
        self.assert_fails(self.bertcram("pretrain", "--data", make_packed(), "--output", self.dir / "run", "--init-from",
                                        self.dir / "nothing", "--steps", 1), 3, "nothing", "config.json")


if __name__ == "__main__":
    unittest.main(verbosity=2)
