#!/usr/bin/env python3
"""What do sentence vectors know of STS-B before any fine-tuning?

    bench/sts_cosines.py GLUE MODEL... [--binary FILE]

Pearson's correlation, times 100, of the dev set's scores with the cosine of both texts' mean token vectors (`bertcram embed --pooling mean`),
for each model folder; first with the share of their words that both texts have, which needs no model.
"""

import argparse
import json
import pathlib
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]


def pairs_of(dev):
    """(text, text, score) of each line; quotes are literal."""
    header, *rows = [line.split("\t") for line in dev.read_text(encoding="utf-8").splitlines()]
    columns = [header.index(name) for name in ("sentence1", "sentence2", "score")]
    return [tuple(row[column] for column in columns) for row in rows]


def shared_words(first, second):
    a, b = set(first.lower().split()), set(second.lower().split())
    return len(a & b) / len(a | b)


def vectors_of(binary, model, texts):
    done = subprocess.run([binary, "embed", "--model", model, "--pooling", "mean", "--normalize", "--json"], input="\n".join(texts) + "\n",
                          check=True, capture_output=True, text=True)
    return [json.loads(line)["embedding"] for line in done.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("glue", type=pathlib.Path)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build" / "bertcram")
    options = parser.parse_args()
    firsts, seconds, scores = zip(*pairs_of(options.glue / "STS-B" / "dev.tsv"))
    scores = [float(score) for score in scores]

    def show(name, likeness):
        print(f"{100 * statistics.correlation(likeness, scores):5.1f}  {name}", flush=True)

    show("shared words", [shared_words(first, second) for first, second in zip(firsts, seconds)])
    for model in options.models:
        vectors = vectors_of(options.binary, model, [*firsts, *seconds])
        if len(vectors) != 2 * len(scores):
            raise SystemExit(f"sts_cosines.py: {model}: {len(vectors)} vectors of {2 * len(scores)} texts")
        show(model, [sum(map(float.__mul__, a, b)) for a, b in zip(vectors, vectors[len(scores):])])


if __name__ == "__main__":
    main()
