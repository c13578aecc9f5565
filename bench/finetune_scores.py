#!/usr/bin/env python3
"""Do bertcram and a plain transformers loop (bench/peers/finetune_hf.py) fine-tune to the same scores?

    bench/finetune_scores.py MODEL GLUE --work DIR [--tasks cola,stsb,mrpc,rte] [--seeds 5] [--epochs 3] [--threads 2]
                             [--binary FILE] [--json FILE] [--like-length]

The same model folder, data and rules (those of --protocol sane, `--epochs` passes) in both programs; their seeds draw different orders,
heads and dropout. For each metric: mean and sample standard deviation over the seeds, and the difference of the means beside its
standard error sqrt(sd_a²/n + sd_b²/n). With --like-length the loop forms its batches as bertcram does: what is left of a
difference does not come from them. Speed is bench/finetune_speed.py's: here transformers runs as many seeds at a time as there are
threads, each with one thread (1.4 times as fast with two), which bertcram does by itself.

What was run is kept in --work and not run again, nor is what FILE already has from an earlier call, on whatever machine: all seeds of a
task by bertcram, each seed by transformers. Run it with .deps/test-venv.
"""

import argparse
import concurrent.futures
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "peers"))
from finetune_hf import TASKS  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[1]


def theirs(options, task, seed):
    """metric → score."""
    done = subprocess.run([sys.executable, ROOT / "bench/peers/finetune_hf.py", "--model", options.model, "--data", options.glue,
                           "--task", task, "--seeds", str(seed), "--epochs", str(options.epochs), "--threads", "1",
                           *(["--like-length"] if options.like_length else [])],
                          check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"})
    return json.loads(done.stdout)["metrics"]


def ours(options, task):
    """metric → score, for each seed."""
    output = options.work / "bertcram"
    subprocess.run([options.binary, "finetune-glue", "--model", options.model, "--data", options.glue, "--task", task, "--output", output,
                    "--seeds", str(options.seeds), "--epochs", str(options.epochs), "--threads", str(options.threads), "--precision",
                    "fp32", "--save-models", "none", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    units = [json.loads((output / f"{task}-seed{seed}" / "unit.json").read_text()) for seed in range(options.seeds)]
    return [unit["dev"][0]["metrics"] for unit in units]


def compared(task, runs):
    """Of each metric: scores of all seeds by either program, and how far apart their means are."""
    a, b = runs["bertcram"], runs["transformers"]
    rows = []
    for metric in sorted(a[0].keys() & b[0].keys()):
        row = {"task": task, "metric": metric, **{program: [run[metric] for run in each] for program, each in runs.items()}}
        ours, others = row["bertcram"], row["transformers"]
        row["difference"] = statistics.mean(ours) - statistics.mean(others)
        row["standard_error"] = math.sqrt(statistics.variance(ours) / len(ours) + statistics.variance(others) / len(others))
        rows.append(row)
    return rows


def show(row):
    texts = [f"{statistics.mean(row[name]):6.2f} ± {statistics.stdev(row[name]):4.2f}" for name in ("bertcram", "transformers")]
    print(f"{row['task']:5} {row['metric']:9} bertcram {texts[0]}   transformers {texts[1]}   "
          f"difference {row['difference']:+5.2f} (standard error {row['standard_error']:.2f})", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("glue", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--tasks", default="cola,stsb,mrpc,rte", help=f"of {','.join(sorted(TASKS))}")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build" / "bertcram")
    parser.add_argument("--json", type=pathlib.Path, help="keep the figures in this file too, and go on from it")
    parser.add_argument("--like-length", action="store_true", help="the loop's batches hold texts of like length, as bertcram's do")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.seeds < 2:
        raise SystemExit("finetune_scores.py: --seeds: a spread needs two at least")
    asked = {"epochs": options.epochs, "seeds": options.seeds, "like_length": options.like_length}
    done = json.loads(options.json.read_text()) if options.json and options.json.exists() else {**asked, "runs": {}, "rows": []}
    if any(done.get(what, False) != wanted for what, wanted in asked.items()):
        raise SystemExit(f"finetune_scores.py: {options.json} is of {done['seeds']} seeds and {done['epochs']} epochs, "
                         f"{'with' if done.get('like_length') else 'without'} --like-length; give another --json")

    def keep():
        finished = {task: runs for task, runs in done["runs"].items() if len(runs["transformers"]) == options.seeds}
        done["rows"] = [row for task, runs in finished.items() for row in compared(task, runs)]
        if options.json:
            options.json.write_text(json.dumps(done, indent=1) + "\n")

    tasks = options.tasks.split(",")
    for task in tasks:
        runs = done["runs"].setdefault(task, {"bertcram": [], "transformers": []})
        if not runs["bertcram"]:
            runs["bertcram"] = ours(options, task)
            keep()
    left = [(task, seed) for task in tasks for seed in range(len(done["runs"][task]["transformers"]), options.seeds)]
    with concurrent.futures.ThreadPoolExecutor(options.threads) as pool:
        for (task, _), scores in zip(left, pool.map(lambda each: theirs(options, *each), left)):
            done["runs"][task]["transformers"].append(scores)
            keep()
    for row in done["rows"]:
        show(row)


if __name__ == "__main__":
    main()
