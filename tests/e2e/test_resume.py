"""Interrupted work continues to exactly the same end: after kill -9 at any moment, after signals, after damage.

All moments come from one seed, which a failure prints; BERTCRAM_TEST_SEED=N repeats it.
"""

import json
import os
import pathlib
import random
import shutil
import signal
import time
import unittest

from support import (DONE, RESOURCES, E2ETestCase, finetune_args, finish, flip_byte, kill, make_model, make_packed,
                     make_task, make_text, make_tokenizer, must, pretrain_args, read_jsonl, snapshot, start, stop_after)

SEED = int(os.environ.get("BERTCRAM_TEST_SEED", "20240607"))
STEPS = 40
# Dropout on, so that its random state is part of what has to come back.
SETTINGS = {"model__dropout": 0.1, "model__layers": 2, "batch__rows": 16, "batch__micro_rows": 8,
            "checkpoint__every_steps": 5, "eval__every_steps": 10}


def command(output, **more):
    return pretrain_args(make_packed(), output, STEPS, **{**SETTINGS, **more})


def weights(run):
    return (pathlib.Path(run) / "model" / "model.safetensors").read_bytes()


def checkpoints(run):
    return sorted((pathlib.Path(run) / "checkpoints").glob("step-*"))


def last_step(run):
    """The newest step in metrics.jsonl, 0 before the first; a line may be half written."""
    try:
        lines = (pathlib.Path(run) / "metrics.jsonl").read_bytes().split(b"\n")[:-1]
        return max((json.loads(line).get("step", 0) for line in lines[-3:]), default=0)
    except (OSError, ValueError):
        return 0


def training_lines(run):
    return [line for line in read_jsonl(pathlib.Path(run) / "metrics.jsonl") if "lr" in line]


