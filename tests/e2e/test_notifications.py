"""--on-event: what the command is told, and that a run does not depend on it."""

import contextlib
import http.server
import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time
import unittest

from glue_folders import make_glue
from support import (DIVERGED, INPUT, BINARY, E2ETestCase, environment, finetune_args, finish, make_model, make_packed, make_task, must,
                     pretrain_args, start, stop_after)


def living_in_group(group):
    """Processes of the group that are no zombies."""
    living = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if its_group == group and state != "Z":
                living.append(stat.parent.name)
    return living


class Hooked(E2ETestCase):

    def setUp(self):
        super().setUp()
        self.told_file = self.dir / "told"
        self.tells = ["--on-event", f"cat >> {self.told_file}"]

    def told(self):
        return [json.loads(line) for line in self.told_file.read_text().splitlines()] if self.told_file.exists() else []

    def events(self):
        return [message["event"] for message in self.told()]


class Pretraining(Hooked):

    def test_start_evaluations_and_the_end_are_told(self):
        run = self.dir / "first"
        must(*pretrain_args(make_packed(), run, 12, eval__every_steps=5), *self.tells)
        told = self.told()
        self.assertEqual([m["event"] for m in told], ["start", "evaluation", "evaluation", "evaluation", "finished"])
        for message in told:
            self.assertEqual((message["command"], message["run"], message["folder"]), ("pretrain", "first", str(run)))
            self.assertTrue(message["text"].startswith("first: "), message)
        self.assertEqual([m["step"] for m in told[1:4]], [5, 10, 12])
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        self.assertEqual([m["eval_loss"] for m in told[1:4]], [line["eval_loss"] for line in lines if "eval_loss" in line])
        self.assertEqual((told[4]["steps"], told[4]["report"]), (12, str(run / "report.html")))

    def test_the_command_stands_in_no_file_of_the_run_and_changes_nothing_of_it(self):
        for name, options in (("with", ["--on-event", "true # secret-word"]), ("without", [])):
            must(*pretrain_args(make_packed(), self.dir / name, 8, checkpoint__every_steps=4), *options)
        weights = [(self.dir / name / "model" / "model.safetensors").read_bytes() for name in ("with", "without")]
        self.assertEqual(weights[0], weights[1])
        for path in (self.dir / "with").rglob("*"):
            self.assertFalse(path.is_file() and b"secret-word" in path.read_bytes(), path)

    def test_a_run_goes_on_with_another_command(self):
        run = self.dir / "run"
        process = start(*pretrain_args(make_packed(), run, 100_000, checkpoint__every_steps=50), "--on-event", "true")
        self.assertTrue(stop_after(process, lambda: any((run / "checkpoints").glob("step-*"))))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(finish(process).code, 143)
        step = json.loads((run / "status.json").read_text())["step"]
        result = self.bertcram(*pretrain_args(make_packed(), run, 100_000, checkpoint__every_steps=50), *self.tells,
                               "--allow-config-change", "--steps", step + 2)
        self.assert_ok(result)
        self.assertEqual((self.told()[0]["event"], self.told()[0]["step"]), ("start", step))

    def test_a_signal_to_the_whole_group_is_told(self):
        for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
            self.told_file.unlink(missing_ok=True)
            run = self.dir / f"run{number}"
            process = subprocess.Popen(
                [str(BINARY), *map(str, pretrain_args(make_packed(), run, 100_000)), "--on-event", f"sleep 1; cat >> {self.told_file}"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), start_new_session=True)
            self.assertTrue(stop_after(process, lambda: (run / "metrics.jsonl").exists()))
            os.killpg(process.pid, number)  # while the command for `start` sleeps
            self.assertEqual(finish(process).code, code)
            self.assertEqual(self.events(), ["start", "stopped"])
            self.assertIn("after writing a checkpoint", self.told()[1]["reason"])
            self.assertEqual(self.told()[1]["step"], json.loads((run / "status.json").read_text())["step"])

    def test_divergence_and_failure_are_told(self):
        result = self.bertcram(*pretrain_args(make_packed(), self.dir / "run", 40, optim__learning_rate=1e30, optim__clip_norm=0,
                                              schedule__warmup_frac=0, schedule__start_frac=1), *self.tells)
        self.assertEqual(result.code, DIVERGED)
        self.assertEqual((self.events()[0], self.events()[-1]), ("start", "diverged"))
        self.told_file.unlink()
        self.assertEqual(self.bertcram(*pretrain_args(self.dir / "none", self.dir / "run2"), *self.tells).code, INPUT)
        self.assertEqual(self.events(), ["failed"])


