#!/usr/bin/env python3
"""Does the dashboard slow the training down? A short pretraining, in turns with and without `serve` and 50 open pages beside it.

    bench/serve_slowdown.py --data PACKED [--config configs/mini.yaml] [--steps 100] [--threads N] [--pairs 5]
                            [--clients 50] [--json FILE]

Every client does what the page does with a run open: it holds an event stream, and asks for the curves two seconds after the
last time, for details and log every ten. They are threads of one Python process on the same cores, which slows the
training too: both shares of a core are given. With fewer --threads than cores the training leaves them one, as a GPU's
does. Tokens per second are those of metrics.jsonl, the median over lines of ten steps each without the first two. With --json
the pairs are added to those that the file has.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from dashboards import Dashboard
from serve_load import cpu_seconds, timed
from support import finish, start


class Viewers:
    """Open pages, until the end of a `with`."""

    def __init__(self, dashboard, count, run):
        self.dashboard, self.run = dashboard, run
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=work, args=[number], daemon=True)
                        for number in range(count) for work in (self.watch, self.view)]
        self.requests = 0

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()

    def watch(self, _):
        connection = self.dashboard.connect()
        connection.request("GET", "/api/events")
        answer = connection.getresponse()
        while not self.ended.is_set() and answer.readline():
            pass

    def view(self, number):
        connection = self.dashboard.connect()
        self.ended.wait(2 * number / len(self.threads))
        rounds = 0
        while not self.ended.is_set():
            run = self.dashboard.runs().get(self.run)
            if run:
                path = f"/api/runs/{run['id']}"
                for target in [f"{path}/series?points=1000"] + ([path, f"{path}/log"] if rounds % 5 == 0 else []):
                    timed(connection, target)
                    self.requests += 1
            rounds += 1
            self.ended.wait(2)


def train(options, runs, name):
    """@return median tokens per second"""
    process = start("pretrain", "--config", options.config, "--data", options.data, "--output", runs / name, "--steps", options.steps,
                    "--set", "model.word_embeddings=random", "--set", f"eval.every_steps={10 * options.steps}", "--set", "eval.rows=16", "--threads", options.threads,
                    env=dict(os.environ))
    result = finish(process)
    if result.code != 0:
        raise RuntimeError(str(result))
    lines = [json.loads(line) for line in (runs / name / "metrics.jsonl").read_text().splitlines()]
    return statistics.median([line["tokens_per_second"] for line in lines if "lr" in line][2:])


def watched(options, runs, name):
    """@return the same, and what went on beside it"""
    with Dashboard(runs) as dashboard, Viewers(dashboard, options.clients, name) as viewers:
        clock, server, clients = time.monotonic(), cpu_seconds(dashboard.process), time.process_time()
        rate = train(options, runs, name)
        seconds = time.monotonic() - clock
        return rate, {"requests": viewers.requests, "server_share_of_a_core": (cpu_seconds(dashboard.process) - server) / seconds,
                      "clients_share_of_a_core": (time.process_time() - clients) / seconds}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--config", default=str(ROOT / "configs" / "mini.yaml"))
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the training")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--json", help="add the pairs to those in this file")
    options = parser.parse_args()
    file = pathlib.Path(options.json) if options.json else None
    pairs = json.loads(file.read_text())["pairs"] if file and file.exists() else []
    with tempfile.TemporaryDirectory(prefix="bertcram-bench-") as scratch:
        runs = pathlib.Path(scratch) / "runs"
        runs.mkdir()
        for number in range(options.pairs):
            pair = {}
            for is_watched in (True, False) if number % 2 else (False, True):
                name = f"run{number}-{is_watched}"
                if is_watched:
                    pair["watched"], pair["beside"] = watched(options, runs, name)
                else:
                    pair["alone"] = train(options, runs, name)
            pairs.append(pair)
            print(json.dumps(pair), file=sys.stderr, flush=True)
    ratios = [pair["watched"] / pair["alone"] for pair in pairs]
    figures = {"clients": options.clients, "steps": options.steps, "threads": options.threads, "cores": os.cpu_count(), "machine": platform.machine(),
               "watched_to_alone": {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)},
               "alone_tokens_per_second": {"median": statistics.median(pair["alone"] for pair in pairs),
                                           "min": min(pair["alone"] for pair in pairs), "max": max(pair["alone"] for pair in pairs)},
               "pairs": pairs}
    text = json.dumps(figures, indent=2) + "\n"
    print(text, end="")
    if file:
        file.write_text(text)


if __name__ == "__main__":
    main()
