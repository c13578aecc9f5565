#!/usr/bin/env python3
"""The seed's recipe as its author ran it (sradc/pretraining-BERT), scaled down: transformers' BertForMaskedLM in fp32, rows
padded to 128 tokens without an attention mask, vocabulary logits at every position, AdamW, a triangle to 1e-3 over a number
of steps that has to be guessed before.

    bench/peers/pretrain_hf.py --text FILE… --tokenizer DIR --output MODEL --minutes 20 [--threads 2] [--layers 4] [--hidden 256]
                               [--heads 4] [--rows 32] [--micro-rows 32] [--seed 0]

In the peer's favour: documents are cut into full rows where the seed threw away what was behind their first 126 tokens, tokenising ahead
is not counted, and the number of steps that fill the minutes is measured first instead of guessed. Text files may be .zst. Prints one JSON object; the model is saved for
`bertcram eval`.
"""

import argparse
import json
import pathlib
import random
import subprocess
import time

import torch
import transformers

SEQ_LEN = 128
MASK_SHARE, MASKED, RANDOM = 0.15, 0.8, 0.5  # of tokens; of those [MASK]; of the rest another token


def documents(paths, limit_bytes):
    """Blocks between blank lines, evenly from all files."""
    for path in paths:
        raw = subprocess.run(["zstd", "-dc", path], capture_output=True, check=True).stdout \
            if str(path).endswith(".zst") else pathlib.Path(path).read_bytes()
        for block in raw[: limit_bytes // len(paths)].decode("utf-8", "replace").split("\n\n"):
            if block.strip():
                yield " ".join(block.split())


def rows_of(options, tokenizer):
    """[rows, 128] int64, shuffled: each document in pieces of 126 tokens, the last one padded; and the share of padding."""
    pieces = []
    for ids in tokenizer(list(documents(options.text, options.megabytes << 20)), add_special_tokens=False)["input_ids"]:
        pieces += [ids[start: start + SEQ_LEN - 2] for start in range(0, len(ids), SEQ_LEN - 2)]
    random.Random(options.seed).shuffle(pieces)
    rows = torch.full((len(pieces), SEQ_LEN), tokenizer.pad_token_id, dtype=torch.int64)
    for row, ids in zip(rows, pieces):
        row[: len(ids) + 2] = torch.tensor([tokenizer.cls_token_id, *ids, tokenizer.sep_token_id])
    return rows, (rows == tokenizer.pad_token_id).float().mean().item()


def corrupt(rows, tokenizer, generator):
    """Devlin et al. 2019; DataCollatorForLanguageModeling. Special tokens are never predicted."""
    special = torch.zeros_like(rows, dtype=torch.bool)
    for token in tokenizer.all_special_ids:
        special |= rows == token
    chosen = (torch.rand(rows.shape, generator=generator) < MASK_SHARE) & ~special
    labels = torch.where(chosen, rows, torch.full_like(rows, -100))
    masked = chosen & (torch.rand(rows.shape, generator=generator) < MASKED)
    other = chosen & ~masked & (torch.rand(rows.shape, generator=generator) < RANDOM)
    rows = torch.where(masked, torch.full_like(rows, tokenizer.mask_token_id), rows)
    rows = torch.where(other, torch.randint(tokenizer.vocab_size, rows.shape, generator=generator), rows)
    return rows, labels


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", nargs="+", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--micro-rows", type=int, default=32)
    parser.add_argument("--megabytes", type=int, default=24, help="of text, more than is trained on")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.tokenizer)
    rows, padding = rows_of(options, tokenizer)
    model = transformers.BertForMaskedLM(transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=options.hidden, num_hidden_layers=options.layers,
        num_attention_heads=options.heads, intermediate_size=4 * options.hidden, max_position_embeddings=SEQ_LEN,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pad_token_id=tokenizer.pad_token_id))
    undecayed = [p for n, p in model.named_parameters() if n.endswith("bias") or "LayerNorm" in n]
    decayed = [p for n, p in model.named_parameters() if not (n.endswith("bias") or "LayerNorm" in n)]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.01}, {"params": undecayed, "weight_decay": 0.0}],
                                  lr=1e-3, betas=(0.9, 0.98), eps=1e-9)
    accumulation = options.rows // options.micro_rows

    def step(number, rate):
        total = 0.0
        for part in range(accumulation):
            first = (number * options.rows + part * options.micro_rows) % (len(rows) - options.micro_rows)
            ids, labels = corrupt(rows[first: first + options.micro_rows], tokenizer, generator)
            loss = model(input_ids=ids, labels=labels).loss / accumulation
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
        return total

    step(0, 0.0)  # warm-up; a rate of 0 changes nothing but the moments
    start = time.perf_counter()
    for number in range(3):
        step(number, 0.0)
    steps = max(2, round(options.minutes * 60 / ((time.perf_counter() - start) / 3)))
    start = time.perf_counter()
    losses = [step(number, 1e-3 * (1 - abs(2 * (number + 0.5) / steps - 1))) for number in range(steps)]
    seconds = time.perf_counter() - start
    model.save_pretrained(options.output)
    tokenizer.save_pretrained(options.output)
    last = losses[-max(1, steps // 20):]
    print(json.dumps({"steps": steps, "seconds": seconds, "tokens": steps * options.rows * SEQ_LEN, "padding": padding,
                      "real_tokens": int(steps * options.rows * SEQ_LEN * (1 - padding)),
                      "train_loss": sum(last) / len(last), "rows": len(rows)}))


if __name__ == "__main__":
    main()
