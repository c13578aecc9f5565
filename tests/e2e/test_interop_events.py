"""Event files of a run, read by the real tensorboard: what it sees is what metrics.jsonl says."""

import json
import signal
import time
import unittest

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from safetensors import safe_open

from support import E2ETestCase, finish, make_packed, must, pretrain_args, start


class Events(E2ETestCase):
    def scalars(self, run):
        """tag → [(step, value)] as tensorboard has them."""
        events = EventAccumulator(str(run), size_guidance={"scalars": 0, "tensors": 0})
        events.Reload()
        found = {}
        for tag in events.Tags()["tensors"]:
            if tag not in ("config", "samples"):
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
                    tag = f"eval/{key.removeprefix('eval_')}" if "eval_loss" in values else f"train/{key}"
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

    def test_histograms_of_layers_and_samples_are_there(self):
        run = self.dir / "run"
        must(*pretrain_args(make_packed(), run, 12, eval__every_steps=5, histograms_every_steps=6, model__layers=2))
        events = EventAccumulator(str(run), size_guidance={"histograms": 0, "tensors": 0})
        events.Reload()
        layers = ["embeddings", "head", "layer 00", "layer 01"]
        self.assertEqual(sorted(events.Tags()["histograms"]), [f"{kind}/{layer}" for kind in ("gradients", "weights") for layer in layers])
        with safe_open(run / "model" / "model.safetensors", "np") as model:
            tensors = {name: model.get_tensor(name) for name in model.keys()}
        for kind in ("gradients", "weights"):
            for layer in ("layer 00", "layer 01"):
                points = events.Histograms(f"{kind}/{layer}")
                self.assertEqual([point.step for point in points], [6, 12])
                own = [tensor for name, tensor in tensors.items() if f".layer.{int(layer[-2:])}." in name]
                for point in points:
                    values = point.histogram_value
                    self.assertEqual(values.num, sum(tensor.size for tensor in own))
                    self.assertEqual(sum(values.bucket), values.num)
                    self.assertLess(values.min, 0)
                    self.assertGreater(values.max, 0)
                if kind == "weights":  # before the last update
                    squares = sum(float((tensor.astype("f8") ** 2).sum()) for tensor in own)
                    self.assertLess(abs(values.sum_squares - squares), 0.02 * squares)
        norms = [json.loads(line)["grad_norm"] for line in (run / "metrics.jsonl").read_text().splitlines() if '"grad_norm"' in line]
        squares = sum(events.Histograms(f"gradients/{layer}")[0].histogram_value.sum_squares for layer in layers)
        self.assertLess(abs(squares ** 0.5 - norms[5]), 1e-3 * norms[5])  # all layers together: the gradient norm of the step
        text = tensor_util.make_ndarray(events.Tensors("samples")[-1].tensor_proto).item().decode()
        self.assertIn("| before | was | expected | after |", text)
        self.assertEqual([event.step for event in events.Tensors("samples")], [5, 10, 12])

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
