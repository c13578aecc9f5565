#!/usr/bin/env python3
"""Fine-tuning, bertcram beside a plain transformers loop (bench/peers/finetune_hf.py): the same model, data, rules and cores,
in turn.

    bench/finetune_speed.py MODEL GLUE [--tasks rte,mrpc] [--examples 480] [--threads 2] [--repeats 3] [--precision fp32] [--json FILE]

MODEL is a folder that both load. One epoch over the first examples of each task. Timed is the training alone, by both programs
themselves: loading, encoding and scoring are left out. bertcram is run twice: one run with all threads, and as many runs side by
side as there are threads (`--jobs`), as it does by itself when there are several seeds. Run it with .deps/test-venv.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "peers"))
ROOT = pathlib.Path(__file__).resolve().parents[1]
BINARY = ROOT / "build" / "bertcram"


def shortened(glue, task, examples, folder):
    """A GLUE folder with the first training examples of a task."""
    from finetune_hf import TASKS
    name = TASKS[task][0]
    (folder / name).mkdir(parents=True)
    lines = (glue / name / "train.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    heads = 0 if task == "cola" else 1
    (folder / name / "train.tsv").write_text("".join(lines[: examples + heads]), encoding="utf-8")
    shutil.copy(glue / name / "dev.tsv", folder / name / "dev.tsv")
    return folder


def ours(options, task, data, jobs):
    """Examples per second of training."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([BINARY, "finetune-glue", "--model", options.model, "--data", data, "--task", task, "--output", scratch,
                        "--epochs", "1", "--seeds", str(jobs), "--jobs", str(jobs), "--threads", str(options.threads),
                        "--precision", options.precision, "--save-models", "none", "--quiet"], check=True,
                       stdout=subprocess.DEVNULL)
        units = [json.loads(path.read_text()) for path in pathlib.Path(scratch).glob("*/unit.json")]
    # Runs side by side end at nearly the same time: the slowest decides.
    return sum(unit["training_examples"] for unit in units) / max(unit["training_seconds"] for unit in units)


def theirs(options, task, data):
    done = subprocess.run([sys.executable, ROOT / "bench/peers/finetune_hf.py", "--model", options.model, "--data", data, "--task",
                           task, "--epochs", "1", "--threads", str(options.threads)], check=True, capture_output=True, text=True,
                          env={**os.environ, "OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1"})
    return json.loads(done.stdout.splitlines()[-1])["examples_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("glue", type=pathlib.Path)
    parser.add_argument("--tasks", default="rte,mrpc")
    parser.add_argument("--examples", type=int, default=480)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    figures = {}
    for task in options.tasks.split(","):
        with tempfile.TemporaryDirectory() as scratch:
            data = shortened(options.glue, task, options.examples, pathlib.Path(scratch))
            rates = {"transformers": [], "bertcram": [], "bertcram side by side": []}
            for _ in range(options.repeats):  # in turn, so that a slow minute hits all
                rates["transformers"].append(theirs(options, task, data))
                rates["bertcram"].append(ours(options, task, data, 1))
                rates["bertcram side by side"].append(ours(options, task, data, options.threads))
        base = statistics.median(rates["transformers"])
        for name, values in rates.items():
            print(f"{task:5} {name:22} {statistics.median(values):6.1f} examples/s ({min(values):.1f} to {max(values):.1f})  "
                  f"{statistics.median(values) / base:.2f} x", flush=True)
        figures[task] = rates
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"examples_per_second": figures, "examples": options.examples,
                                                          "threads": options.threads, "precision": options.precision},
                                                         indent=1) + "\n")


if __name__ == "__main__":
    main()
