#!/usr/bin/env python3
"""Pretraining steps per second, `bertcram bench` beside Hugging Face's transformers (bench/peers/step_hf.py): the same shape, batch and
threads, in turn.

    bench/step_speed.py [--shape base|mini] [--modes fp32,bf16,compile,compile-fp32] [--precision bf16] [--micro-batch N] [--passes 4]
                        [--repeats 5] [--threads 2] [--device cpu] [--memory-limit 8GiB] [--config NAME] [--switches] [--json FILE]

base is BERT-base (12 layers, 768 wide), 8 rows per pass; mini has 4 layers, is 256 wide, 32 rows per pass. Rows of 128 tokens, vocabulary
32,768, 15 % masked, AdamW and clipping included. All programs stay loaded and rest while another one measures, but bertcram's, which is
started anew. --switches measures bertcram once more, with its own CUDA kernels and CUDA graphs. --micro-batch auto gives each the largest
that fits. Run it with .deps/test-venv on a machine that does nothing else; where transformers is not installed the peer is the same model
in plain PyTorch.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
BINARY = ROOT / "build" / "bertcram"
HAS_TRANSFORMERS = importlib.util.find_spec("transformers") is not None
SHAPES = {"base": {"layers": 12, "hidden": 768, "heads": 12, "ffn": 3072, "micro_batch": 8},
          "mini": {"layers": 4, "hidden": 256, "heads": 4, "ffn": 1024, "micro_batch": 32}}


class Peer:
    """A process that measures once for every line that it gets."""

    def __init__(self, mode, shape, options):
        command = [sys.executable, ROOT / "bench/peers/step_hf.py", "--mode", mode, "--micro-batch", options.micro_batch, "--passes",
                   options.passes, "--threads", options.threads, "--device", options.device, "--model",
                   "transformers" if HAS_TRANSFORMERS else "plain"]
        if options.memory_limit:
            command += ["--memory-limit", options.memory_limit]
        for name in ("layers", "hidden", "heads", "ffn"):
            command += [f"--{name}", shape[name]]
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        words = self.process.stdout.readline().split()
        if words[:1] != ["ready"]:
            raise SystemExit(f"the peer did not start: {' '.join(map(str, command))}")
        self.micro_batch = int(words[1])

    def measure(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


SWITCHES = {"BERTCRAM_CUDA_KERNELS": "on", "BERTCRAM_CUDA_GRAPHS": "on"}


def ours(shape, options, switches):
    command = [BINARY, "bench", "--json", "--precision", options.precision, "--passes", options.passes, "--repeats", 1, "--threads",
               options.threads, "--device", options.device]
    if options.micro_batch != "auto":
        command += ["--micro-batch", options.micro_batch]
    if options.memory_limit:
        command += ["--memory-limit", options.memory_limit]
    if options.config:
        command += ["--config", options.config]
    else:
        for name in ("layers", "hidden", "heads", "ffn"):
            command += ["--set", f"model.{name}={shape[name]}"]
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, check=True, text=True,
                          env={**os.environ, **switches})
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=list(SHAPES), default="base")
    parser.add_argument("--modes", default="fp32,bf16,compile")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--micro-batch", type=lambda word: word if word == "auto" else int(word))
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--memory-limit", help="of the GPU, or on the CPU of bertcram alone")
    parser.add_argument("--config", help="another architecture than BERT's for bertcram")
    parser.add_argument("--switches", action="store_true", help="also bertcram with its CUDA kernels and CUDA graphs")
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    shape = SHAPES[options.shape]
    options.micro_batch = options.micro_batch or shape["micro_batch"]
    library = "transformers" if HAS_TRANSFORMERS else "plain PyTorch"
    peers = {f"{library}, {mode}": Peer(mode, shape, options) for mode in options.modes.split(",") if mode}
    switched = {"bertcram, kernels and graphs": SWITCHES} if options.switches else {}
    rates = {"bertcram": [], **{name: [] for name in (*switched, *peers)}}
    reports = []
    for _ in range(options.repeats):
        reports.append(ours(shape, options, {}))
        rates["bertcram"].append(reports[-1]["tokens_per_second"]["median"])
        for name, switches in switched.items():
            rates[name].append(ours(shape, options, switches)["tokens_per_second"]["median"])
        for name, peer in peers.items():
            rates[name].append(peer.measure())
    for name, values in rates.items():  # ratios within a turn: a machine whose clock drifts changes both
        times = statistics.median(mine / other for mine, other in zip(rates["bertcram"], values))
        print(f"{name:24} {statistics.median(values):9,.0f} tokens/s ({min(values):,.0f} to {max(values):,.0f})"
              f"{'' if name == 'bertcram' else f'   bertcram is {times:.2f} times as fast'}")
    shares = [report["mfu"] for report in reports]
    roofline = statistics.median(report["roofline_flops"] for report in reports)
    print(f"large products reach {roofline / 1e12:.2f} TFLOP/s here; bertcram uses {100 * statistics.median(shares):.1f} % of that")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(
            {"shape": options.shape, "tokens_per_second": rates, "roofline_flops": [report["roofline_flops"] for report in reports],
             "flops_per_token": reports[0]["flops_per_token"], "commit": reports[0]["commit"], "device": reports[0]["device"],
             "precision": options.precision, "threads": options.threads, "micro_batch": reports[0]["micro_batch"],
             "peer_micro_batch": {name: peer.micro_batch for name, peer in peers.items()},
             "passes": options.passes}, indent=1) + "\n")


if __name__ == "__main__":
    main()
