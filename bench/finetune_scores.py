#!/usr/bin/env python3
"""Do bertcram and a plain transformers loop (bench/peers/finetune_hf.py) fine-tune to the same scores?

    bench/finetune_scores.py MODEL GLUE --work DIR [--tasks cola,stsb,mrpc,rte] [--seeds 5] [--epochs 3] [--threads 2]
                             [--binary FILE] [--json FILE]

The same model folder, data and rules (those of --protocol sane, `--epochs` passes) in both programs; their seeds draw different orders,
heads and dropout. For each metric: mean and sample standard deviation over the seeds, and the difference of the means beside its
standard error sqrt(sd_a²/n + sd_b²/n). What was run is kept in --work and not run again, nor are tasks that FILE already has from an
earlier call, on whatever machine. Run it with .deps/test-venv.
"""

import argparse
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


def theirs(options, task):
    """metric → a score per seed."""
    found = []
    for seed in range(options.seeds):
        kept = options.work / f"transformers-{task}-{seed}.json"
        if not kept.exists():
            done = subprocess.run([sys.executable, ROOT / "bench/peers/finetune_hf.py", "--model", options.model, "--data", options.glue,
                                   "--task", task, "--seeds", str(seed), "--epochs", str(options.epochs), "--threads",
                                   str(options.threads)], check=True, capture_output=True, text=True,
                                  env={**os.environ, "OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1"})
            kept.write_text(done.stdout)
        found.append(json.loads(kept.read_text())["metrics"])
    return found


def ours(options, task):
    output = options.work / "bertcram"
    subprocess.run([options.binary, "finetune-glue", "--model", options.model, "--data", options.glue, "--task", task, "--output", output,
                    "--seeds", str(options.seeds), "--epochs", str(options.epochs), "--threads", str(options.threads), "--precision",
                    "fp32", "--save-models", "none", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    units = [json.loads((output / f"{task}-seed{seed}" / "unit.json").read_text()) for seed in range(options.seeds)]
    return [unit["dev"][0]["metrics"] for unit in units]


def compared(task, metric, a, b):
    error = math.sqrt(statistics.variance(a) / len(a) + statistics.variance(b) / len(b))
    difference = statistics.mean(a) - statistics.mean(b)
    return {"task": task, "metric": metric, "bertcram": a, "transformers": b, "difference": difference, "standard_error": error}


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
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file too, after each task")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    asked = {"epochs": options.epochs, "seeds": options.seeds}
    done = json.loads(options.json.read_text()) if options.json and options.json.exists() else {**asked, "rows": []}
    if any(done[what] != wanted for what, wanted in asked.items()):
        raise SystemExit(f"finetune_scores.py: {options.json} is of {done['seeds']} seeds and {done['epochs']} epochs; give another --json")
    rows = done["rows"]
    for task in options.tasks.split(","):
        if any(row["task"] == task for row in rows):
            continue
        a, b = ours(options, task), theirs(options, task)
        for metric in sorted(a[0].keys() & b[0].keys()):
            rows.append(compared(task, metric, [run[metric] for run in a], [run[metric] for run in b]))
            show(rows[-1])
        if options.json:
            options.json.write_text(json.dumps(done, indent=1) + "\n")


if __name__ == "__main__":
    main()
