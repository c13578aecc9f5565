"""What can be seen of a run from outside: its report."""

import html.parser
import os
import signal
import unittest
import xml.etree.ElementTree

from dashboards import Dashboard
from glue_folders import make_glue
from support import (BINARY, INPUT, RESOURCES, USAGE, E2ETestCase, environment, finish, make_packed, must, pretrain_args,
                     read_jsonl, start, stop_after)


class Balanced(html.parser.HTMLParser):
    """Every tag that is opened is closed, in order."""

    VOID = {"meta", "!doctype"}

    def __init__(self, text):
        super().__init__()
        self.open, self.wrong = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append((tag, self.getpos()))


class Samples(E2ETestCase):

    def test_they_are_what_fill_mask_says_of_the_same_text(self):
        for objective, model in (("mlm", "model"), ("rtd", "generator")):
            run = self.dir / objective
            must(*pretrain_args(make_packed(), run, 30, eval__every_steps=10, objective=objective, model__layers=2))
            lines = [line["samples"] for line in read_jsonl(run / "metrics.jsonl") if "eval_loss" in line]
            self.assertEqual(len(lines), 3)
            asked = [[(sample["before"], sample["truth"], sample["after"]) for sample in line] for line in lines]
            self.assertEqual(asked[0], asked[2])  # the same gaps each time
            self.assertEqual(len(asked[0]), 4)
            self.assertNotEqual(lines[0], lines[2])  # other guesses
            for sample in lines[-1]:
                text = f"{sample['before']} [MASK] {sample['after']}\n"
                filled = must("fill-mask", "--model", run / model, "--top-k", 3, "--json", "--threads", 1, "--device", "cpu",
                              "--precision", "fp32", stdin=text).json["masks"][0]["top"]
                self.assertEqual([guess["token"] for guess in filled], [guess["token"] for guess in sample["top"]])
                for ours, theirs in zip(sample["top"], filled):
                    self.assertAlmostEqual(ours["probability"], theirs["probability"], places=5)
            self.assertIn("<h2>Gaps in held-out text</h2>", (run / "report.html").read_text())


class Sensors(E2ETestCase):

    def run_with(self, name, **env):
        run = self.dir / "runs" / name
        must(*pretrain_args(make_packed(), run, 4), env=environment(**env))
        return [line for line in read_jsonl(run / "metrics.jsonl") if "lr" in line]

    def test_temperature_and_power_go_everywhere_and_absence_is_no_error(self):
        fake = {"LD_LIBRARY_PATH": os.environ.get("BERTCRAM_NVML_FOLDER", BINARY.parent / "fake_nvml")}
        for name, more in (("first", {}), ("uuid", {"CUDA_VISIBLE_DEVICES": "GPU-fake,1"})):
            for line in self.run_with(name, **fake, **more):
                self.assertEqual((line["gpu_temperature"], line["gpu_power_watts"]), (61, 187.5))
        for name, env in (("none", {}), ("broken", {**fake, "FAKE_NVML": "broken"}), ("hidden", {**fake, "CUDA_VISIBLE_DEVICES": "5"})):
            for line in self.run_with(name, **env):
                self.assertNotIn("gpu_temperature", line)
        with Dashboard(self.dir / "runs") as dashboard:
            metrics = dashboard.ask("/metrics").body.decode()
            self.assertIn('bertcram_gpu_temperature_celsius{run="first"} 61\n', metrics)
            self.assertIn('bertcram_gpu_power_watts{run="first"} 187.5\n', metrics)
            self.assertNotIn('bertcram_gpu_power_watts{run="none"}', metrics)
            rows = {row["name"]: row for row in dashboard.ask("/api/runs").json["runs"]}
            self.assertEqual((rows["first"]["gpu_temperature"], rows["none"]["gpu_temperature"]), (61, None))
            series = dashboard.ask(f"/api/runs/{rows['first']['id']}/series").json["series"]
            self.assertEqual(series["gpu_power_watts"]["y"], [187.5] * 4)


class Report(E2ETestCase):

    def test_a_run_leaves_a_report_that_finetuning_completes(self):
        run = self.dir / "run"
        result = must(*pretrain_args(make_packed(), run, 12, eval__every_steps=5))
        self.assertIn(f"report in {run}/report.html", result.text)
        first = (run / "report.html").read_text()
        self.assertIn("finished", first)
        self.assertNotIn("<h2>GLUE", first)
        data = make_glue(self.dir / "glue", "rte")
        must("finetune-glue", "--model", run / "model", "--data", data, "--task", "rte", "--seeds", 2, "--epochs", 1, "--threads", 1)
        text = (run / "report.html").read_text()
        self.assertIn("<h2>GLUE", text)
        page = Balanced(text)
        self.assertEqual((page.open, page.wrong), ([], []))
        plots = sorted(path.name for path in (run / "report-plots").iterdir())
        self.assertEqual(plots, ["compute.svg", "glue.svg", "gradient-norm.svg", "learning-rate.svg", "loss-by-time.svg",
                                 "loss-by-tokens.svg", "throughput.svg"])
        for plot in plots:
            xml.etree.ElementTree.parse(run / "report-plots" / plot)
        self.assert_no_temporaries()

    def test_a_run_that_was_stopped_or_diverged_leaves_one_too(self):
        run = self.dir / "run"
        process = start(*pretrain_args(make_packed(), run, 100_000))
        self.assertTrue(stop_after(process, lambda: (run / "metrics.jsonl").exists()))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(finish(process).code, 143)
        self.assertIn("<td>stopped</td>", (run / "report.html").read_text())
        self.assertTrue((run / "report-plots" / "throughput.svg").exists())
        self.bertcram(*pretrain_args(make_packed(), self.dir / "wild", 40, optim__learning_rate=1e30, optim__clip_norm=0,
                                     schedule__warmup_frac=0, schedule__start_frac=1))
        self.assertIn("<td>diverged</td>", (self.dir / "wild" / "report.html").read_text())

    def test_several_runs_stand_beside_each_other(self):
        for seed in (1, 2):
            must(*pretrain_args(make_packed(), self.dir / f"run{seed}", 4, seed=seed))
        output = self.dir / "new" / "compare.html"
        self.assertEqual(self.assert_ok(self.bertcram("report", self.dir / "run1", self.dir / "run2", "--output", output, "--json")).json,
                         {"report": str(output)})
        self.assertIn("<h1>run1, run2</h1>", output.read_text())

    def test_a_report_replaces_no_other_file(self):
        run = self.dir / "run"
        must(*pretrain_args(make_packed(), run, 4))
        with self.unharmed(run):
            for name in ("metrics.jsonl", "config.yaml", "model/model.safetensors"):
                self.assert_fails(self.bertcram("report", run, "--output", run / name), USAGE, "ends in .html")
        pipe = self.dir / "pipe.html"
        os.mkfifo(pipe)
        self.assert_fails(self.bertcram("report", run, "--output", pipe), RESOURCES, "pipe.html: it is no file")
        self.assertTrue(pipe.is_fifo())

    def test_what_is_no_run_is_said(self):
        self.assert_fails(self.bertcram("report", self.dir / "none"), INPUT, "none: no training run")
        self.assert_fails(self.bertcram("report"), USAGE, "RUN")
        self.assert_fails(self.bertcram("report", "a", "b"), USAGE, "--output is needed")


if __name__ == "__main__":
    unittest.main(verbosity=2)
