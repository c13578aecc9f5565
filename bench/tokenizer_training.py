#!/usr/bin/env python3
"""WordPiece training, bertcram beside Hugging Face tokenizers: time, memory and how short held-out text becomes.

    bench/tokenizer_training.py TEXT HELDOUT [--vocab-size 32768] [--threads 1 2] [--repeats 3] [--json FILE]

TEXT and HELDOUT are plain text files. Both train an uncased vocabulary with their defaults otherwise (at least two
occurrences of a pair, 1,000 characters), each as a whole process, in turn. Bytes per token: of HELDOUT, encoded by Hugging
Face with either tokenizer; more is better. Run it with the Python that has tokenizers (.deps/test-venv).
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
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BINARY = ROOT / "build" / "bertcram"

PEER = """
import sys, tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers
tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
trainer = trainers.WordPieceTrainer(vocab_size=int(sys.argv[2]), min_frequency=2, limit_alphabet=1000,
    special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False)
tokenizer.train([sys.argv[1]], trainer)
tokenizer.save(sys.argv[3])
"""


def run(command, environment=None):
    """@return seconds and the peak memory in MiB of the process"""
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(errors.decode())
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def bytes_per_token(tokenizer, heldout):
    import tokenizers
    loaded = tokenizers.Tokenizer.from_file(str(tokenizer))
    text = pathlib.Path(heldout).read_bytes()
    lines = text.decode("utf-8", errors="replace").split("\n")
    return len(text) / sum(len(encoded.ids) for encoded in loaded.encode_batch(lines, add_special_tokens=False))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("heldout")
    parser.add_argument("--vocab-size", type=int, default=32768)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="bertcram-bench-"))
    ours, peers = scratch / "ours", scratch / "peer.json"
    figures = []
    for threads in options.threads:
        measured = {"bertcram": [], "tokenizers": []}
        for _ in range(options.repeats):  # in turn, so that a slow minute hits both
            measured["bertcram"].append(run([BINARY, "tokenize", "--input", options.text, "--output", ours, "--overwrite",
                                             "--vocab-size", str(options.vocab_size), "--threads", str(threads)]))
            environment = {**os.environ, "RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true"}
            measured["tokenizers"].append(run([sys.executable, "-c", PEER, options.text, str(options.vocab_size),
                                               str(peers)], environment))
        shortness = {"bertcram": bytes_per_token(ours / "tokenizer.json", options.heldout),
                     "tokenizers": bytes_per_token(peers, options.heldout)}
        for name, runs in measured.items():
            seconds = [run[0] for run in runs]
            print(f"{threads} threads  {name:10}  {statistics.median(seconds):6.2f} s  ({min(seconds):.2f} to "
                  f"{max(seconds):.2f}), peak {max(run[1] for run in runs):,.0f} MiB, {shortness[name]:.4f} bytes per token")
        figures.append({"threads": threads, "seconds_and_peak_mib": measured, "bytes_per_token": shortness})
    shutil.rmtree(scratch)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
