"""A pretraining that was interrupted continues to exactly the same end: after kill -9, after signals, after damage.

A session ends at a chosen step (interruption.py), except where the test's name says "moments". Random steps and moments
come from one seed, which a failure prints; BERTCRAM_TEST_SEED=N repeats it. Kills at chosen calls: test_crash_*.py.
"""

import json
import os
import pathlib
import random
import shutil
import signal
import time
import unittest

from interruption import SEED, recorded, signal_at, wait_until_stopped
from support import (DONE, HUNG_SECONDS, RESOURCES, E2ETestCase, finish, flip_byte, kill, make_packed, must,
                     pretrain_args, read_jsonl, snapshot, start, stop_after)

STEPS, EVALUATE_EVERY = 40, 10
# Dropout on, so that its random state is part of what has to come back.
SETTINGS = {"model__dropout": 0.1, "model__layers": 2, "batch__rows": 16, "batch__micro_rows": 8,
            "checkpoint__every_steps": 5, "eval__every_steps": EVALUATE_EVERY}


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

    def as_it_logs(self, step, number=signal.SIGKILL):
        """The environment in which the run, continued, gets the signal just before it logs `step`."""
        first = max((int(path.name.split("-")[1]) for path in checkpoints(self.run_folder)), default=0)
        evaluations = (step - 1) // EVALUATE_EVERY - first // EVALUATE_EVERY
        return signal_at(1 + step - first + evaluations, "write */metrics.jsonl", number)

    def interrupt(self, step, number=signal.SIGKILL):
        result = self.bertcram(*command(self.run_folder), env=self.as_it_logs(step, number))
        self.assertEqual(result.code, -number if number == signal.SIGKILL else 128 + number, result)
        return result

    def finish_run(self):
        return self.assert_ok(self.bertcram(*command(self.run_folder)))


class KillNine(ResumeTestCase):

    def test_the_same_command_twice_gives_the_same_weights(self):
        self.finish_run()
        self.assert_like_the_whole()

    def test_kills_at_random_steps(self):
        for step in sorted(self.random.sample(range(1, STEPS), 5)):
            self.interrupt(step)
            self.assertLess(last_step(self.run_folder), step)
        self.finish_run()
        self.assert_like_the_whole()

    def test_fifty_kills_at_random_calls(self):
        """Of all calls that change a file, most of them in checkpoints; run after run until there were fifty kills."""
        calls, kills = recorded(self.dir, command(self.dir / "counted")), []
        while len(kills) < 50:
            run = self.dir / f"run-{len(kills)}"
            while True:
                call = self.random.randint(1, len(calls))
                result = self.bertcram(*command(run), env=signal_at(call))
                if result.code == 0:
                    break
                self.assertEqual(result.code, -signal.SIGKILL, f"call {call} (seed {SEED})")
                kills.append(call)
            self.assert_like_the_whole(run)

    def test_kills_from_outside_at_random_moments(self):
        # Which moments they are, and whether the run is over by then, is the machine's choice; the end never is.
        for target in (0, 0, *sorted(self.random.sample(range(1, STEPS), 3))):
            process = start(*command(self.run_folder))
            if stop_after(process, lambda: last_step(self.run_folder) >= target):
                time.sleep(self.random.uniform(0, 0.015 if target else 0.5))
                kill(process)
            finish(process)
        self.finish_run()
        self.assert_like_the_whole()

    def test_rests_of_a_killed_checkpoint_are_cleared(self):
        self.interrupt(7)  # the checkpoint of step 5 is on disk by then, or being written
        self.assertLessEqual(len(checkpoints(self.run_folder)), 1)
        (self.run_folder / "checkpoints").mkdir(exist_ok=True)
        rest = self.run_folder / "checkpoints" / ".partial-step-0000000010"
        rest.mkdir(exist_ok=True)
        (rest / "weights.safetensors").write_bytes(b"half")
        self.finish_run()
        self.assert_like_the_whole()

    def test_temporary_files_of_a_killed_session_are_cleared(self):
        # A kill between open and rename leaves NAME.tmp-PID; for the weights of a real model that is 440 MB each time.
        self.interrupt(7)
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

    def test_a_model_without_its_last_file_is_written_again(self):
        # config.json comes last: without it the model is not complete, whichever other files are there.
        self.finish_run()
        complete = snapshot(self.run_folder / "model")
        self.assertGreaterEqual(len(complete), 5)
        for kept in ("vocab.txt", "model.safetensors"):
            with self.subTest(kept=kept):
                for name in complete:
                    if not name.endswith(kept):
                        pathlib.Path(name).unlink()
                self.finish_run()
                self.assertTrue(snapshot(self.run_folder / "model") == complete)

    def test_a_torn_last_line_of_the_metrics(self):
        self.interrupt(13)
        with (self.run_folder / "metrics.jsonl").open("ab") as file:
            file.write(b'{"step": 13, "lo')
        self.finish_run()
        self.assert_like_the_whole()


