#!/usr/bin/env python3
"""`bertcram pack` as a whole and stage by stage: time, MB of raw text per second, peak memory.

    bench/pack_speed.py TOKENIZER TEXT… [--threads 1 2] [--repeats 3] [--scale N] [--json FILE]

Only commands that users type are timed; a stage costs what a run with it takes longer than one without:
  read       `pack --min-chars 2147483647`: documents are read, decompressed and dropped by their length
  pack       the whole, exact duplicates only
  filters    the whole with --max-symbols, --max-repetition, --max-tokens-per-char and --duplicate-paragraphs
  near       the whole with --near-duplicates 0.8
--scale N makes an input of N copies of TEXT first, which differ in every "the" (the copy's number follows it, so that they
are no exact duplicates), to show that memory does not grow with the text: uncompressed, beside the output, in the folder
for temporary files. MB are 10^6 bytes of raw text.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BINARY = ROOT / "build" / "bertcram"

NOTHING_LEFT = 3  # exit code of a pack that drops every document

STAGES = {
    "read": ["--min-chars", str(2**31 - 1)],
    "pack": [],
    "filters": ["--max-symbols", "0.5", "--max-repetition", "0.5", "--max-tokens-per-char", "1", "--duplicate-paragraphs"],
    "near": ["--near-duplicates", "0.8"],
}


def run(arguments, expected):
    """@return seconds and the peak memory in MiB"""
    start = time.perf_counter()
    process = subprocess.Popen([BINARY, "pack", "--quiet", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != expected:
        sys.exit(errors.decode())
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def read_text(path):
    command = ["zstd", "--long=27", "-dcq", path] if path.endswith(".zst") else ["cat", path]
    return subprocess.run(command, capture_output=True, check=True).stdout


def scaled(paths, copies, folder):
    """Files of `copies` different versions of the texts."""
    texts = [read_text(path) for path in paths]
    made = []
    for copy in range(copies):
        mark = b" the" + str(copy).encode() + b" "
        for number, text in enumerate(texts):
            target = folder / f"text-{copy}-{number}.txt"
            target.write_bytes(text.replace(b" the ", mark))
            made.append(str(target))
    return made


def total_bytes(paths):
    return sum(len(read_text(path)) for path in paths)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tokenizer")
    parser.add_argument("texts", nargs="+")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=list(STAGES))
    parser.add_argument("--scale", type=int, default=0)
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="bertcram-bench-"))
    # In a process of its own: the peak memory of a child is never below that of the process which started it.
    with concurrent.futures.ProcessPoolExecutor(1) as other:
        texts = other.submit(scaled, options.texts, options.scale, scratch).result() if options.scale else options.texts
        megabytes = other.submit(total_bytes, texts).result() / 1e6
    figures = []
    for threads in options.threads:
        for stage in options.stages:
            runs = []
            for _ in range(options.repeats):
                shutil.rmtree(scratch / "packed", ignore_errors=True)
                runs.append(run(["--input", *texts, "--tokenizer", options.tokenizer, "--output", scratch / "packed",
                                 "--threads", str(threads), *STAGES[stage]], NOTHING_LEFT if stage == "read" else 0))
            seconds = [run[0] for run in runs]
            print(f"{threads} threads  {stage:8}  {megabytes / statistics.median(seconds):7.1f} MB/s  "
                  f"({statistics.median(seconds):.2f} s, {min(seconds):.2f} to {max(seconds):.2f}), peak "
                  f"{max(run[1] for run in runs):,.0f} MiB, {megabytes:,.0f} MB of text")
            figures.append({"threads": threads, "stage": stage, "megabytes": megabytes, "seconds_and_peak_mib": runs})
    shutil.rmtree(scratch)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
