"""Simulated run folders, and `bertcram serve` on them. Used by the tests, bench/serve_load.py and scripts/screenshots.sh."""

import contextlib
import http.client
import json
import math
import pathlib
import random
import signal
import time

from support import BINARY, HUNG_SECONDS, finish, start


GAPS = (("they had breakfast in the", "kitchen", "before the guests arrived"), ("the river", "flows", "through the old town and into the sea"),
        ("she was born in", "1887", "in a village near the border"))
GUESSES = (("the", "house", "garden", "kitchen"), ("is", "runs", "flows", "went"), ("the", "1901", "1887", "may"))


class SimulatedRun:
    """A run folder as `pretrain` writes it: settings at once, metrics and heartbeat as the test goes on."""

    def __init__(self, folder, name, seed=1, budget_steps=1000, quality=1.0, on_gpu=False):
        self.path = pathlib.Path(folder) / name
        self.path.mkdir(parents=True)
        self.rng = random.Random(seed)
        self.budget_steps, self.quality, self.steps, self.tokens_per_step = budget_steps, quality, 0, 131072
        self.seconds_per_step, self.on_gpu = 12.1, on_gpu
        self.metrics = self.path / "metrics.jsonl"
        (self.path / "config.yaml").write_text(
            f"data: {self.path}/packed\nseed: {seed}\nmodel:\n  hidden: 512\n  layers: 12\noptim:\n  learning_rate: {0.001 * seed:g}\n")
        self.append({"event": "start", "step": 0, "fingerprint": "0123abcd", "version": "0.1.0", "commit": "4f1c0de",
                     "torch_version": "2.11.0", "device": "cpu (2 threads), fp32", "seed": seed, "parameters": 31_400_000,
                     "flops_per_token": 1.9e8, "unigram_entropy": 7.2})

    def append(self, *lines):
        with open(self.metrics, "a", encoding="utf-8") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines))

    def loss_at(self, step):
        share = step / self.budget_steps
        return 9.8 * math.exp(-9 * share) + (2.1 + 1.4 * (1 - share)) * self.quality + 0.7 / (1 + 30 * share)

    def advance(self, steps, every=1, evaluate_every=100, state="running", heartbeat_age=0):
        """Takes so many steps, writes a line for each `every`, and a heartbeat."""
        lines = []
        for step in range(self.steps + 1, self.steps + steps + 1):
            share = step / self.budget_steps
            where = {"step": step, "tokens": step * self.tokens_per_step, "elapsed_seconds": round(step * self.seconds_per_step, 3)}
            if step % every == 0:
                noise = self.rng.gauss(0, 1)
                lines.append({**where, "loss": self.loss_at(step) + 0.05 * noise, "lr": 1e-3 * min(1, 20 * share) * (1 - share * 0.98),
                              "grad_norm": 0.4 + 3 * math.exp(-30 * share) + 0.06 * abs(self.rng.gauss(0, 1)),
                              "tokens_per_second": 10_830 + 90 * noise, "mfu": 0.412 + 0.003 * noise,
                              "memory_bytes": 6_442_450_944 + 3_000_000 * min(1, 4 * share), "load_share": 0.01,
                              "overhead_share": 0.004})
                if self.on_gpu:
                    lines[-1].update(gpu_temperature=71 - 30 * math.exp(-300 * share) + round(noise), gpu_power_watts=196 + 4 * noise)
            if step % evaluate_every == 0 or step == self.budget_steps:
                loss = self.loss_at(step) + 0.06 + 0.008 * self.rng.gauss(0, 1)
                lines.append({**where, "eval_loss": loss, "eval_perplexity": math.exp(loss),
                              "eval_accuracy": max(0.02, 0.74 - 0.09 * loss), "eval_masked_tokens": 4864,
                              "samples": self.samples(share)})
        self.steps += steps
        self.append(*lines)
        self.log(f"step {self.steps}, loss {self.loss_at(self.steps):.3f}")
        self.beat(state, heartbeat_age)

    @staticmethod
    def samples(share):
        """What a model of this share of its budget might expect: the truth more and more."""
        lines = []
        for (before, truth, after), guesses in zip(GAPS, GUESSES):
            weights = {token: (6 * share if token == truth else 1) / (2 + place) for place, token in enumerate(guesses)}
            top = sorted(weights, key=weights.get, reverse=True)[:3]
            lines.append({"before": before, "truth": truth, "after": after,
                          "top": [{"token": token, "probability": weights[token] / (1 + sum(weights.values()))} for token in top]})
        return lines

    def log(self, text):
        with open(self.path / "run.log", "a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%H:%M:%S')} I pretrain: {text}\n")

    def beat(self, state="running", age=0):
        status = {"state": state, "step": self.steps, "tokens": self.steps * self.tokens_per_step,
                  "budget_share": self.steps / self.budget_steps, "elapsed_seconds": self.steps * self.seconds_per_step,
                  "unix_time": int(time.time() - age)}
        partial = self.path / "status.json.tmp"
        partial.write_text(json.dumps(status))
        partial.replace(self.path / "status.json")

    def glue(self, **scores):
        """results.json with three seeds around each score."""
        tasks = {name.replace("_", "-"): {"metric": "accuracy", "seeds": [{}, {}, {}], "median": score, "mean": score - 0.2, "sd": 0.6}
                 for name, score in scores.items()}
        averages = {"sane9": sum(scores.values()) / 9} if len(scores) == 9 else {}
        (self.path / "glue").mkdir(exist_ok=True)
        (self.path / "glue" / "results.json").write_text(json.dumps({"protocol": "sane", "overrides": {}, "tasks": tasks,
                                                                     "averages": averages}))


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Dashboard:
    """A running `bertcram serve`; `with` ends it by SIGTERM."""

    def __init__(self, runs, *args, port=0, binary=BINARY):
        self.process = start("serve", "--runs", runs, "--port", port, "--json", *args, binary=binary)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"serve did not start:{finish(self.process)}")
        self.url = json.loads(line)["url"]
        self.port = int(self.url.rsplit(":", 1)[1].strip("/"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.end()

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return finish(self.process)

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=HUNG_SECONDS)

    def ask(self, path, method="GET", body=None, connection=None, **headers):
        """One request; header names with _ for -."""
        with contextlib.closing(connection or self.connect()) as own:
            own.request(method, path, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})
            return Answer(own.getresponse())

    def get(self, path, **headers):
        answer = self.ask(path, **headers)
        if answer.status != 200:
            raise AssertionError(f"{path}: {answer.status} {answer.body[:500]!r}")
        return answer.json

    def runs(self):
        """Rows by name."""
        return {row["name"]: row for row in self.get("/api/runs")["runs"]}

    def wait_for(self, condition):
        """Waits until the server has noticed what changed on the disk."""
        end = time.monotonic() + HUNG_SECONDS
        while time.monotonic() < end:
            found = condition()
            if found:
                return found
            time.sleep(0.2)
        raise AssertionError("the server did not get there")
