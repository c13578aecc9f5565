"""Event files of a run, read by the real tensorboard: what it sees is what metrics.jsonl says."""

import json
import signal
import time
import unittest

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from support import E2ETestCase, finish, make_packed, must, pretrain_args, start


class Events(E2ETestCase):
    def scalars(self, run):
        """tag → [(step, value)] as tensorboard has them."""
        events = EventAccumulator(str(run), size_guidance={"scalars": 0, "tensors": 0})
        events.Reload()
        found = {}
        for tag in events.Tags()["tensors"]:
            if tag != "config":
                found[tag] = [(event.step, float(tensor_util.make_ndarray(event.tensor_proto))) for event in events.Tensors(tag)]
        for tag in events.Tags()["scalars"]:
            found[tag] = [(event.step, event.value) for event in events.Scalars(tag)]
        config = events.Tensors("config")[-1].tensor_proto
        return found, tensor_util.make_ndarray(config).item().decode()

    def assert_same(self, run):
        """Tags, steps and values are those of metrics.jsonl."""
        found, config = self.scalars(run)
        self.assertIn("hidden: ", config)
        expected = {}
        for line in (run / "metrics.jsonl").read_text().splitlines():
            values = json.loads(line)
            for key, value in values.items():
                if "event" not in values and key != "step" and isinstance(value, (int, float)):
                    tag = f"eval/{key[5:]}" if key.startswith("eval_") else f"train/{key}"
                    expected.setdefault(tag, []).append((values["step"], value))
        self.assertEqual(sorted(found), sorted(expected))
        self.assertIn("train/loss", found)
        self.assertIn("eval/loss", found)
        for tag, points in expected.items():
            self.assertEqual([step for step, _ in found[tag]], [step for step, _ in points], tag)
            for (_, theirs), (_, ours) in zip(found[tag], points):
                self.assertLessEqual(abs(theirs - ours), 1e-6 * abs(ours), tag)

    def test_tags_steps_and_values_equal_those_of_the_metrics(self):
        run = self.dir / "run"
        must(*pretrain_args(make_packed(), run, 12, eval__every_steps=5))
        self.assertEqual(len(list(run.glob("events.out.tfevents.*"))), 1)
        self.assert_same(run)

    def test_a_run_that_was_killed_and_resumed_has_every_step_once(self):
        run = self.dir / "run"
        command = pretrain_args(make_packed(), run, 4000, checkpoint__every_steps=40, eval__every_steps=100)
        for seconds in (1.0, 2.0, 4.0):
            process = start(*command)
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
            finish(process)
        self.assert_ok(self.bertcram(*command))
        self.assertGreater(len(list(run.glob("events.out.tfevents.*"))), 1)
        self.assert_same(run)


if __name__ == "__main__":
    unittest.main(verbosity=2)
