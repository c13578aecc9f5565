#!/usr/bin/env python3
"""Time to quality: the seed's recipe in Hugging Face's tools against a recipe of bertcram, on the same text, tokenizer and cores.

    bench/time_to_quality.py --text FILE… --tokenizer DIR --packed DIR --output DIR [--minutes 20] [--config mini.yaml]
                             [--threads 2] [--seed 0] [--json FILE]

First the peer trains (bench/peers/pretrain_hf.py), then bertcram for a twentieth of its time, a tenth, and all of it, one after the
other. All models are scored by `bertcram eval` on the held-out rows of the packed folder, 15 % masked. Run it with .deps/test-venv on
a machine that does nothing else.
"""

import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
BINARY = ROOT / "build" / "bertcram"


def last_json(command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", nargs="+", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--packed", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--config", default="mini.yaml")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", type=int, nargs="+", default=[20, 10, 1], help="bertcram's times: the peer's divided by these")
    parser.add_argument("--peer-figures", help="JSON of a peer that ran before, its model in OUTPUT/peer")
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    out = pathlib.Path(options.output)

    def score(model):
        return last_json([BINARY, "eval", "--model", model, "--data", options.packed, "--threads", options.threads,
                          "--precision", "fp32", "--json"])

    def train_peer():
        return last_json([sys.executable, ROOT / "bench/peers/pretrain_hf.py", "--text", *options.text, "--tokenizer",
                          options.tokenizer, "--output", out / "peer", "--minutes", options.minutes, "--threads",
                          options.threads, "--seed", options.seed])

    peer = json.loads(pathlib.Path(options.peer_figures).read_text()) if options.peer_figures else train_peer()
    runs = [{"name": "Hugging Face, the seed's recipe", **peer, **score(out / "peer")}]
    for part in options.parts:
        seconds = round(options.minutes * 60 / part)
        run = out / f"bertcram-{seconds}s-{options.seed}"
        result = last_json([BINARY, "pretrain", "--config", options.config, "--data", options.packed, "--output", run, "--budget",
                            f"{seconds}s", "--threads", options.threads, "--seed", options.seed, "--json"])
        runs.append({"name": f"bertcram, {options.config}, 1/{part} of the time", "steps": result["steps"],
                     "seconds": result["elapsed_seconds"], "tokens": result["tokens"], **score(run / "model")})
    for run in runs:
        print(f"{run['name']:48} {run['seconds']:7.0f} s {run['tokens']:12,} tokens {run['steps']:6} steps  held-out loss "
              f"{run['loss']:.3f}, accuracy {100 * run['accuracy']:.1f} %")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(runs, indent=1) + "\n")


if __name__ == "__main__":
    main()
