#!/usr/bin/env python3
"""Fine-tuning as everybody writes it: a plain transformers loop, batches in random order, padded to their longest example.

    bench/peers/finetune_hf.py --model DIR --data GLUE --task rte [--seeds 0,1,2] [--threads 2] [--epochs 3] [--batch 16]
                               [--rate 4e-5] [--examples N] [--like-length]

AdamW (0.9, 0.98, 1e-6) without decay, a tenth of warm-up, cosine to 0: the rules of `bertcram finetune-glue --protocol sane`, so that
only the program differs; with --like-length the batches are formed as there, too. Prints one JSON object per seed: metrics 0..100,
seconds and examples per second of training.
"""

import argparse
import csv
import json
import math
import pathlib
import time

import torch
import transformers

MAX_TOKENS = 128
#       folder, text columns, label column, labels (None: a score)
TASKS = {
    "rte": ("RTE", ("sentence1", "sentence2"), "label", ("entailment", "not_entailment")),
    "mrpc": ("MRPC", ("#1 String", "#2 String"), "Quality", ("0", "1")),
    "stsb": ("STS-B", ("sentence1", "sentence2"), "score", None),
    "cola": ("CoLA", (3,), 1, ("0", "1")),
}


def read(path, task):
    _, texts, label, labels = TASKS[task]
    with open(path, encoding="utf-8-sig", newline="") as lines:
        rows = [line.rstrip("\r\n").split("\t") for line in lines]
    column = (lambda key: key) if task == "cola" else rows[0].index
    rows = rows if task == "cola" else rows[1:]
    place = column(label)
    values = [labels.index(row[place]) if labels else float(row[place]) for row in rows]
    return [[row[column(key)] for row in rows] for key in texts], values


def encode(tokenizer, texts):
    return tokenizer(*texts, truncation="longest_first", max_length=MAX_TOKENS)


def in_turn(order, size):
    return [order[start: start + size] for start in range(0, len(order), size)]


def batches(encoded, values, parts, tokenizer):
    for chosen in parts:
        padded = tokenizer.pad({key: [encoded[key][i] for i in chosen] for key in encoded}, return_tensors="pt")
        yield padded, torch.tensor([values[i] for i in chosen])


def like_length(order, lengths, size, pool=50):
    """Batches of examples of like length: `order` is sorted within each `pool` batches, and the batches are then shuffled."""
    sorted_pools = [sorted(order[start: start + size * pool], key=lambda i: lengths[i])
                    for start in range(0, len(order), size * pool)]
    cut = in_turn([i for each in sorted_pools for i in each], size)
    return [cut[i] for i in torch.randperm(len(cut)).tolist()]


def scores(task, outputs, values):
    import scipy.stats
    import sklearn.metrics
    if TASKS[task][3] is None:
        predicted = outputs.squeeze(1).tolist()
        return {"pearson": 100 * scipy.stats.pearsonr(predicted, values)[0],
                "spearman": 100 * scipy.stats.spearmanr(predicted, values)[0]}
    predicted = outputs.argmax(1).tolist()
    found = {"accuracy": 100 * sklearn.metrics.accuracy_score(values, predicted)}
    if task == "mrpc":
        found["f1"] = 100 * sklearn.metrics.f1_score(values, predicted)
    if task == "cola":
        found["matthews"] = 100 * sklearn.metrics.matthews_corrcoef(values, predicted)
    return found


def run(options, seed, tokenizer, train, dev):
    transformers.set_seed(seed)
    labels = TASKS[options.task][3]
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        options.model, num_labels=len(labels) if labels else 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.rate, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.0)
    count = len(train[1])
    steps = math.ceil(count / options.batch) * options.epochs
    schedule = transformers.get_cosine_schedule_with_warmup(optimizer, int(0.1 * steps), steps)
    model.train()
    start = time.perf_counter()
    for _ in range(options.epochs):
        order = torch.randperm(count).tolist()
        parts = like_length(order, [len(ids) for ids in train[0]["input_ids"]], options.batch) if options.like_length \
            else in_turn(order, options.batch)
        for inputs, values in batches(*train, parts, tokenizer):
            logits = model(**inputs).logits
            loss = torch.nn.functional.cross_entropy(logits, values) if labels \
                else torch.nn.functional.mse_loss(logits.squeeze(1), values)
            loss.backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    seconds = time.perf_counter() - start
    model.eval()
    with torch.no_grad():
        outputs = torch.cat([model(**inputs).logits
                             for inputs, _ in batches(*dev, in_turn(range(len(dev[1])), 32), tokenizer)])
    return {"task": options.task, "seed": seed, "metrics": scores(options.task, outputs, dev[1]),
            "seconds": round(seconds, 2), "examples_per_second": round(count * options.epochs / seconds, 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--task", required=True, choices=sorted(TASKS))
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=4e-5)
    parser.add_argument("--examples", type=int, help="only the first so many training examples")
    parser.add_argument("--like-length", action="store_true", help="batches of like length, as bertcram's")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.logging.set_verbosity_error()
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)
    folder = options.data / TASKS[options.task][0]
    splits = {}
    for name in ("train", "dev"):
        texts, values = read(folder / f"{name}.tsv", options.task)
        most = options.examples if name == "train" and options.examples else len(values)
        encoded = encode(tokenizer, [part[:most] for part in texts])
        splits[name] = (encoded, values[:most])
    for seed in options.seeds.split(","):
        print(json.dumps(run(options, int(seed), tokenizer, splits["train"], splits["dev"])), flush=True)


if __name__ == "__main__":
    main()
