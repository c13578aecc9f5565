"""What happens to a pretraining run when numbers, files, disks or schedulers misbehave."""

import json
import resource
import shutil
import signal
import subprocess
import time
import unittest

from small_disk import SmallDisk
from support import (BINARY, DIVERGED, INPUT, RESOURCES, USAGE, E2ETestCase, Result, environment, finish, make_model,
                     make_nan, make_packed, pretrain_args, read_jsonl, start, stop_after)


def state(run):
    return json.loads((run / "status.json").read_text())["state"]


def logged(run):
    """How many lines metrics.jsonl has."""
    try:
        return (run / "metrics.jsonl").read_bytes().count(b"\n")
    except OSError:
        return 0


class Numbers(E2ETestCase):

    def test_what_ends_in_no_numbers_is_no_model(self):
        run = self.dir / "run"
        result = self.bertcram(*pretrain_args(make_packed(), run, 5, optim__learning_rate=1e300))
        self.assertEqual(result.code, DIVERGED, result)
        self.assertIn("no numbers after the last step, 5", result.err)
        self.assertFalse((run / "model").exists())
        self.assertEqual(list((run / "checkpoints").glob("step-*")), [], "weights that are no numbers are not kept")
        self.assertEqual(state(run), "diverged")

    def test_a_model_whose_weights_are_no_numbers_is_nothing_to_go_on_from(self):
        model = self.copy(make_model().parent) / "model"
        make_nan(model / "model.safetensors", "bert.encoder.layer.0.output.dense.weight")
        command = ["pretrain", "--data", make_packed(), "--output", self.dir / "run", "--init-from", model, "--steps", 3]
        self.assert_fails(self.bertcram(*command), INPUT, model, "not all numbers")


class Files(E2ETestCase):

    def begun(self, run, steps=4000, **more):
        process = start(*pretrain_args(make_packed(), run, steps, **{"eval__every_steps": 5000, **more}))
        self.assertTrue(stop_after(process, lambda: logged(run) > 20))
        return process

    def stopped(self, process, number=signal.SIGTERM):
        process.send_signal(number)
        result = finish(process)
        self.assertEqual(result.code, 128 + number, result)
        return result

    def test_a_finished_run_without_its_checkpoints_is_not_trained_again(self):
        run = self.dir / "run"
        self.assert_ok(self.bertcram(*pretrain_args(make_packed(), run, 10)))
        shutil.rmtree(run / "checkpoints")
        with self.unharmed(run / "model"):
            self.assert_fails(self.bertcram(*pretrain_args(make_packed(), run, 10)), USAGE, run, "is finished", "status.json")
        (run / "status.json").unlink()
        self.assert_ok(self.bertcram(*pretrain_args(make_packed(), run, 10)))

    def test_a_run_folder_that_is_moved_away_is_made_again(self):
        run = self.dir / "run"
        process = self.begun(run)
        run.rename(self.dir / "moved")
        self.assertTrue(stop_after(process, lambda: logged(run) > 3))
        self.assert_fails(self.bertcram(*pretrain_args(make_packed(), run, 4000, eval__every_steps=5000)), RESOURCES,
                          "in use", f"pid {process.pid}")
        result = self.stopped(process)
        self.assertIn("removed or moved away", result.err)
        self.assertEqual(read_jsonl(run / "metrics.jsonl")[0]["event"], "start")
        self.assertEqual((run / "config.yaml").read_text(), (self.dir / "moved" / "config.yaml").read_text())
        self.assertTrue(any((run / "checkpoints").glob("step-*")))

    def test_a_lock_that_is_removed_is_taken_again(self):
        run = self.dir / "run"
        process = self.begun(run)
        (run / ".lock").unlink()
        self.assertTrue(stop_after(process, lambda: (run / ".lock").exists()))
        self.assert_fails(self.bertcram(*pretrain_args(make_packed(), run, 4000, eval__every_steps=5000)), RESOURCES,
                          "in use", f"pid {process.pid}")
        self.stopped(process)

    def test_a_disk_that_is_full_for_a_while_costs_nothing(self):
        disk = SmallDisk(self, self.dir / "disk", 6 << 20)
        run = disk.path / "run"
        process = self.begun(run, steps=3000)
        filler = open(disk.path / "filler", "wb", buffering=0)
        with self.assertRaises(OSError):
            while True:
                filler.write(b"\0" * 4096)
        time.sleep(1)
        self.assertIsNone(process.poll(), "the run goes on")
        filler.close()
        (disk.path / "filler").unlink()
        result = finish(process)
        self.assert_ok(result)
        self.assertIn("metrics.jsonl cannot be written", result.err)
        steps = [line["step"] for line in read_jsonl(run / "metrics.jsonl") if "lr" in line]
        self.assertEqual(steps, list(range(1, 3001)))

    def test_data_that_is_cut_while_it_is_read(self):
        packed = self.copy(make_packed())
        run = self.dir / "run"
        process = start(*pretrain_args(packed, run, 4000, eval__every_steps=5000))
        self.assertTrue(stop_after(process, lambda: logged(run) > 20))
        for shard in packed.glob("train-*.bin"):
            with open(shard, "r+b") as file:
                file.truncate(4096)
        result = finish(process)
        self.assertEqual(result.code, INPUT, result)
        self.assertIn("has become shorter", result.err)

    def test_a_file_that_may_not_grow_is_a_full_disk(self):
        run = self.dir / "run"
        command = [str(word) for word in (BINARY, *pretrain_args(make_packed(), run, 20, checkpoint__every_steps=5))]
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        done = subprocess.run(command, capture_output=True, env=environment(), preexec_fn=limit)
        self.assert_fails(Result(command, done.returncode, done.stdout, done.stderr.decode()), RESOURCES, "File too large")
        self.assertEqual(state(run), "failed")

    def test_warnings_that_are_repeated_are_no_impatience(self):
        run = self.dir / "run"
        process = start(*pretrain_args(make_packed(), run, 50, model__hidden=128, model__layers=2, model__ffn=512,
                                       batch__rows=3072, batch__micro_rows=3072))  # a pass of seconds, which is finished first
        self.assertTrue(stop_after(process, lambda: logged(run) > 0))
        for _ in range(4):  # as the kernel does above a limit of CPU time; two seconds of it are patience with Ctrl-C
            process.send_signal(signal.SIGXCPU)
            time.sleep(1)
        self.stopped(process, signal.SIGXCPU)

    def test_what_schedulers_warn_with_stops_a_run(self):
        for number in (signal.SIGUSR1, signal.SIGXCPU):
            with self.subTest(signal=number.name):
                run = self.dir / number.name
                self.stopped(self.begun(run), number)
                self.assertTrue(any((run / "checkpoints").glob("step-*")))
                self.assertEqual(state(run), "stopped")


class Limits(E2ETestCase):

    def test_memory_in_which_nothing_fits_is_a_slip_of_the_pen(self):
        for limit in ("8", "1MiB"):
            self.assert_fails(self.bertcram(*pretrain_args(make_packed(), self.dir / "run", 1), "--memory-limit", limit), USAGE,
                              f"runtime.memory_limit {limit}", "8GiB")


if __name__ == "__main__":
    unittest.main(verbosity=2)