class Signals(ResumeTestCase):

    def stops(self, number, code):
        result = self.interrupt(7, number)
        self.assertEqual(result.code, code, result)
        self.assert_clean_stderr(result)
        self.assertEqual(result.out, b"")
        self.assertIn("checkpoint", result.error_lines[-1] if result.error_lines else result.err.splitlines()[-1])
        self.assertIn("same command", result.err)
        steps = [int(path.name.split("-")[1]) for path in checkpoints(self.run_folder)]
        self.assertEqual((max(steps), last_step(self.run_folder)), (7, 7))
        self.assertEqual(json.loads((self.run_folder / "status.json").read_text())["state"], "stopped")
        self.assertGreater(self.assert_ok(self.bertcram("eval", "--model", self.run_folder / "model", "--data", make_packed(), "--json")).json["loss"],
                           0, "the model of that step")
        self.assertNotEqual(weights(self.run_folder), weights(self.whole))
        self.assert_no_temporaries()
        again = self.finish_run()
        self.assertIn(f"continuing from step-{max(steps):010}", again.err)
        self.assert_like_the_whole()

    def test_sigterm_ends_with_143_after_a_checkpoint(self):
        self.stops(signal.SIGTERM, 143)

    def test_sigint_ends_with_130_after_a_checkpoint(self):
        self.stops(signal.SIGINT, 130)

    def test_a_lost_terminal_ends_with_129_after_a_checkpoint(self):
        self.stops(signal.SIGHUP, 129)

    def test_a_lost_reader_of_the_log_does_not_end_the_run(self):
        process = start(*command(self.run_folder))
        process.stderr.readline()
        process.stderr.close()
        process.stdout.close()
        process.wait(timeout=HUNG_SECONDS)
        self.assertEqual(json.loads((self.run_folder / "status.json").read_text())["state"], "finished")
        self.assert_like_the_whole()

    def test_signals_of_several_sessions(self):
        for step, number in ((3, signal.SIGINT), (14, signal.SIGTERM), (26, signal.SIGINT)):
            self.interrupt(step, number)
        self.finish_run()
        self.assert_like_the_whole()


class Damage(ResumeTestCase):

    def interrupted(self):
        self.interrupt(22, signal.SIGTERM)
        return checkpoints(self.run_folder)

    def test_a_damaged_newest_checkpoint_is_skipped(self):
        older, newest = self.interrupted()[-2:]
        flip_byte(newest / "weights.safetensors", 4000)
        result = self.finish_run()
        self.assertRegex(result.err, rf"(?m)^\S+ W .*{newest.name}.*")
        self.assertIn(f"continuing from {older.name}", result.err)
        self.assert_clean_stderr(result)
        self.assert_like_the_whole()

    def test_what_cannot_be_gone_on_from_is_refused_and_nothing_lost(self):
        found = self.interrupted()
        with self.unharmed(self.run_folder):
            self.assert_fails(self.bertcram(*command(self.run_folder), "--seed", 5), 2, "seed: 0 -> 5")
        flip_byte(found[-1] / "weights.safetensors", 3000)
        with self.unharmed(self.run_folder):
            self.assert_fails(self.bertcram(*command(self.run_folder), "--resume", found[-1]), 3, found[-1].name, "checksum")
        for checkpoint in found[:-1]:
            flip_byte(checkpoint / "weights.safetensors", 3000)
        with self.unharmed(self.run_folder / "checkpoints"):
            self.assert_fails(self.bertcram(*command(self.run_folder)), 3, "checkpoints", "remove")

    def test_resume_from_a_missing_folder(self):
        self.assert_fails(self.bertcram(*command(self.run_folder), "--resume", self.dir / "absent"), (2, 3), "absent")


