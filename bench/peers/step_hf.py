#!/usr/bin/env python3
"""Pretraining steps of Hugging Face's BertForMaskedLM, as fast as transformers and PyTorch make them: the peer of `bertcram bench`.

    bench/peers/step_hf.py [--mode fp32|bf16|compile|compile-fp32] [--layers 12] [--hidden 768] [--heads 12] [--ffn 3072]
                           [--vocab 32768] [--seq-len 128] [--micro-batch 8|auto] [--passes 4] [--steps 1] [--threads 2] [--device cpu]
                           [--memory-limit 8GiB] [--model transformers|plain]

A step is --passes micro-batches of random rows with 15 % of the tokens masked, gradient clipping and AdamW, without dropout.
fp32: eager; bf16: eager under autocast; compile: torch.compile under bf16 autocast; compile-fp32: without autocast. Attention is
PyTorch's fused one (sdpa). The fused AdamW is used. Says "ready" and its micro-batch after two steps, which compile; then, for every line
on standard input, takes --steps steps and prints their tokens per second, so that who compares can let programs take turns. On a GPU
--micro-batch auto is the largest that fits when not compiled, and --memory-limit caps PyTorch's allocator. plain: the same model without
transformers (plain_bert.py).
"""

import argparse
import contextlib
import sys
import time

import torch

GIB = 1 << 30
AUTO_SIZES = (384, 256, 192, 128, 96, 64, 48, 32, 24, 16, 8, 4)


def masked_batches(options, generator):
    """One step's micro-batches: ids and labels, [micro_batch, seq_len] each; 19 of 128 tokens masked in every row."""
    masked = round(0.15 * options.seq_len)
    for _ in range(options.passes):
        ids = torch.randint(5, options.vocab, (options.micro_batch, options.seq_len), generator=generator)
        positions = torch.rand(ids.shape, generator=generator).argsort(1)[:, :masked]
        labels = torch.full_like(ids, -100).scatter(1, positions, ids.gather(1, positions))
        yield ids.scatter(1, positions, 4).to(options.device), labels.to(options.device)


def make_model(options):
    """@return a module, and its mean loss as a function of ids and labels"""
    if options.model == "plain":
        from plain_bert import PlainBert
        return PlainBert(options.vocab, options.seq_len, options.layers, options.hidden, options.heads, options.ffn), lambda loss: loss
    import transformers
    return transformers.BertForMaskedLM(transformers.BertConfig(
        vocab_size=options.vocab, hidden_size=options.hidden, num_hidden_layers=options.layers,
        num_attention_heads=options.heads, intermediate_size=options.ffn, max_position_embeddings=options.seq_len,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, attn_implementation="sdpa")), lambda output: output.loss


def largest_that_fits(options, step):
    for size in AUTO_SIZES:
        options.micro_batch = size
        try:
            step()
            return
        except torch.cuda.OutOfMemoryError:
            pass  # freed below, when nothing of the failed step is held any more
        torch.cuda.empty_cache()
    raise SystemExit("not even the smallest micro-batch fits")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mode", choices=["fp32", "bf16", "compile", "compile-fp32"], default="compile")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--ffn", type=int, default=3072)
    parser.add_argument("--vocab", type=int, default=32768)
    parser.add_argument("--seq-len", type=int, default=128)
    parser.add_argument("--micro-batch", type=lambda word: word if word == "auto" else int(word), default=8)
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--steps", type=int, default=1, help="per repetition")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--memory-limit", type=lambda word: float(word.removesuffix("GiB")), metavar="NGiB")
    parser.add_argument("--model", choices=["transformers", "plain"], default="transformers")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    if options.memory_limit and options.device != "cpu":
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, options.memory_limit * GIB / total))
    model, loss_of = make_model(options)
    model.to(options.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    forward = model

    def autocast():
        if options.mode.endswith("fp32"):
            return contextlib.nullcontext()
        return torch.autocast(options.device, dtype=torch.bfloat16)

    def step():
        for ids, labels in masked_batches(options, generator):
            with autocast():
                loss = loss_of(forward(input_ids=ids, labels=labels)) / options.passes
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
        if options.device != "cpu":
            torch.cuda.synchronize()

    if options.micro_batch == "auto":
        largest_that_fits(options, step)
    if options.mode.startswith("compile"):
        forward = torch.compile(model)
    for _ in range(2):
        step()
    print("ready", options.micro_batch, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(options.steps):
            step()
        print(options.steps * options.passes * options.micro_batch * options.seq_len / (time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    main()
