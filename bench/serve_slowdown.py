#!/usr/bin/env python3
"""Does the dashboard slow the training down? One pretraining, in turns alone and with `serve` and 50 open pages beside it.

    bench/serve_slowdown.py --data PACKED [--config configs/mini.yaml] [--seconds 15] [--threads N] [--pairs 10]
                            [--clients 50] [--json FILE]

Every client does what the page does with a run open: it holds an event stream, asks for the curves once it hears that the metrics
grew, for details and log once it hears of anything, two and ten seconds after the last time at the earliest. They are threads
of one Python process on the same cores, which slows the training too: both shares of a core are given. With fewer --threads
than cores the training leaves them one, as a GPU's does. The training writes a line for every step, so that there is news
each second. Two figures of each phase: tokens per second, over the steps that fell into it, and how long the
training's threads waited for a core, as the kernel counts it (schedstat), of each second. Within one run, because whole runs
differ by more than what is sought.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from dashboards import Dashboard
from serve_load import cpu_seconds, timed
from support import start


class Page:
    """What src/monitor/page does with the run opened: a thread that listens, and one that asks."""

    CURVES_SECONDS = 2
    DETAILS_SECONDS = 10

    def __init__(self, dashboard, run):
        self.dashboard, self.run = dashboard, run
        self.row = None
        self.news = threading.Event()
        self.requests = 0

    def listen(self):
        connection = self.dashboard.connect()
        connection.request("GET", "/api/events")
        answer = connection.getresponse()
        while line := answer.readline():
            if line.startswith(b"data: "):
                for row in json.loads(line[6:])["runs"]:
                    if row["name"] == self.run:
                        self.row = row
                        self.news.set()

    def look(self):
        connection = self.dashboard.connect()
        curves, details_due = None, 0
        while self.news.wait():
            path = f"/api/runs/{self.row['id']}"
            targets = []
            if curves != self.row["metrics_bytes"]:
                curves = self.row["metrics_bytes"]
                targets.append(f"{path}/series?points=1000")
            if time.monotonic() >= details_due:
                details_due = time.monotonic() + self.DETAILS_SECONDS
                self.news.clear()
                targets += [path, f"{path}/log"]
            for target in targets:
                timed(connection, target)
            self.requests += len(targets)
            time.sleep(self.CURVES_SECONDS)


class Viewers:
    """Open pages, until the server ends."""

    def __init__(self, dashboard, count, run):
        self.pages = [Page(dashboard, run) for _ in range(count)]
        for page in self.pages:
            for work in (page.listen, page.look):
                threading.Thread(target=self.until_the_end, args=[work], daemon=True).start()

    @staticmethod
    def until_the_end(work):
        with contextlib.suppress(OSError, http.client.HTTPException):
            work()

    @property
    def requests(self):
        return sum(page.requests for page in self.pages)


class Training:
    """A pretraining that goes on until the end of a `with`."""

    def __init__(self, options, runs, name):
        self.metrics = runs / name / "metrics.jsonl"
        self.process = start("pretrain", "--config", options.config, "--data", options.data, "--output", runs / name, "--steps", 10**6,
                             "--set", "model.word_embeddings=random", "--set", f"eval.every_steps={10**6}", "--set", "log_every_steps=1",
                             "--threads", options.threads, "--quiet", stderr=subprocess.DEVNULL, env=dict(os.environ))
        self.taken = 0

    def __enter__(self):
        while self.taken < 10:
            self.steps()
            if self.process.poll() is not None:
                raise RuntimeError(f"pretrain ended with {self.process.returncode}")
            time.sleep(0.5)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def steps(self):
        """Of the lines of metrics since the last call."""
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_text().split("\n")[:-1]
        new, self.taken = lines[self.taken:], len(lines)
        return [line for line in map(json.loads, new) if "lr" in line]

    def waited(self):
        """Seconds that its threads had work and no core."""
        return sum(int(file.read_text().split()[1]) for file in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")) / 1e9

    def phase(self, seconds):
        self.steps()
        clock, waited = time.monotonic(), self.waited()
        time.sleep(seconds)
        share = (self.waited() - waited) / (time.monotonic() - clock)
        rates = [step["tokens_per_second"] for step in self.steps()]
        return {"tokens_per_second": statistics.harmonic_mean(rates), "waited_for_a_core": share}


def watched(options, runs, name, training):
    """A phase with pages open, and what went on beside it."""
    settling = 4
    with Dashboard(runs) as dashboard:
        viewers = Viewers(dashboard, options.clients, name)
        time.sleep(settling)
        clock, server, clients, requests = time.monotonic(), cpu_seconds(dashboard.process), time.process_time(), viewers.requests
        figures = training.phase(options.seconds)
        seconds = time.monotonic() - clock
        return {**figures, "requests": viewers.requests - requests, "server_share_of_a_core": (cpu_seconds(dashboard.process) - server) / seconds,
                "clients_share_of_a_core": (time.process_time() - clients) / seconds}


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--config", default=str(ROOT / "configs" / "mini.yaml"))
    parser.add_argument("--seconds", type=float, default=15, help="of each phase")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the training")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    pairs = []
    with tempfile.TemporaryDirectory(prefix="bertcram-bench-") as scratch:
        runs = pathlib.Path(scratch)
        with Training(options, runs, "run") as training:
            for number in range(options.pairs):
                pair = {}
                for is_watched in (True, False) if number % 2 else (False, True):
                    if is_watched:
                        pair["watched"] = watched(options, runs, "run", training)
                    else:
                        pair["alone"] = training.phase(options.seconds)
                pairs.append(pair)
                print(json.dumps(pair), file=sys.stderr, flush=True)
    ratios = [pair["watched"]["tokens_per_second"] / pair["alone"]["tokens_per_second"] for pair in pairs]
    figures = {"clients": options.clients, "seconds": options.seconds, "threads": options.threads, "cores": os.cpu_count(),
               "machine": platform.machine(), "watched_to_alone": summary(ratios), "standard_error": statistics.stdev(ratios) / len(ratios)**0.5,
               "alone_tokens_per_second": summary([pair["alone"]["tokens_per_second"] for pair in pairs]), "pairs": pairs}
    text = json.dumps(figures, indent=2) + "\n"
    print(text, end="")
    if options.json:
        pathlib.Path(options.json).write_text(text)


if __name__ == "__main__":
    main()
