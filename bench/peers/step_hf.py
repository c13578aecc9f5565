#!/usr/bin/env python3
"""Pretraining steps of Hugging Face's BertForMaskedLM, as fast as transformers and PyTorch make them: the peer of `bertcram bench`.

    bench/peers/step_hf.py [--mode fp32|bf16|compile] [--layers 12] [--hidden 768] [--heads 12] [--ffn 3072] [--vocab 32768]
                           [--seq-len 128] [--micro-batch 8] [--passes 4] [--steps 1] [--threads 2] [--device cpu]

A step is --passes micro-batches of random rows with 15 % of the tokens masked, gradient clipping and AdamW, without dropout.
fp32: eager; bf16: eager under autocast; compile: torch.compile under bf16 autocast. Attention is PyTorch's fused one (sdpa). The fused
AdamW is used. Says "ready" after two steps, which compile; then, for every line on standard input, takes --steps steps and prints their
tokens per second, so that who compares can let programs take turns.
"""

import argparse
import contextlib
import sys
import time

import torch
import transformers


def masked_batches(options, generator):
    """One step's micro-batches: ids and labels, [micro_batch, seq_len] each; 19 of 128 tokens masked in every row."""
    masked = round(0.15 * options.seq_len)
    for _ in range(options.passes):
        ids = torch.randint(5, options.vocab, (options.micro_batch, options.seq_len), generator=generator)
        positions = torch.rand(ids.shape, generator=generator).argsort(1)[:, :masked]
        labels = torch.full_like(ids, -100).scatter(1, positions, ids.gather(1, positions))
        yield ids.scatter(1, positions, 4).to(options.device), labels.to(options.device)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mode", choices=["fp32", "bf16", "compile"], default="compile")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--ffn", type=int, default=3072)
    parser.add_argument("--vocab", type=int, default=32768)
    parser.add_argument("--seq-len", type=int, default=128)
    parser.add_argument("--micro-batch", type=int, default=8)
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--steps", type=int, default=1, help="per repetition")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = transformers.BertForMaskedLM(transformers.BertConfig(
        vocab_size=options.vocab, hidden_size=options.hidden, num_hidden_layers=options.layers,
        num_attention_heads=options.heads, intermediate_size=options.ffn, max_position_embeddings=options.seq_len,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, attn_implementation="sdpa")).to(options.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    forward = torch.compile(model) if options.mode == "compile" else model

    def autocast():
        if options.mode == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(options.device, dtype=torch.bfloat16)

    def step():
        for ids, labels in masked_batches(options, generator):
            with autocast():
                loss = forward(input_ids=ids, labels=labels).loss / options.passes
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
        if options.device != "cpu":
            torch.cuda.synchronize()

    for _ in range(2):
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(options.steps):
            step()
        print(options.steps * options.passes * options.micro_batch * options.seq_len / (time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    main()
