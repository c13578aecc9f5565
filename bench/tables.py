#!/usr/bin/env python3
"""Makes the tables of the documentation from the files in bench/results, so that a figure cannot drift from what was measured.

    bench/tables.py                    rewrites what stands between `<!-- generated: KIND FILE… -->` and `<!-- end -->` in docs/*.md
    bench/tables.py --check            changes nothing; fails where a table is not what its files say (ctest docs.tables)
    bench/tables.py --print KIND FILE… prints one table from any files, e.g. those that bench/compare.sh just wrote

FILE is a name in bench/results, or a path with --print.
"""

import argparse
import json
import pathlib
import re
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
BLOCK = re.compile(r"^<!-- generated: (?P<kind>\w+) (?P<files>[^\n]*?) -->\n(?P<body>.*?)^<!-- end -->$", re.M | re.S)


def spread(values, digits=0, unit=""):
    """Median and range: `10,630 (9,680–11,471)`."""
    numbers = [f"{value:,.{digits}f}" for value in (statistics.median(values), min(values), max(values))]
    return f"{numbers[0]}{unit} ({numbers[1]}–{numbers[2]})" if len(values) > 1 else f"{numbers[0]}{unit}"


def table(head, rows, left_columns=1):
    """Markdown: the first columns are text, all others numbers."""
    rule = ["---" if column < left_columns else "---:" for column in range(len(head))]
    return "".join(f"| {' | '.join(map(str, cells))} |\n" for cells in (head, rule, *rows)).replace("|  |", "| |")


# ---- one function per kind of file -----------------------------------------------------------------------------------------

# What issue 9 asks for on a CPU, per shape: in bf16 times the fastest peer and the share of the roofline; in fp32 a ratio.
SHAPES = {"base": {"name": "BERT-base", "ratio": 1.8, "aim": 2.1, "roofline_share": 0.85},
          "mini": {"name": "4 layers × 256", "ratio": 4.0, "aim": 5.5, "roofline_share": 0.70}}
PEERS = {"transformers, compile": "transformers, torch.compile, bf16 autocast",
         "transformers, bf16": "transformers, bf16 autocast",
         "transformers, compile-fp32": "transformers, torch.compile, fp32",
         "transformers, fp32": "transformers, fp32"}
FP32_RATIO = 1.5


def ratio(ours, others):
    """Median of the turns' ratios: a machine whose clock drifts changes both of a turn."""
    return statistics.median(a / b for a, b in zip(ours, others))


def step_speed(*runs):
    """Files of bench/step_speed.py, one column each."""
    rates = [run["tokens_per_second"] for run in runs]
    ratios = [{name: ratio(column["bertcram"], values) for name, values in column.items() if name != "bertcram"} for column in rates]
    asked = [SHAPES[run["shape"]] for run in runs]
    rows = [[f"bertcram, {runs[0]['precision']}", *(spread(column["bertcram"]) for column in rates)]]
    others = {peer for column in rates for peer in column} - {"bertcram", *PEERS}
    for peer, name in [*PEERS.items(), *((peer, peer) for peer in sorted(others))]:
        cells = [f"{spread(column[peer])}: {times[peer]:.2f} ×" if peer in column else "" for column, times in zip(rates, ratios)]
        if any(cells):
            rows.append([name, *cells])
    rows.append(["times the fastest of these, asked (aim)",
                 *(f"**{min(times.values()):.2f}**, "
                   f"{FP32_RATIO if run['precision'] == 'fp32' else '{ratio:.1f} ({aim:.1f})'.format_map(want)}"
                   for run, times, want in zip(runs, ratios, asked))])
    shares = [run["flops_per_token"] * ratio(column["bertcram"], run["roofline_flops"]) for run, column in zip(runs, rates)]
    rows.append(["share of what large products reach here, asked",
                 *(f"{100 * share:.1f} % of {statistics.median(run['roofline_flops']) / 1e12:.2f} TFLOP/s, "
                   f"{'not asked' if run['precision'] == 'fp32' else '{:.0%}'.format(want['roofline_share']).replace('%', ' %')}"
                   for run, share, want in zip(runs, shares, asked))])
    return table(["tokens/s, median (range)",
                  *(f"{want['name']}, {run['micro_batch']} rows per pass" for run, want in zip(runs, asked))], rows)


def encode_speed(figures):
    rows = [[each["threads"], spread(each["megabytes_per_second"]["bertcram"], 1), spread(each["megabytes_per_second"]["tokenizers"], 1),
             f"{each['ratio_of_medians']:.1f}"] for each in sorted(figures, key=lambda each: each["threads"])]
    return table(["threads", "bertcram, MB/s: whole process, ids printed", "Hugging Face `encode_batch_fast`, MB/s: text in memory",
                  "ratio"], rows)


