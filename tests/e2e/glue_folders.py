"""Small GLUE folders, and the command that runs them."""

import csv
import random

from support import make_model

NLI = {"entailment", "neutral", "contradiction"}
NOUNS = ["dog", "cat", "man", "woman", "child", "bird", "house", "river", "tree", "road"]
#        folder, header of train and dev, header of test
LAYOUTS = {
    "rte": ("RTE", "index\tsentence1\tsentence2\tlabel", "index\tsentence1\tsentence2"),
    "stsb": ("STS-B", "sentence1\tsentence2\tscore", "index\tsentence1\tsentence2"),
    "sst2": ("SST-2", "sentence\tlabel", "index\tsentence"),
    "mnli": ("MNLI", "sentence1\tsentence2\tgold_label", "index\tsentence1\tsentence2"),
}
def sentence(rng):
    return f"the {rng.choice(NOUNS)} sees the {rng.choice(NOUNS)} ."


def make_glue(folder, *tasks, train=24, dev=12, test=None, seed=1):
    """A GLUE folder with small data of these tasks."""
    rng = random.Random(seed)
    for task in tasks:
        name, header, test_header = LAYOUTS[task]
        (folder / name).mkdir(parents=True)
        label = {"rte": lambda: rng.choice(["entailment", "not_entailment"]), "stsb": lambda: f"{rng.uniform(0, 5):.2f}",
                 "sst2": lambda: rng.choice("01"), "mnli": lambda: rng.choice(sorted(NLI))}[task]

        def row(index, labelled, columns, label=label):
            text = [sentence(rng) for part in columns if part.startswith("sentence")]
            return "\t".join(([str(index)] if columns[0] == "index" else []) + text + ([label()] if labelled else []))

        def write(file, head, rows, labelled):
            lines = [head] + [row(i, labelled, head.split("\t")) for i in range(rows)]
            (folder / name / file).write_text("\n".join(lines) + "\n", encoding="utf-8")

        write("train.tsv", header, train, True)
        for file in ["dev.tsv"] if task != "mnli" else ["dev_matched.tsv", "dev_mismatched.tsv"]:
            write(file, header, dev, True)
        if test:
            write("test.tsv", test_header, test, False)
    return folder


def arguments(data, output, *more, seeds=2, threads=1, epochs=1):
    return ["finetune-glue", "--model", make_model(), "--data", data, "--output", output, "--seeds", seeds, "--epochs",
            epochs, "--threads", threads, "--precision", "fp32", "--device", "cpu", *more]


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
