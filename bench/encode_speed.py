#!/usr/bin/env python3
"""WordPiece encoding, bertcram beside Hugging Face tokenizers: the same text, vocabulary and cores, in turn.

    bench/encode_speed.py TEXT TOKENIZER [--threads 1 2] [--repeats 5] [--json FILE]

TEXT is a plain text file, TOKENIZER a folder that both load. bertcram is timed as a whole process (`bertcram encode`, ids
printed to /dev/null), Hugging Face by `encode_batch_fast` on lines that are in memory already, in a process of its own.
Run it with the Python that has tokenizers (.deps/test-venv, scripts/setup.sh --test). MB are 10^6 bytes.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BINARY = ROOT / "build" / "bertcram"

PEER = """
import sys, time, tokenizers
tokenizer = tokenizers.Tokenizer.from_file(sys.argv[2] + "/tokenizer.json")
lines = open(sys.argv[1], encoding="utf-8", errors="replace").read().split("\\n")
encode = getattr(tokenizer, "encode_batch_fast", tokenizer.encode_batch)
start = time.perf_counter()
tokens = sum(len(encoded.ids) for at in range(0, len(lines), 10_000)
             for encoded in encode(lines[at:at + 10_000], add_special_tokens=False))
print(time.perf_counter() - start, tokens)
"""


def time_bertcram(text, tokenizer, threads):
    start = time.perf_counter()
    with open(text, "rb") as source:
        subprocess.run([BINARY, "encode", "--tokenizer", tokenizer, "--threads", str(threads)], stdin=source,
                       stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def time_peer(text, tokenizer, threads):
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true"}
    done = subprocess.run([sys.executable, "-c", PEER, text, tokenizer], capture_output=True, text=True, check=True,
                          env=environment)
    return float(done.stdout.split()[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("tokenizer")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    megabytes = pathlib.Path(options.text).stat().st_size / 1e6
    figures = []
    for threads in options.threads:
        speeds = {"bertcram": [], "tokenizers": []}
        for _ in range(options.repeats):  # in turn, so that a slow minute hits both
            speeds["bertcram"].append(megabytes / time_bertcram(options.text, options.tokenizer, threads))
            speeds["tokenizers"].append(megabytes / time_peer(options.text, options.tokenizer, threads))
        ratio = statistics.median(speeds["bertcram"]) / statistics.median(speeds["tokenizers"])
        for name, values in speeds.items():
            print(f"{threads} threads  {name:10}  {statistics.median(values):7.1f} MB/s  "
                  f"({min(values):.1f} to {max(values):.1f})")
        print(f"{threads} threads  ratio       {ratio:7.1f}")
        figures.append({"threads": threads, "megabytes": megabytes, "ratio_of_medians": ratio,
                        "megabytes_per_second": speeds})
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
