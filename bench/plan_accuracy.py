#!/usr/bin/env python3
"""How near `bertcram plan` comes to what `bertcram bench` then measures on this machine: peak memory and tokens per second.

    bench/plan_accuracy.py [--precision bf16] [--threads 2] [--repeats 3] [--json FILE]

Each shape is planned, then measured. The first one (4 layers × 256) also calibrates: beside the speed predicted from the machine's two
rates alone stands the one multiplied with what `bench` had reached of the prediction for that first shape. Run it on a machine that does
nothing else.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
BINARY = ROOT / "build" / "bertcram"


def shape(arch, layers, hidden, ffn, rows):
    return {"arch": arch, "layers": layers, "hidden": hidden, "heads": hidden // 64, "ffn": ffn, "rows": rows}


SHAPES = [shape("bert", 4, 256, 1024, 32), shape("bert", 4, 256, 1024, 8), shape("modern", 5, 256, 512, 16), shape("bert", 4, 512, 2048, 32),
          shape("modern", 12, 384, 1024, 32), shape("bert", 12, 768, 3072, 8), shape("bert", 12, 768, 3072, 32),
          shape("modern", 12, 768, 1152, 16)]


def run(environment, *words):
    done = subprocess.run([str(word) for word in (BINARY, *words, "--json")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
                          env=environment, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    common = ["--precision", options.precision, "--threads", options.threads]
    rows = []
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as other:
        kept, plain = ({**os.environ, "XDG_CACHE_HOME": folder} for folder in (cache, other))
        for each in SHAPES:
            model = [word for name in ("arch", "layers", "hidden", "heads", "ffn") for word in ("--set", f"model.{name}={each[name]}")]
            batch = ["--set", f"batch.rows={4 * each['rows']}", "--set", f"batch.micro_rows={each['rows']}"]
            planned = run(plain, "plan", *common, *model, *batch)
            calibrated = run(kept, "plan", *common, *model, *batch)
            measured = run(kept if not rows else {**plain, "XDG_CACHE_HOME": tempfile.mkdtemp(dir=other)}, "bench", *common, *model,
                           "--micro-batch", each["rows"], "--passes", 4, "--repeats", options.repeats)
            rate = measured["tokens_per_second"]["median"]
            rows.append({**each, "measured": rate, "planned": planned["tokens_per_second"], "calibrated": calibrated["tokens_per_second"],
                         "is_calibrated": "bench" in calibrated, "peak_memory_bytes": measured["peak_memory_bytes"],
                         "planned_memory_bytes": planned["memory_bytes"], "mfu": measured["mfu"]})
            row = rows[-1]
            print(f"{each['arch']:6} {each['layers']:2} × {each['hidden']:4}, {each['rows']:2} rows: {rate:8,.0f} tokens/s, "
                  f"planned {row['planned'] / rate:5.2f} of it, "
                  f"calibrated {row['calibrated'] / rate if row['is_calibrated'] else float('nan'):5.2f}; memory "
                  f"{row['peak_memory_bytes'] / 2**20:6,.0f} MiB, planned {row['planned_memory_bytes']['total'] / row['peak_memory_bytes']:5.2f}",
                  flush=True)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"precision": options.precision, "threads": options.threads, "shapes": rows,
                                                          "commit": measured["commit"]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