class ResumeTestCase(E2ETestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.whole = make_packed().parent / "resume-whole"  # made once for all classes
        if not cls.whole.exists():
            must(*command(cls.whole))

    def setUp(self):
        super().setUp()
        self.run_folder = self.dir / "run"
        self.random = random.Random(f"{SEED} {self.id()}")

    def assert_like_the_whole(self, run=None):
        """Same weights; every training step once, in order, with the same figures."""
        run = run or self.run_folder
        self.assertEqual(weights(run), weights(self.whole), f"other weights than uninterrupted (seed {SEED})")
        self.assertEqual([line["step"] for line in training_lines(run)], list(range(1, STEPS + 1)), f"seed {SEED}")
        for ours, theirs in zip(training_lines(run), training_lines(self.whole)):
            for key in ("step", "tokens", "loss", "lr", "grad_norm"):
                self.assertEqual(ours[key], theirs[key], f"{key} at step {ours['step']} (seed {SEED})")
        evaluations = [[(line["step"], line["eval_loss"]) for line in read_jsonl(pathlib.Path(folder) / "metrics.jsonl")
                        if "eval_loss" in line] for folder in (run, self.whole)]
        self.assertEqual(evaluations[0], evaluations[1], f"held-out losses (seed {SEED})")
        self.assertEqual(json.loads((pathlib.Path(run) / "status.json").read_text())["state"], "finished")
        self.assert_no_temporaries()

    def interrupt_when(self, condition, number=signal.SIGKILL, delay=0.0, **more):
        """Starts the run, sends the signal `delay` seconds after condition(); @return Result, or None if it was over"""
        process = start(*command(self.run_folder, **more))
        reached = stop_after(process, condition)
        if reached:
            time.sleep(delay)
            kill(process, number)
        result = finish(process)
        if not reached or result.code == DONE:
            self.assertEqual(result.code, DONE, result)
            return None
        return result

    def finish_run(self):
        return self.assert_ok(self.bertcram(*command(self.run_folder)))


class KillNine(ResumeTestCase):

    def test_the_same_command_twice_gives_the_same_weights(self):
        self.finish_run()
        self.assert_like_the_whole()

    def test_kills_at_random_steps(self):
        kills = 0
        for target in sorted(self.random.sample(range(1, STEPS), 9)):
            if last_step(self.run_folder) >= target:
                continue
            result = self.interrupt_when(lambda: last_step(self.run_folder) >= target,
                                         delay=self.random.uniform(0, 0.015))
            if result is None:
                break
            self.assertEqual(result.code, -signal.SIGKILL, result)
            kills += 1
        self.assertGreaterEqual(kills, 6, "the run was too quick to be killed")
        self.finish_run()
        self.assert_like_the_whole()

    def test_kills_during_start_up(self):
        for _ in range(4):
            end = time.monotonic() + self.random.uniform(0.02, 0.5)
            self.interrupt_when(lambda: time.monotonic() > end)
        self.finish_run()
        self.assert_like_the_whole()

    def test_kills_while_a_checkpoint_is_written(self):
        folder = self.run_folder / "checkpoints"

        def being_written():
            try:
                return any(name.startswith(".partial") for name in os.listdir(folder))
            except FileNotFoundError:
                return False

        kills = 0
        for _ in range(4):
            for left in folder.glob(".partial*") if folder.exists() else []:
                shutil.rmtree(left)  # so that the next one is seen, not this one's rest
            kills += self.interrupt_when(being_written, delay=self.random.uniform(0, 0.004)) is not None
        self.assertGreaterEqual(kills, 2, "no checkpoint was caught in the making")
        self.finish_run()
        self.assert_like_the_whole()

    def test_rests_of_a_killed_checkpoint_are_cleared(self):
        self.interrupt_when(lambda: len(checkpoints(self.run_folder)) >= 1)
        rest = self.run_folder / "checkpoints" / ".partial-step-0000000010"
        rest.mkdir(exist_ok=True)
        (rest / "weights.safetensors").write_bytes(b"half")
        self.finish_run()
        self.assert_like_the_whole()

    def test_temporary_files_of_a_killed_session_are_cleared(self):
        # A kill between open and rename leaves NAME.tmp-PID; for the weights of a real model that is 440 MB each time.
        self.interrupt_when(lambda: last_step(self.run_folder) >= 7)
        (self.run_folder / "model").mkdir(exist_ok=True)
        for name in ("status.json", "metrics.jsonl", "config.yaml", "model/model.safetensors"):
            (self.run_folder / f"{name}.tmp-4194303").write_bytes(b"half")
        self.finish_run()
        self.assert_like_the_whole()

    def test_a_kill_before_the_model_is_written(self):
        self.finish_run()
        shutil.rmtree(self.run_folder / "model")
        self.finish_run()
        self.assert_like_the_whole()

    def test_a_kill_amid_the_writing_of_the_model(self):
        # config.json comes last: without it the model is not complete, whichever other files are there.
        self.finish_run()
        complete = snapshot(self.run_folder / "model")
        self.assertGreaterEqual(len(complete), 5)
        for name in complete:
            with self.subTest(missing=pathlib.Path(name).name):
                pathlib.Path(name).unlink()
                (self.run_folder / "model" / "config.json").unlink(missing_ok=True)
                self.finish_run()
                after = snapshot(self.run_folder / "model")
                self.assertEqual(sorted(after), sorted(complete))
                self.assertTrue(all(after[file] == complete[file] for file in complete))

    def test_a_torn_last_line_of_the_metrics(self):
        self.interrupt_when(lambda: last_step(self.run_folder) >= 12)
        with (self.run_folder / "metrics.jsonl").open("ab") as file:
            file.write(b'{"step": 13, "lo')
        self.finish_run()
        self.assert_like_the_whole()


class Signals(ResumeTestCase):

    def stops(self, number, code):
        result = self.interrupt_when(lambda: last_step(self.run_folder) >= 7, number)
        self.assertIsNotNone(result)
        self.assertEqual(result.code, code, result)
        self.assert_clean_stderr(result)
        self.assertEqual(result.out, b"")
        self.assertIn("checkpoint", result.error_lines[-1] if result.error_lines else result.err.splitlines()[-1])
        self.assertIn("same command", result.err)
        steps = [int(path.name.split("-")[1]) for path in checkpoints(self.run_folder)]
        self.assertGreaterEqual(max(steps), 7)
        self.assertEqual(max(steps), last_step(self.run_folder), "the checkpoint is not of the last step")
        self.assertEqual(json.loads((self.run_folder / "status.json").read_text())["state"], "stopped")
        self.assert_no_temporaries()
        again = self.finish_run()
        self.assertIn(f"continuing from step-{max(steps):010}", again.err)
        self.assert_like_the_whole()

    def test_sigterm_ends_with_143_after_a_checkpoint(self):
        self.stops(signal.SIGTERM, 143)

    def test_sigint_ends_with_130_after_a_checkpoint(self):
        self.stops(signal.SIGINT, 130)

    def test_signals_of_several_sessions(self):
        for target, number in ((3, signal.SIGINT), (14, signal.SIGTERM), (26, signal.SIGINT)):
            self.interrupt_when(lambda: last_step(self.run_folder) >= target, number)
        self.finish_run()
        self.assert_like_the_whole()


class Damage(ResumeTestCase):

    def interrupted(self):
        self.interrupt_when(lambda: last_step(self.run_folder) >= 22, signal.SIGTERM)
        return checkpoints(self.run_folder)

    def test_a_damaged_newest_checkpoint_is_skipped(self):
        for file, offset in (("weights.safetensors", 4000), ("second_moments.safetensors", -1), ("state.json", 40)):
            with self.subTest(file=file):
                shutil.rmtree(self.run_folder, ignore_errors=True)
                older, newest = self.interrupted()[-2:]
                flip_byte(newest / file, offset)
                result = self.finish_run()
                self.assertRegex(result.err, rf"(?m)^\S+ W .*{newest.name}.*")
                self.assertIn(f"continuing from {older.name}", result.err)
                self.assert_clean_stderr(result)
                self.assert_like_the_whole()

    def test_a_truncated_newest_checkpoint_is_skipped(self):
        *_, newest = self.interrupted()
        path = newest / "first_moments.safetensors"
        path.write_bytes(path.read_bytes()[:100])
        result = self.finish_run()
        self.assertRegex(result.err, rf"(?m)^\S+ W .*{newest.name}")
        self.assert_like_the_whole()

    def test_a_missing_file_of_the_newest_checkpoint(self):
        *_, newest = self.interrupted()
        (newest / "weights.safetensors").unlink()
        self.finish_run()
        self.assert_like_the_whole()

    def test_all_checkpoints_damaged_is_refused_and_nothing_lost(self):
        for checkpoint in self.interrupted():
            flip_byte(checkpoint / "weights.safetensors", 3000)
        with self.unharmed(self.run_folder / "checkpoints"):
            self.assert_fails(self.bertcram(*command(self.run_folder)), 3, "checkpoints", "remove")
        shutil.rmtree(self.run_folder / "checkpoints")
        self.finish_run()
        self.assert_like_the_whole()

    def test_a_damaged_checkpoint_that_was_asked_for_is_refused(self):
        *_, newest = self.interrupted()
        flip_byte(newest / "weights.safetensors", 3000)
        with self.unharmed(self.run_folder):
            self.assert_fails(self.bertcram(*command(self.run_folder), "--resume", newest), 3, newest.name, "checksum")

    def test_resume_from_a_named_older_checkpoint(self):
        older = self.interrupted()[0]
        self.assert_ok(self.bertcram(*command(self.run_folder), "--resume", older))
        self.assert_like_the_whole()

    def test_resume_from_a_missing_folder(self):
        self.assert_fails(self.bertcram(*command(self.run_folder), "--resume", self.dir / "absent"), (2, 3), "absent")

    def test_a_checkpoint_of_another_seed_is_refused(self):
        self.interrupted()
        with self.unharmed(self.run_folder):
            self.assert_fails(self.bertcram(*command(self.run_folder), "--seed", 5), 2, "seed: 0 -> 5")


class Runs(ResumeTestCase):

    def test_a_second_process_on_the_same_run_is_refused(self):
        process = start(*command(self.run_folder))
        try:
            self.assertTrue(stop_after(process, lambda: last_step(self.run_folder) >= 1))
            process.send_signal(signal.SIGSTOP)  # holds still while the other one tries
            result = self.bertcram(*command(self.run_folder))
            self.assert_fails(result, RESOURCES, self.run_folder, "in use", str(process.pid))
        finally:
            process.send_signal(signal.SIGCONT)
        self.assertEqual(finish(process).code, DONE)
        self.assert_like_the_whole()

    def test_a_session_killed_before_its_configuration_was_written(self):
        self.run_folder.mkdir(parents=True)
        (self.run_folder / "run.log").write_text("started\n")
        (self.run_folder / "config.yaml.tmp-12345").write_text("half")
        self.finish_run()
        self.assert_like_the_whole()

    def test_a_finished_run_is_left_as_it_is(self):
        self.finish_run()
        before = {name: content for name, content in snapshot(self.run_folder).items() if not name.endswith("run.log")}
        first = self.assert_ok(self.bertcram(*command(self.run_folder), "--json")).json
        after = {name: content for name, content in snapshot(self.run_folder).items() if not name.endswith("run.log")}
        self.assertEqual(sorted(before), sorted(after))
        for name in before:
            self.assertEqual(before[name], after[name], name)
        self.assertEqual(first["steps"], STEPS)

    def test_other_micro_rows_are_another_run_or_the_same_numbers(self):
        # Micro rows change only the order of sums; whether they count as "the same settings" is the program's choice,
        # but the run must not be damaged.
        self.interrupt_when(lambda: last_step(self.run_folder) >= 12, signal.SIGTERM)
        result = self.bertcram(*command(self.run_folder, batch__micro_rows=4))
        self.assertIn(result.code, (0, 2), result)
        if result.code == 2:
            self.assert_fails(result, 2, "batch.micro_rows: 8 -> 4")
            self.finish_run()
            self.assert_like_the_whole()
        self.assertTrue((self.run_folder / "model" / "config.json").exists())

    def test_the_budget_in_tokens_counts_all_sessions(self):
        tokens = 8 * 32 * 12
        base = ["pretrain", "--data", make_packed(), "--output", self.run_folder, "--tokens", tokens, "--threads", 1,
                *command(self.run_folder)[command(self.run_folder).index("--set"):]]
        base += ["--set", "batch.rows=8"]
        process = start(*base)
        stop_after(process, lambda: last_step(self.run_folder) >= 4)
        kill(process, signal.SIGTERM)
        finish(process)
        result = self.assert_ok(self.bertcram(*base, "--json"))
        self.assertEqual(result.json["tokens"], tokens)
        self.assertEqual(result.json["steps"], 12)

    def test_the_time_budget_ends_the_run(self):
        arguments = command(self.run_folder)
        at = arguments.index("--steps")
        arguments[at:at + 2] = ["--budget", "1s"]
        result = self.assert_ok(self.bertcram(*arguments, "--json"))
        self.assertGreaterEqual(result.json["elapsed_seconds"], 1.0)
        again = self.assert_ok(self.bertcram(*arguments, "--json"))
        self.assertEqual(again.json["steps"], result.json["steps"])


class KillPack(E2ETestCase):

    def test_pack_killed_at_random_moments_gives_the_same_shards(self):
        moments = random.Random(f"{SEED} pack")
        source = make_text(self.dir / "text.txt", documents=12_000, seed=9)
        arguments = ["--input", source, "--tokenizer", make_tokenizer(), "--seq-len", 32, "--valid-frac", 0.1,
                     "--threads", 1]
        must("pack", *arguments, "--output", self.dir / "whole")
        killed = self.dir / "killed"
        partial = killed / ".partial"

        def files_of_partial():
            try:
                return len(os.listdir(partial))
            except FileNotFoundError:
                return 0

        kills = 0
        for _ in range(7):
            for left in [partial] if partial.exists() else []:
                shutil.rmtree(left)  # so that this session's is seen
            process = start("pack", *arguments, "--output", killed)
            if stop_after(process, lambda: files_of_partial() > 0):
                time.sleep(moments.uniform(0, 0.12))
                kill(process)
            kills += finish(process).code == -signal.SIGKILL
            if (killed / "manifest.json").exists():
                break  # it was through
        self.assertGreaterEqual(kills, 1, f"seed {SEED}")
        self.assert_ok(self.bertcram("pack", *arguments, "--output", killed))
        names = sorted(path.name for path in (self.dir / "whole").glob("*.bin"))
        self.assertEqual(sorted(path.name for path in killed.glob("*.bin")), names)
        for name in [*names, "manifest.json"]:
            self.assertEqual((killed / name).read_bytes(), (self.dir / "whole" / name).read_bytes(), f"{name}, {SEED}")
        self.assert_no_temporaries()

    def test_pack_stopped_by_sigterm_leaves_nothing(self):
        source = make_text(self.dir / "text.txt", documents=12_000, seed=9)
        process = start("pack", "--input", source, "--tokenizer", make_tokenizer(), "--output", self.dir / "out",
                        "--seq-len", 32, "--threads", 1)
        self.assertTrue(stop_after(process, lambda: (self.dir / "out" / ".partial").exists()))
        kill(process, signal.SIGTERM)
        result = finish(process)
        if result.code == DONE:
            self.skipTest("pack was quicker than the signal")
        self.assertEqual(result.code, 143, result)
        self.assert_clean_stderr(result)
        self.assert_no_output(self.dir / "out")
        self.assert_no_temporaries()


class KillFinetune(E2ETestCase):

    def scores(self, folder):
        """results.json without what may differ: times."""
        def strip(value):
            if isinstance(value, dict):
                return {key: strip(each) for key, each in value.items() if "second" not in key}
            return [strip(each) for each in value] if isinstance(value, list) else value
        return strip(json.loads((folder / "results.json").read_text()))

    def test_killed_between_and_within_seeds_gives_the_same_scores(self):
        task = make_task(self.dir / "task", train_rows=300)
        seeds = 4
        more = ["--epochs", 3]
        must(*finetune_args(task, make_model(), self.dir / "whole", seeds, *more))
        out = self.dir / "killed"
        moments = random.Random(f"{SEED} finetune")
        kills = 0
        for done_before in (0, 1, 2, 3):
            def reached():
                try:
                    return len(json.loads((out / "results.json").read_text())["tasks"]["pets"]["seeds"]) >= done_before
                except (OSError, ValueError, KeyError):
                    return done_before == 0 and out.exists()
            process = start(*finetune_args(task, make_model(), out, seeds, *more))
            if stop_after(process, reached):
                time.sleep(moments.uniform(0, 0.1))
                kill(process)
            kills += finish(process).code == -signal.SIGKILL
        self.assertGreaterEqual(kills, 3, f"seed {SEED}")
        self.assert_ok(self.bertcram(*finetune_args(task, make_model(), out, seeds, *more)))
        self.assertEqual(self.scores(out), self.scores(self.dir / "whole"))
        self.assert_no_temporaries()

    def test_sigint_keeps_what_is_finished(self):
        task = make_task(self.dir / "task", train_rows=300)
        out = self.dir / "out"
        process = start(*finetune_args(task, make_model(), out, 6, "--epochs", 3))
        self.assertTrue(stop_after(process, lambda: (out / "results.json").exists()))
        kill(process, signal.SIGINT)
        result = finish(process)
        self.assertEqual(result.code, 130, result)
        self.assert_clean_stderr(result)
        kept = json.loads((out / "results.json").read_text())["tasks"]["pets"]["seeds"]
        self.assertGreaterEqual(len(kept), 1)
        self.assert_ok(self.bertcram(*finetune_args(task, make_model(), out, 6, "--epochs", 3)))
        complete = json.loads((out / "results.json").read_text())["tasks"]["pets"]["seeds"]
        self.assertEqual(complete[:len(kept)], kept)
        self.assertEqual([entry["seed"] for entry in complete], list(range(6)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