PACK_STAGES = {"read": "read: decompress, cut into documents, drop them all by `--min-chars`", "pack": "pack, exact duplicates only",
               "filters": "with `--max-symbols --max-repetition --max-tokens-per-char --duplicate-paragraphs`",
               "near": "with `--near-duplicates 0.8`"}


def pack_speed(figures):
    threads = sorted({each["threads"] for each in figures})
    by_key = {(each["stage"], each["threads"]): each for each in figures}
    rows = []
    for stage, name in PACK_STAGES.items():
        found = [by_key.get((stage, count)) for count in threads]
        if not any(found):
            continue
        seconds = [[pair[0] for pair in each["seconds_and_peak_mib"]] for each in found]
        rates = [f"{each['megabytes'] / statistics.median(taken):,.1f} MB/s: {spread(taken, 2, ' s')}"
                 for each, taken in zip(found, seconds)]
        rows.append([name, *rates, f"{max(pair[1] for each in found for pair in each['seconds_and_peak_mib']):.0f} MiB"])
    return table(["", *(f"{count} thread{'s' if count > 1 else ''}" for count in threads), "peak memory"], rows)


def tokenizer_training(figures):
    names = {"bertcram": "bertcram", "tokenizers": "Hugging Face `tokenizers`"}
    measured = figures[0]
    rows = [[names[program], spread([run[0] for run in runs], 2), f"{statistics.median(run[1] for run in runs):.0f} MiB",
             f"{measured['bytes_per_token'][program]:.4f}"] for program, runs in measured["seconds_and_peak_mib"].items()]
    return table(["", "seconds", "peak memory", "held-out bytes per token"], rows)


def finetune_speed(figures):
    def ratio(rates, program):
        return f"{spread(rates[program], 1)}, {statistics.median(rates[program]) / statistics.median(rates['transformers']):.2f} ×"

    rows = [[task.upper(), spread(rates["transformers"], 1), ratio(rates, "bertcram"), ratio(rates, "bertcram side by side")]
            for task, rates in figures["examples_per_second"].items()]
    return table(["examples/s", "transformers, fp32", f"one run, {figures['threads']} threads, {figures['precision']}",
                  f"two runs side by side, {figures['precision']}"], rows)


TASK_NAMES = {"cola": "CoLA", "stsb": "STS-B", "mrpc": "MRPC", "rte": "RTE"}


def finetune_scores(figures):
    """A file of bench/finetune_scores.py: the same model fine-tuned by two programs."""
    def mean(values):
        return f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"

    rows = [[TASK_NAMES.get(row["task"], row["task"]), row["metric"], mean(row["bertcram"]), mean(row["transformers"]),
             f"{row['difference']:+.2f} ({row['standard_error']:.2f})"] for row in figures["rows"]]
    loop = "transformers, batches of like length" if figures.get("like_length") else "transformers"
    return table([f"{figures['seeds']} seeds, {figures['epochs']} epochs", "metric", "bertcram, mean ± standard deviation", loop,
                  "difference (its standard error)"], rows, left_columns=2)


def time_to_quality(figures):
    rows = [[run["name"], f"{run['seconds']:,.0f} s", f"{run['tokens'] / 1e6:.2f} M", f"{run['steps']:,}", f"{run['loss']:.3f}",
             f"{100 * run['accuracy']:.1f} %"] for run in figures["runs"]]
    return table(["", "time", "tokens", "steps", "held-out loss", "accuracy"], rows)


def recipes(figures):
    """A file of bench/recipes.py: settings by their mean loss, each beside the unchanged configuration of the same seeds."""
    losses = {}
    for run in figures["runs"]:
        losses.setdefault((run["name"], " ".join(run["settings"])), {})[run["seed"]] = run["loss"]
    plain = losses[("as it is", "")]
    rows = []
    for (name, settings), by_seed in sorted(losses.items(), key=lambda item: statistics.mean(item[1].values())):
        shared = [loss - plain[seed] for seed, loss in by_seed.items() if seed in plain]
        rows.append([name, f"`{settings}`" if settings else "", ", ".join(f"{loss:.3f}" for _, loss in sorted(by_seed.items())),
                     f"{statistics.mean(by_seed.values()):.3f}", f"{statistics.mean(shared):+.3f}" if settings and shared else ""])
    return table(["setting", "`--set`", "loss of each seed", "mean", "beside as it is"], rows, left_columns=3)


def serve_load(figures):
    rows = [[name, f"{each['requests']:,}", *(f"{each[key]:.1f}" for key in ("median", "p95", "max"))]
            for name, each in figures["milliseconds"].items()]
    return table(["milliseconds", "requests", "median", "95 %", "longest"], rows)


