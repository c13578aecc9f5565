#!/usr/bin/env python3
"""Which settings help a short run? One pretraining for each setting and seed, all else as in a configuration; held-out losses.

    bench/recipes.py --data PACKED --work DIR --json FILE [--config configs/mini.yaml] [--tokens 1600000] [--seeds 3] [--jobs 2]
                     [--precision bf16|fp32] [--binary FILE] [--only NAME…]

As many runs at a time as --jobs, each with one thread: narrow models do not fill more, and what is compared is what a number of tokens
taught, not its time.

Settings are those of SETTINGS, each a change of one thing or of a few that belong together; seeds give the weights, the order and the
masking. Seed by seed, all settings of the first seed before the second. FILE holds what was run so far, is written after each run, and
runs that it holds are not done again, on whatever machine they were done. Each model is scored by `bertcram eval` on the same 1,744
held-out rows, 15 % masked. bench/tables.py makes docs/recipes.md's table of FILE.
"""

import argparse
import concurrent.futures
import json
import pathlib
import shutil
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[1]
ROWS = 1744

SETTINGS = {
    "as it is": [],
    "learning rate 1e-3": ["optim.learning_rate=1e-3"],
    "learning rate 3e-3": ["optim.learning_rate=3e-3"],
    "15 % masked": ["mask.mask_prob=0.15"],
    "masking 0.30 to 0.15": ["mask.mask_prob=0.30", "mask.end_mask_prob=0.15"],
    "masking 0.40 to 0.20": ["mask.end_mask_prob=0.20"],
    "8 rows per step": ["batch.rows=8", "batch.micro_rows=8"],
    "32 rows per step": ["batch.rows=32"],
    "8 rows, growing to 32": ["batch.rows=32", "batch.start_rows=8", "batch.micro_rows=8", "batch.ramp_frac=0.6"],
    "Muon, matrices at 1 × the rate": ["optim.algorithm=muon"],
    "Muon, matrices at 3 × the rate": ["optim.algorithm=muon", "optim.muon_rate_factor=3"],
    "second moment's decay 0.95": ["optim.beta2=0.95"],
    "second moment's decay 0.999": ["optim.beta2=0.999"],
    "weight decay 0.1": ["optim.weight_decay=0.1", "optim.table_weight_decay=0.1"],
    "word embeddings from random": ["model.word_embeddings=random"],
    "no unigram bias": ["model.unigram_bias=false"],
    "triangle, as the seed's": ["schedule.warmup_frac=0.5", "schedule.anneal=linear"],
    "Cramming's budget triangle": ["schedule.start_frac=0.25", "schedule.warmup_frac=0.75", "schedule.anneal=linear"],
    "BERT's layers": ["model.arch=bert", "model.layers=4", "model.ffn=1024"],
}


def last_json(command, log):
    with open(log, "ab") as file:
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=file, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def run(options, name, seed):
    """Trains and scores. @return what FILE keeps of it"""
    folder = options.work / f"run-{threading.current_thread().name}"
    shutil.rmtree(folder, ignore_errors=True)
    log = folder.with_suffix(".log")
    trained = last_json([options.binary, "pretrain", "--config", options.config, "--data", options.data, "--output", folder, "--tokens",
                         options.tokens, "--seed", seed, "--threads", 1, "--precision", options.precision,
                         "--set", "eval.every_steps=1000000", "--set", "eval.rows=16", "--set", "checkpoint.every_time=1h",
                         *[word for each in SETTINGS[name] for word in ("--set", each)], "--json"], log)
    commit = json.loads((folder / "metrics.jsonl").read_text().splitlines()[0])["commit"]
    scored = last_json([options.binary, "eval", "--model", folder / "model", "--data", options.data, "--threads", 1,
                        "--rows", ROWS, "--json"], log)
    return {"name": name, "settings": SETTINGS[name], "seed": seed, "loss": scored["loss"], "accuracy": scored["accuracy"],
            "steps": trained["steps"], "tokens": trained["tokens"], "commit": commit}


def write_whole(file, content):
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1) + "\n")
    partial.replace(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--config", default=str(ROOT / "configs" / "mini.yaml"))
    parser.add_argument("--tokens", type=int, default=1_600_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build" / "bertcram")
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"of: {', '.join(SETTINGS)}".replace("%", "%%"))
    parser.add_argument("--json", required=True, type=pathlib.Path, help="figures of all finished runs, of earlier calls too")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    asked = {"config": pathlib.Path(options.config).name, "tokens": options.tokens, "precision": options.precision}
    done = json.loads(options.json.read_text()) if options.json.exists() else {**asked, "runs": []}
    if any(done[what] != wanted for what, wanted in asked.items()):
        raise SystemExit(f"recipes.py: {options.json} is of {done['tokens']} tokens of {done['config']} in {done['precision']}; give another --json")
    known = {(each["name"], *each["settings"], each["seed"]) for each in done["runs"]}
    left = [(name, seed) for seed in range(options.seeds) for name in options.only or SETTINGS
            if (name, *SETTINGS[name], seed) not in known]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for figures in pool.map(lambda each: run(options, *each), left):
            done["runs"].append(figures)
            write_whole(options.json, done)
            print(f"{figures['name']:32} seed {figures['seed']}  loss {figures['loss']:.3f}  accuracy {100 * figures['accuracy']:.1f} %  "
                  f"{figures['steps']} steps", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
