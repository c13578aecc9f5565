#!/usr/bin/env python3
"""The dashboard under load: 50 viewers of a run of 100,000 steps that goes on.

    bench/serve_load.py [--steps 100000] [--clients 50] [--rounds 20] [--json FILE]

Every viewer holds an event stream and asks, one after the other and at times of its own within each second, for the page, the
list, the curves, the details and the log, while the run writes a line each second: so the curves are made anew each second.
Times are those of a request from sending to the last byte, measured in the viewers' threads of one Python process on the same
machine. Then the viewers only watch, and the server's processor time is compared with the clock.
"""

import argparse
import json
import os
import pathlib
import platform
import random
import statistics
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from dashboards import Dashboard, SimulatedRun


def timed(connection, path):
    start = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status}")
    return 1000 * (time.perf_counter() - start), len(body)


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def summary(times):
    ordered = sorted(times)
    return {"requests": len(ordered), "median": round(statistics.median(ordered), 2),
            "p95": round(ordered[int(0.95 * (len(ordered) - 1))], 2), "max": round(ordered[-1], 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bertcram-bench-") as scratch:
        runs = pathlib.Path(scratch) / "runs"
        run = SimulatedRun(runs, "long", budget_steps=2 * options.steps)
        run.advance(options.steps, evaluate_every=options.steps // 50)
        with Dashboard(runs) as dashboard:
            path = f"/api/runs/{dashboard.runs()['long']['id']}"
            first, _ = timed(dashboard.connect(), f"{path}/series?points=1000")
            time.sleep(3)  # read ahead
            opened, size = timed(dashboard.connect(), f"{path}/series?points=900")
            paths = {"page": "/", "list": "/api/runs", "curves": f"{path}/series?points=1000", "details": path, "log": f"{path}/log"}
            times = {name: [] for name in paths}
            ended = threading.Event()

            def watch():
                connection = dashboard.connect()
                connection.request("GET", "/api/events")
                answer = connection.getresponse()
                while not ended.is_set() and answer.readline():
                    pass

            def view(number):
                rng = random.Random(number)
                connection = dashboard.connect()
                for _ in range(options.rounds):
                    round_ends = time.monotonic() + 1
                    time.sleep(rng.random())
                    for name, target in paths.items():
                        times[name].append(timed(connection, target)[0])
                    time.sleep(max(0, round_ends - time.monotonic()))

            def train():
                while not ended.wait(1):
                    run.advance(1)

            threads = [threading.Thread(target=watch, daemon=True) for _ in range(options.clients)]
            threads.append(threading.Thread(target=train, daemon=True))
            viewers = [threading.Thread(target=view, args=[number]) for number in range(options.clients)]
            for thread in threads + viewers:
                thread.start()
            for viewer in viewers:
                viewer.join()
            before, start = cpu_seconds(dashboard.process), time.monotonic()
            time.sleep(20)
            share = (cpu_seconds(dashboard.process) - before) / (time.monotonic() - start)
            ended.set()
    figures = {"steps": options.steps, "clients": options.clients, "cores": os.cpu_count(), "machine": platform.machine(),
               "milliseconds": {name: summary(values) for name, values in times.items()},
               "first_curves_after_start_milliseconds": round(first, 1), "curves_of_new_question_milliseconds": round(opened, 1),
               "curves_bytes": size, "cpu_share_of_a_core_while_all_watch": round(share, 4)}
    text = json.dumps(figures, indent=2) + "\n"
    print(text, end="")
    if options.json:
        pathlib.Path(options.json).write_text(text)


if __name__ == "__main__":
    main()