def serve_slowdown(*runs):
    """Files of bench/serve_slowdown.py, one row each."""
    rows = []
    for figures in runs:
        pairs = figures["pairs"]
        alone, watched = ([pair[which] for pair in pairs] for which in ("alone", "watched"))
        ratios = [with_pages["tokens_per_second"] / without["tokens_per_second"] for without, with_pages in zip(alone, watched)]
        share = lambda phases, key: f"{100 * statistics.median(phase[key] for phase in phases):.1f} %"
        rows.append([figures["clients"], figures["threads"], spread([phase["tokens_per_second"] for phase in alone]), spread(ratios, 3),
                     f"{statistics.mean(ratios):.3f} ± {figures['standard_error']:.3f}", share(watched, "server_share_of_a_core"),
                     share(watched, "clients_share_of_a_core"), f"{share(alone, 'waited_for_a_core')}, {share(watched, 'waited_for_a_core')}"])
    return table(["pages open", "training threads", "tokens/s alone", "ratio of a pair", "mean ± its error", "server, of one core", "viewers, of one core",
                  "threads waited for a core, alone and watched"], rows)


BENCHES = {"bench_base": "BERT-base", "bench_modern": "`base.yaml` (ModernBERT)", "bench_mini": "`bert-mini.yaml`"}


def gpu_check(figures):
    """One file of scripts/gpu_check.sh: what `bench` says of each configuration."""
    rows = []
    for part, result in figures["parts"].items():
        name = next((name for prefix, name in BENCHES.items() if part.startswith(prefix)), None)
        if name is None or result["state"] != "ok":
            continue
        bench = result["figures"]
        rate = bench["tokens_per_second"]
        phases = bench["phases"]
        switches = {"kernels": "our kernels", "graphs": "our kernels, graphs"}.get(part.split("_")[-1], "LibTorch")
        rows.append([name, switches, bench["micro_batch"], f"{rate['median']:,.0f} ({rate['min']:,.0f}–{rate['max']:,.0f})",
                     f"{100 * bench['mfu']:.1f} %", f"{1000 * phases['forward']:.0f}", f"{1000 * phases['backward']:.0f}",
                     f"{1000 * phases['update']:.1f}", f"{bench['peak_memory_bytes'] / 2**20:,.0f}"])
    return table(["configuration", "operations", "rows per pass", "tokens/s, median (range)", "of large products' rate", "forward, ms",
                  "backward, ms", "update, ms", "peak, MiB"], rows, left_columns=2)


def gpu_peers(figures):
    """The same file: bertcram beside a peer."""
    rows = []
    for part, result in figures["parts"].items():
        if not part.startswith("peers_") or result["state"] != "ok":
            continue
        speed = result["figures"]
        for name, rates in speed["tokens_per_second"].items():
            ours = name.startswith("bertcram")
            rows.append([SHAPES[speed["shape"]]["name"], name, speed["micro_batch"] if ours else speed["peer_micro_batch"][name], spread(rates)])
    return table(["model", "program", "rows per pass", "tokens/s, median (range)"], rows, left_columns=2)


KINDS = {function.__name__: function for function in (step_speed, encode_speed, pack_speed, tokenizer_training, finetune_speed, finetune_scores,
                                                      time_to_quality, recipes, serve_load, serve_slowdown, gpu_check, gpu_peers)}


# ---- documents -------------------------------------------------------------------------------------------------------------


def made(kind, paths):
    if kind not in KINDS:
        raise SystemExit(f"tables.py: unknown kind '{kind}'; known: {', '.join(KINDS)}")
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise SystemExit(f"tables.py: no such file: {', '.join(missing)}")
    return KINDS[kind](*(json.loads(path.read_text()) for path in paths))


def regenerated(text):
    def block(match):
        files = match["files"].split()
        return f"<!-- generated: {match['kind']} {' '.join(files)} -->\n{made(match['kind'], [RESULTS / file for file in files])}<!-- end -->"

    if text.count("<!-- generated:") != len(BLOCK.findall(text)):
        raise SystemExit("tables.py: a `<!-- generated: KIND FILE… -->` has no `<!-- end -->` line, or is no line of its own")
    return BLOCK.sub(block, text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail where a table is not what its files say")
    parser.add_argument("--print", nargs="+", metavar=("KIND", "FILE"), help="print one table")
    options = parser.parse_args()
    if options.print:
        print(made(options.print[0], [pathlib.Path(file) for file in options.print[1:]]), end="")
        return 0
    stale = False
    documents = sorted((ROOT / "docs").glob("*.md"))
    for document in documents:
        text = document.read_text()
        wanted = regenerated(text)
        if wanted == text:
            continue
        if options.check:
            stale = True
            print(f"{document.relative_to(ROOT)}: a table is not what bench/results says; run bench/tables.py", file=sys.stderr)
        else:
            document.write_text(wanted)
    named = "".join(document.read_text() for document in documents)
    unnamed = [path.name for path in sorted(RESULTS.glob("*.json")) if not re.search(rf"(?<![\w.-]){re.escape(path.name)}", named)]
    if unnamed:
        stale = True
        print(f"nothing in docs names these files of bench/results: {', '.join(unnamed)}", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