class Runs(ResumeTestCase):

    def test_a_second_process_on_the_same_run_is_refused(self):
        process = start(*command(self.run_folder), env=self.as_it_logs(1, signal.SIGSTOP))
        try:
            wait_until_stopped(process)  # it holds still while the other one tries
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

    def test_the_link_to_the_newest_run_is_a_run(self):
        self.interrupt(7)
        latest = self.run_folder.parent / "latest"
        self.assertEqual(os.readlink(latest), "run")
        self.assert_ok(self.bertcram(*command(latest)))
        self.assertEqual(os.readlink(latest), "run")
        self.assert_like_the_whole()

    def test_a_run_whose_folder_is_no_utf8(self):
        run = os.fsdecode(os.fsencode(self.dir) + b"/caf\xe9")
        stopped = signal_at(20, "write */metrics.jsonl", signal.SIGTERM)
        self.assertEqual(self.bertcram(*command(run), env=stopped).code, 128 + signal.SIGTERM)
        self.assert_ok(self.bertcram(*command(run)))
        self.assert_like_the_whole(run)

    def test_a_finished_run_is_left_as_it_is(self):
        self.finish_run()
        before = {name: content for name, content in snapshot(self.run_folder).items() if not name.endswith("run.log")}
        os.symlink("elsewhere", self.run_folder.parent / "newer")
        os.replace(self.run_folder.parent / "newer", self.run_folder.parent / "latest")  # a run that was started since
        time.sleep(1.1 - time.time() % 1)  # a new second, that a new time in status.json would show
        first = self.assert_ok(self.bertcram(*command(self.run_folder), "--json")).json
        self.assertEqual(os.readlink(self.run_folder.parent / "latest"), "elsewhere")
        after = {name: content for name, content in snapshot(self.run_folder).items() if not name.endswith("run.log")}
        self.assertEqual(sorted(before), sorted(after))
        for name in before:
            self.assertEqual(before[name], after[name], name)
        self.assertEqual(first["steps"], STEPS)

    def test_other_micro_rows_go_on_with_a_warning(self):
        # They change only the order of sums.
        self.interrupt(12, signal.SIGTERM)
        result = self.assert_ok(self.bertcram(*command(self.run_folder, batch__micro_rows=4)))
        self.assertIn("passes of 4 rows: the run goes on, but not bit for bit", result.err)
        self.assertTrue((self.run_folder / "model" / "config.json").exists())

    def test_the_budget_in_tokens_counts_all_sessions(self):
        tokens = 8 * 32 * 12
        base = ["pretrain", "--data", make_packed(), "--output", self.run_folder, "--tokens", tokens, "--threads", 1,
                *command(self.run_folder)[command(self.run_folder).index("--set"):]]
        base += ["--set", "batch.rows=8"]
        stopped = self.bertcram(*base, env=self.as_it_logs(4, signal.SIGTERM))
        self.assertEqual(stopped.code, 128 + signal.SIGTERM, stopped)
        result = self.assert_ok(self.bertcram(*base, "--json"))
        self.assertEqual(result.json["tokens"], tokens)
        self.assertEqual(result.json["steps"], 12)

    def test_the_time_budget_ends_the_run(self):
        arguments = command(self.run_folder)
        at = arguments.index("--steps")
        arguments[at:at + 2] = ["--budget", "1s"]
        result = self.assert_ok(self.bertcram(*arguments, "--json"))
        self.assertGreater(result.json["elapsed_seconds"], 0.75)  # what the last evaluation takes is kept of the second
        again = self.assert_ok(self.bertcram(*arguments, "--json"))
        self.assertEqual(again.json["steps"], result.json["steps"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