class Misbehaving(Hooked):
    """Whatever the command does, the run ends as without it, and the log says what is wrong."""

    def run_with(self, command):
        begun = time.monotonic()
        result = self.assert_ok(self.bertcram(*pretrain_args(make_packed(), self.dir / "run", 12, eval__every_steps=5),
                                              "--on-event", command))
        self.assertTrue((self.dir / "run" / "model" / "model.safetensors").exists())
        return result.err, time.monotonic() - begun

    def test_one_that_fails(self):
        err, _ = self.run_with("echo 'mail: no server' >&2; exit 7")
        self.assertEqual(err.count("failed: exit status 7: mail: no server"), 5, err)

    def test_one_that_does_not_exist(self):
        err, _ = self.run_with("/no/such/program")
        self.assertEqual(err.count("failed: exit status 127"), 5, err)

    def test_one_that_hangs_is_given_up_and_takes_nothing_with_it(self):
        err, seconds = self.run_with(f"echo $$ >> {self.dir}/numbers; sleep 1000 & wait")
        self.assertIn("it took too long and was killed", err)
        self.assertLess(seconds, 60)
        for number in (self.dir / "numbers").read_text().split():
            self.assertEqual(living_in_group(number), [])

    def test_one_that_reads_nothing_and_one_that_floods(self):
        err, _ = self.run_with("exec <&-; true")
        self.assertNotIn("W on-event", err)
        shutil.rmtree(self.dir / "run")
        err, _ = self.run_with(f"yes | head -c 3000000; echo done >> {self.dir}/flooded")
        self.assertNotIn("W on-event", err)
        self.assertEqual(set((self.dir / "flooded").read_text().split()), {"done"}, "it may say as much as it likes")
        shutil.rmtree(self.dir / "run")
        err, seconds = self.run_with("exec yes")
        self.assertIn("it took too long and was killed", err)
        self.assertLess(seconds, 60)


