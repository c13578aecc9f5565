#!/usr/bin/env python3
"""A GLUE folder of everything that the shared data has, gaps filled so that a model can be fine-tuned on as many tasks as possible.

    bench/glue_stand_ins.py DATA OUTPUT      (DATA: the folder that holds glue/ and tasks/)

CoLA, SST-2, MRPC, STS-B, RTE, WNLI and AX are the official ones (links). MNLI: trained on 15,532 pairs of SNLI's dev, ANLI's test and
XNLI's English dev set, judged on the official matched dev set. QQP: of the sample of its training set the last 2,000 pairs are the dev set.
QNLI has no training examples and is left out. Numbers on MNLI and QQP are therefore not GLUE's.
"""

import argparse
import json
import pathlib

OFFICIAL = ("CoLA", "SST-2", "MRPC", "STS-B", "RTE", "WNLI", "AX")
QQP_DEV = 2000


def nli_pairs(folder):
    for name in ("snli_dev.jsonl", "anli_test.jsonl"):
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            pair = json.loads(line)
            yield pair["premise"], pair["hypothesis"], pair["label"]
    for line in (folder / "xnli_en_dev.tsv").read_text(encoding="utf-8").splitlines():
        yield tuple(line.split("\t"))


def write(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join("\t".join(" ".join(cell.split()) for cell in row) + "\n" for row in [header, *rows])
    path.write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    options = parser.parse_args()
    glue = options.data.resolve() / "glue"
    options.output.mkdir(parents=True)
    for name in OFFICIAL:
        (options.output / name).symlink_to(glue / name)
    write(options.output / "MNLI" / "train.tsv", ("index", "sentence1", "sentence2", "gold_label"),
          [(str(number), *pair) for number, pair in enumerate(nli_pairs(options.data / "tasks" / "nli"))])
    (options.output / "MNLI" / "dev_matched.tsv").symlink_to(glue / "MNLI" / "dev_matched.tsv")
    header, *rows = [line.split("\t") for line in (glue / "QQP" / "train.sample.tsv").read_text(encoding="utf-8").splitlines()]
    write(options.output / "QQP" / "train.tsv", header, rows[:-QQP_DEV])
    write(options.output / "QQP" / "dev.tsv", header, rows[-QQP_DEV:])


if __name__ == "__main__":
    main()
