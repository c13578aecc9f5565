"""The parts of scripts/gpu_check.sh, each in processes of its own under a time limit, and the file that they add up to."""

import argparse
import ctypes
import importlib.util
import json
import os
import pathlib
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BERTCRAM = ROOT / "build" / "bertcram"
MEMORY_LIMIT = "8GiB"
ALL_SECONDS = 475  # of all parts together
TAIL_CHARACTERS = 2000


class Skipped(Exception):
    """Why a part cannot be done here."""


class Failed(Exception):
    pass


class Check:
    """Runs the commands of a part: they share its time, and write to its log."""

    def __init__(self, options, work):
        self.options, self.work = options, work
        self.device = "cpu" if options.cpu else "cuda"
        self.begin_all = time.monotonic()
        self.log = self.deadline = None

    def run(self, *command, **environment):
        """@return standard output. The whole process group is stopped when the time is over."""
        words = [str(word) for word in command]
        with open(self.log, "a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(words)}\n")
            log.flush()
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, cwd=self.work,
                                       env={**os.environ, **environment}, start_new_session=True)
            try:
                out, _ = process.communicate(timeout=max(0.1, self.deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                raise
            log.write(out)
        if process.returncode != 0:
            raise Failed(f"{pathlib.Path(words[0]).name} ended with code {process.returncode}")
        return out

    def part(self, name, seconds, function):
        begin = time.monotonic()
        left = ALL_SECONDS - (begin - self.begin_all)
        self.log = self.options.logs / f"{name}.txt"
        self.deadline = begin + min(seconds, left)
        result = {}
        try:
            if left < 10:
                raise Skipped("no time left")
            result = {"state": "ok", "figures": function(self)}
        except Skipped as reason:
            result = {"state": "skipped", "reason": str(reason)}
        except subprocess.TimeoutExpired:
            result = {"state": "failed", "reason": f"not done after {self.deadline - begin:.0f} s"}
        except Exception as reason:  # whatever it is, the other parts go on
            result = {"state": "failed", "reason": f"{type(reason).__name__}: {reason}"}
        if result["state"] == "failed" and self.log.exists():
            result["tail"] = self.log.read_text(encoding="utf-8", errors="replace")[-TAIL_CHARACTERS:]
        result["seconds"] = round(time.monotonic() - begin, 1)
        print(f"gpu_check: {name}: {result['state']}{': ' + result['reason'] if 'reason' in result else ''}"
              f" ({result['seconds']} s)", file=sys.stderr)
        return result

    def needs_gpu(self):
        if self.device == "cpu":
            raise Skipped("no GPU")


# ---- what the machine is ---------------------------------------------------------------------------------------------------


def gpu_count():
    """As bertcram asks for it: through the driver, without CUDA's libraries."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    return count.value if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 else 0


def version_of(package):
    if not importlib.util.find_spec(package):
        return None
    from importlib import metadata
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def machine():
    smi = None
    if shutil.which("nvidia-smi"):
        fields = "name,driver_version,memory.total,compute_cap,power.limit,clocks.max.sm"
        done = subprocess.run(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"], capture_output=True, text=True)
        if done.returncode == 0:
            smi = [dict(zip(fields.split(","), map(str.strip, line.split(",")))) for line in done.stdout.splitlines()]
    models = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")]
    return {"gpus": smi, "gpu_count": gpu_count(), "cpu": models[0] if models else platform.machine(), "cores": os.cpu_count(),
            "system": platform.platform(), "python": platform.python_version(), "torch": version_of("torch"),
            "transformers": version_of("transformers"),
            "bertcram": subprocess.run([BERTCRAM, "--version"], capture_output=True, text=True, check=True).stdout.strip()}


# ---- parts -----------------------------------------------------------------------------------------------------------------


def gpu_tests(check):
    check.needs_gpu()
    report = check.work / "gpu_tests.json"
    try:
        check.run(ROOT / "build" / "torch_tests", "--gtest_filter=Gpu*", f"--gtest_output=json:{report}")
    finally:
        tests = [test for suite in json.loads(report.read_text())["testsuites"] for test in suite["testsuite"]] \
            if report.exists() else []
        names = {"failed": [f"{test['classname']}.{test['name']}" for test in tests if test.get("failures")],
                 "skipped": [f"{test['classname']}.{test['name']}" for test in tests if test["result"] == "SKIPPED"]}
    if not tests:
        raise Failed("no test has this name")
    if len(names["skipped"]) == len(tests):
        raise Failed("every test was skipped; the log says why")
    return {"tests": len(tests), **names}


def bench(config, kernels="off", graphs="off"):
    """@param kernels  whether our CUDA kernels take the place of LibTorch's operations  @param graphs  whether passes are recorded"""
    def part(check):
        if config != "bert-mini.yaml" or graphs == "on":
            check.needs_gpu()
        if kernels == "on" and not (ROOT / "build" / "libbertcram_cuda.so").exists():
            raise Skipped("built without nvcc")
        limits = ["--memory-limit", MEMORY_LIMIT] if check.device == "cuda" else ["--micro-batch", 32]
        report = check.run(BERTCRAM, "bench", "--config", config, "--device", check.device, *limits, "--repeats", 3, "--json",
                           BERTCRAM_CUDA_KERNELS=kernels, BERTCRAM_CUDA_GRAPHS=graphs)
        return json.loads(report.splitlines()[-1])
    return part


def peers(shape):
    def part(check):
        if shape == "base":
            check.needs_gpu()
        if not importlib.util.find_spec("torch"):
            raise Skipped("python3 has no torch")
        figures = check.work / f"peers_{shape}.json"
        gpu = ["--memory-limit", MEMORY_LIMIT, "--micro-batch", "auto", "--switches"] if check.device == "cuda" else ["--micro-batch", 8]
        check.run(sys.executable, ROOT / "bench" / "step_speed.py", "--shape", shape, "--device", check.device, *gpu, "--modes",
                  "compile" if check.device == "cuda" else "bf16", "--repeats", 3 if check.device == "cuda" else 1, "--threads",
                  os.cpu_count(), "--precision", "bf16" if check.device == "cuda" else "auto", "--json", figures)
        return json.loads(figures.read_text())
    return part


def made_up_text(path):
    """Sentences that obey a grammar, where the bundle carries no text: enough for a loss to fall."""
    rng = random.Random(0)
    subjects, verbs = [f"noun{i}" for i in range(400)], [f"verb{i}" for i in range(100)]
    with open(path, "w", encoding="utf-8") as out:
        for _ in range(20_000):
            topic = rng.randrange(40)  # ten nouns each
            for _ in range(6):
                first, second = (subjects[topic * 10 + rng.randrange(10)] for _ in range(2))
                out.write(f"the {first} {verbs[rng.randrange(100)]} the {second} .\n")
            out.write("\n")


def training(check):
    text, pieces = ROOT / "data" / "glosses.txt", 4096
    if not text.exists():
        text, pieces = check.work / "text.txt", 400  # of some five hundred words
        made_up_text(text)
    check.run(BERTCRAM, "tokenize", "--input", text, "--output", "tokenizer", "--vocab-size", pieces)
    check.run(BERTCRAM, "pack", "--input", text, "--tokenizer", "tokenizer", "--output", "packed", "--seq-len", 128, "--valid-frac", 0.01)
    check.run(BERTCRAM, "pretrain", "--config", "mini.yaml", "--data", "packed", "--output", "run", "--device", check.device,
              "--budget", f"{check.options.train_seconds}s")
    steps = [json.loads(line) for line in (check.work / "run" / "metrics.jsonl").read_text().splitlines()]
    curve = [{key: line[key] for key in ("step", "tokens", "loss", "tokens_per_second", "memory_bytes") if key in line}
             for line in steps if "loss" in line and "step" in line]
    held_out = json.loads(check.run(BERTCRAM, "eval", "--model", "run/model", "--data", "packed", "--device", check.device, "--json"))
    return {"text": "glosses of WordNet" if text.parent.name == "data" else "made up", "held_out": held_out, "start": steps[0],
            "curve": curve[:: max(1, len(curve) // 40)]}


def main():
    parser = argparse.ArgumentParser(prog="gpu_check.sh")
    parser.add_argument("results", nargs="?", default="gpu_check.json", type=pathlib.Path)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--train-seconds", type=int, default=180)
    options = parser.parse_args()
    options.results = options.results.absolute()
    options.logs = options.results.with_suffix(".logs")
    if not options.cpu and gpu_count() == 0:
        print("gpu_check.sh: no NVIDIA GPU with a working driver here (nvidia-smi); --cpu checks the rest", file=sys.stderr)
        return 4
    shutil.rmtree(options.logs, ignore_errors=True)
    options.logs.mkdir(parents=True)
    results = {"date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": machine(), "parts": {}}
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bertcram-check-") as work:
        check = Check(options, pathlib.Path(work))
        patience = 4 if options.cpu else 1  # a shared CPU may be slow; only a lent GPU counts by the minute
        for name, seconds, function in [
                ("gpu_tests", 60, gpu_tests),
                ("bench_base", 40, bench("bert-base.yaml")),
                ("bench_base_kernels", 30, bench("bert-base.yaml", "on")),
                ("bench_base_graphs", 30, bench("bert-base.yaml", "on", "on")),
                ("bench_modern", 30, bench("base.yaml")),
                ("bench_modern_graphs", 30, bench("base.yaml", "on", "on")),
                ("bench_mini", 40, bench("bert-mini.yaml")),
                ("bench_mini_graphs", 30, bench("bert-mini.yaml", "on", "on")),
                ("training", options.train_seconds + 40, training),
                ("peers_base", 140, peers("base")),  # transformers takes 70 s to compile (H100)
                ("peers_mini", 60, peers("mini"))]:
            results["parts"][name] = check.part(name, patience * seconds, function)
            results["seconds"] = round(time.monotonic() - begin, 1)
            options.results.write_text(json.dumps(results, indent=1) + "\n")  # after each: a kill loses one part
    print(options.results)
    return 1 if any(part["state"] == "failed" for part in results["parts"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