class Finetuning(Hooked):

    def test_runs_tasks_and_the_end_are_told(self):
        must(*finetune_args(make_task(self.dir / "data"), make_model(), self.dir / "scores", 2), *self.tells)
        told = self.told()
        self.assertEqual([m["event"] for m in told], ["start", "run_finished", "run_finished", "task_finished", "finished"])
        results = json.loads((self.dir / "scores" / "results.json").read_text())["tasks"]["pets"]
        self.assertEqual([(m["task"], m["seed"]) for m in told[1:3]], [("pets", 0), ("pets", 1)])
        self.assertEqual((told[3]["median"], told[3]["seeds"]), (results["median"], 2))
        self.assertEqual(told[4]["results"], str(self.dir / "scores" / "results.json"))

    def test_beside_a_run_they_name_it_and_its_report(self):
        run = self.dir / "runs" / "first"
        must(*pretrain_args(make_packed(), run, 4))
        must("finetune-glue", "--model", run / "model", "--data", make_glue(self.dir / "data", "rte"), "--task", "rte", "--seeds", 1,
             "--epochs", 1, "--threads", 1, *self.tells)
        self.assertEqual({m["run"] for m in self.told()}, {"first/glue"})
        self.assertEqual({m["folder"] for m in self.told()}, {str(run / "glue")})
        self.assertEqual(self.told()[-1]["report"], str(run / "report.html"))

    def test_a_task_that_fails_is_told(self):
        data = make_glue(self.dir / "glue", "rte", "sst2")
        (data / "SST-2" / "train.tsv").write_text("nonsense\n")
        result = self.bertcram("finetune-glue", "--model", make_model(), "--data", data, "--task", "rte,sst2", "--seeds", 1, "--epochs", 1,
                               "--threads", 1, "--output", self.dir / "scores", *self.tells)
        self.assertEqual(result.code, INPUT)
        self.assertEqual(self.events(), ["task_failed", "start", "run_finished", "task_finished", "finished"])
        self.assertIn("sst2", self.told()[-1]["failed"])

    def test_tasks_that_fall_with_their_start_are_told(self):
        data = make_glue(self.dir / "glue", "mnli", "rte", "sst2")
        command = ["finetune-glue", "--model", make_model(), "--data", data, "--protocol", "transfer", "--seeds", 1, "--epochs", 1,
                   "--threads", 1, *self.tells]
        result = self.bertcram(*command, "--task", "mnli,rte", "--learning-rate", "1e30", "--output", self.dir / "wild")
        self.assertEqual(result.code, DIVERGED, result)
        self.assertEqual(self.events(), ["start", "task_failed", "task_failed", "diverged"])
        self.assertEqual([m["task"] for m in self.told()[1:3]], ["mnli", "rte"])
        self.assertEqual(self.told()[2]["reason"], "starts from the mnli model, which there is not")
        self.told_file.unlink()
        (data / "MNLI" / "train.tsv").write_text("nonsense\n")
        result = self.bertcram(*command, "--task", "mnli,rte,sst2", "--output", self.dir / "scores")
        self.assertEqual(result.code, INPUT, result)
        self.assertEqual(self.events(), ["task_failed", "task_failed", "start", "run_finished", "task_finished", "finished"])
        self.assertEqual({m["task"] for m in self.told()[:2]}, {"mnli", "rte"})
        self.assertIn("rte", self.told()[-1]["failed"])


class Webhook(Hooked):
    """The examples of docs/monitoring.md, against a server on this machine."""

    def setUp(self):
        super().setUp()
        if not all(map(shutil.which, ("curl", "jq"))):
            self.skipTest("the programs 'curl' and 'jq' are not both installed")
        self.received = []
        test = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                test.received.append((self.path, self.headers["Content-Type"], self.headers["Title"], body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_port}"

    def run_with(self, command):
        self.received.clear()
        must(*pretrain_args(make_packed(), self.dir / "run", 4, eval__every_steps=100), "--on-event", command, "--resume", "never")
        shutil.rmtree(self.dir / "run")

    def test_a_line_for_people_a_chat_message_and_the_whole_object(self):
        self.run_with(f"jq -r .text | curl -fsS -H 'Title: bertcram' -d @- {self.url}/topic")
        self.assertEqual([(path, title) for path, _, title, _ in self.received], [("/topic", "bertcram")] * 3)
        self.assertEqual(self.received[0][3], "run: begins")
        self.run_with(f"jq '{{text}}' | curl -fsS --json @- {self.url}/services/X")
        self.assertEqual(json.loads(self.received[0][3]), {"text": "run: begins"})
        self.assertEqual(self.received[0][1], "application/json")
        self.run_with(f"curl -fsS --json @- {self.url}/all")
        self.assertEqual([json.loads(body)["event"] for *_, body in self.received], ["start", "evaluation", "finished"])
        self.run_with(f"""m=$(jq -r 'select(.event != "evaluation").text'); [ -z "$m" ] || curl -fsS -d "$m" {self.url}/some""")
        self.assertEqual([body.split(",")[0] for *_, body in self.received], ["run: begins", "run: finished"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
