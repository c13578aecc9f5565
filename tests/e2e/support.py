"""Shared by the end-to-end tests: runs the real binary, makes tiny inputs, checks how a failure looks.

The binary is named by BERTCRAM_BINARY (default build/bertcram), the real sample data by BERTCRAM_DATA_DIR
(default ../shared/data from the project's root). Only the standard library is used here.
"""

import contextlib
import fcntl
import functools
import json
import os
import pathlib
import pty
import random
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("BERTCRAM_BINARY", ROOT / "build" / "bertcram")).resolve()
DATA = pathlib.Path(os.environ.get("BERTCRAM_DATA_DIR") or ROOT.parent / "shared" / "data")
COMMANDS = ["tokenize", "encode", "pack", "pretrain", "finetune-glue", "eval", "embed", "fill-mask", "predict", "bench", "plan", "report", "serve",
            "config"]

# After that a process counts as hung; nothing else may depend on how fast the machine is.
HUNG_SECONDS = 280

DONE, BUG, USAGE, INPUT, RESOURCES, DIVERGED = 0, 1, 2, 3, 4, 5

# What a user must never see: stack traces and the error texts of LibTorch and the C++ runtime.
NEVER_ON_STDERR = ["terminate called", "Traceback", "c10::", "Exception raised from", "at::", "frame #", "std::",
                   "what():", "Segmentation", "core dumped", "internal error", "nlohmann", "json.exception", "YAML::"]
# Names that only unfinished writes have.
TEMPORARY = re.compile(r"\.tmp|^\.partial|^bertcram-")
ERROR_LINE = re.compile(r"^\d\d:\d\d:\d\d E bertcram: (.+)$")


# A job in the background may ignore SIGINT, and hands that down to bertcram, which then goes on ignoring it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What commands keep between runs is not the user's here.
CACHE = tempfile.TemporaryDirectory(prefix="e2e-cache-")


# ---- running ---------------------------------------------------------------------------------------------------------

class Result:
    def __init__(self, command, code, out, err):
        self.command, self.code, self.out, self.err = command, code, out, err

    @property
    def text(self):
        return self.out.decode("utf-8")

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def error_lines(self):
        return [m.group(1) for m in map(ERROR_LINE.match, self.err.splitlines()) if m]

    def __str__(self):
        return (f"\n$ {' '.join(map(str, self.command))}\nexit code {self.code}\n--- stdout\n{self.out[:2000]!r}\n"
                f"--- stderr\n{self.err[-4000:]}")


def environment(**extra):
    """The environment without what would change results, plus `extra` (None removes)."""
    env = {k: v for k, v in os.environ.items() if k not in ("BERTCRAM_FUSED", "BERTCRAM_GLUE_DIR", "NO_COLOR")}
    env.update({"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": CACHE.name})
    for key, value in extra.items():
        env.pop(key, None)
        if value is not None:
            env[key] = str(value)
    return env


def wait_for_binary():
    """The binary may be being rebuilt: give the linker a moment."""
    for _ in range(100):
        if os.access(BINARY, os.X_OK):
            return
        time.sleep(0.3)
    raise AssertionError(f"{BINARY} is not there; build it, or name one with BERTCRAM_BINARY")


def start(*args, stdin=subprocess.DEVNULL, cwd=None, env=None, stderr=subprocess.PIPE, binary=BINARY):
    """Starts bertcram in the background."""
    wait_for_binary()
    return subprocess.Popen([str(binary), *map(str, args)], stdin=stdin, stdout=subprocess.PIPE, stderr=stderr,
                            cwd=cwd, env=env or environment())


def finish(process, timeout=HUNG_SECONDS):
    """Waits for start()'s process."""
    out, err = process.communicate(timeout=timeout)
    return Result(process.args, process.returncode, out, (err or b"").decode("utf-8", "replace"))


def bertcram(*args, stdin=None, cwd=None, env=None, timeout=HUNG_SECONDS, binary=BINARY):
    """Runs bertcram to its end. Arguments may be paths; stdin is bytes or text."""
    wait_for_binary()
    if isinstance(stdin, str):
        stdin = stdin.encode("utf-8")
    command = [str(binary), *map(str, args)]
    done = subprocess.run(command, input=stdin if stdin is not None else b"", capture_output=True, cwd=cwd,
                          env=env or environment(), timeout=timeout)
    return Result(command, done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))


def must(*args, **kwargs):
    """bertcram(), for steps that are not the point of the test."""
    result = bertcram(*args, **kwargs)
    if result.code != DONE:
        raise AssertionError(f"a preparing step failed:{result}")
    return result


# ---- what lies on the disk -------------------------------------------------------------------------------------------

def snapshot(*paths):
    """{relative name: bytes} of files and of all files below folders; locks are not content."""
    found = {}
    for path in map(pathlib.Path, paths):
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        for file in files:
            if file.name != ".lock":
                found[str(file)] = file.read_bytes()
    return found


def temporaries(folder):
    return sorted(str(p) for p in pathlib.Path(folder).rglob("*") if TEMPORARY.search(p.name))


def flip_byte(path, offset=-20):
    """Flips one bit; a negative offset counts from the end."""
    content = bytearray(pathlib.Path(path).read_bytes())
    content[offset] ^= 0x10
    pathlib.Path(path).write_bytes(bytes(content))


def make_nan(path, name):
    """Fills an fp32 tensor of a safetensors file with what is not a number."""
    content = bytearray(pathlib.Path(path).read_bytes())
    data = 8 + int.from_bytes(content[:8], "little")
    begin, end = json.loads(content[8:data])[name]["data_offsets"]
    content[data + begin:data + end] = struct.pack("<f", float("nan")) * ((end - begin) // 4)
    pathlib.Path(path).write_bytes(bytes(content))


def read_jsonl(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]


# ---- tiny inputs -----------------------------------------------------------------------------------------------------

NOUNS = "cat dog bird fish horse mouse lion bear wolf sheep".split()
VERBS = "sees eats likes hunts follows hears".split()
PLACES = "river house garden forest city mountain".split()


def make_text(path, documents=250, seed=1):
    """Short documents of simple sentences, all different; enough for a vocabulary of about 200."""
    rng = random.Random(seed)
    blocks = []
    for number in range(documents):
        lines = [f"The {rng.choice(NOUNS)} {rng.choice(VERBS)} the {rng.choice(NOUNS)} near the {rng.choice(PLACES)} ."
                 for _ in range(3)]
        blocks.append("\n".join([*lines, f"It was day {number} of year {rng.randrange(1000, 2000)} ."]) + "\n")
    path = pathlib.Path(path)
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


TINY_MODEL = {"model.hidden": 32, "model.layers": 1, "model.heads": 2, "model.ffn": 64, "model.max_positions": 32,
              "batch.rows": 8, "batch.micro_rows": 4, "log_every_steps": 1}


def sets(*groups, **values):
    """--set arguments from dictionaries and keyword arguments (a__b is a.b); later ones win."""
    merged = {}
    for group in groups:
        merged.update(group)
    merged.update({key.replace("__", "."): value for key, value in values.items()})
    return [word for key, value in merged.items() for word in ("--set", f"{key}={value}")]


def pretrain_args(data, output, steps=20, **values):
    return ["pretrain", "--data", data, "--output", output, "--steps", steps, "--threads", 1, "--precision", "fp32",
            "--device", "cpu", *sets(TINY_MODEL, **values)]


@functools.lru_cache(maxsize=None)
def fixtures():
    """A folder for the fixtures of this process; read-only by convention, tests copy what they change."""
    folder = tempfile.TemporaryDirectory(prefix="e2e-fixtures-")
    fixtures.keep = folder  # lives as long as the process
    return pathlib.Path(folder.name)


def _fixture(name, make):
    """fixtures()/name, made on first use; a name is one content. @param make is called with the path"""
    path = fixtures() / name
    if not path.exists():
        make(path)
    return path


def text_fixture(seed=1):
    return _fixture(f"text-{seed}.txt", lambda path: make_text(path, 250, seed))


def make_tokenizer(vocab_size=200, seed=1):
    return _fixture(f"tokenizer-{vocab_size}-{seed}", lambda path: must(
        "tokenize", "--input", text_fixture(seed), "--output", path, "--vocab-size", vocab_size, "--threads", 1))


def make_packed(vocab_size=200, seed=1, seq_len=32):
    return _fixture(f"packed-{vocab_size}-{seed}-{seq_len}", lambda path: must(
        "pack", "--input", text_fixture(seed), "--tokenizer", make_tokenizer(vocab_size, seed), "--output", path,
        "--seq-len", seq_len, "--valid-frac", 0.1, "--threads", 1))


def make_model(vocab_size=200, seed=1, steps=20, arch="bert", objective="mlm"):
    """The model folder of a short pretraining; its run folder is the parent."""
    return _fixture(f"run-{vocab_size}-{seed}-{steps}-{arch}-{objective}", lambda path: must(
        *pretrain_args(make_packed(vocab_size, seed), path, steps, checkpoint__every_steps=10, model__arch=arch,
                       objective=objective))) / "model"


def make_task(folder, train_rows=60, dev_rows=30, seed=1, name="pets", extra=""):
    """A two-class task (does a cat or a dog come first?), with header; returns its YAML file."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)

    def write(file, rows):
        lines = ["text\tclass"]
        for _ in range(rows):
            animal = rng.choice(["cat", "dog"])
            lines.append(f"The {animal} {rng.choice(VERBS)} the {rng.choice(NOUNS)} .\t{animal}s")
        (folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8")

    write("train.tsv", train_rows)
    write("dev.tsv", dev_rows)
    file = folder / f"{name}.yaml"
    file.write_text(f"name: {name}\ntrain: train.tsv\ndev: dev.tsv\ncolumns: {{sentence1: text, label: class}}\n"
                    f"labels: [cats, dogs]\n{extra}", encoding="utf-8")
    return file


def finetune_args(task_file, model, output, seeds=2, *more):
    return ["finetune-glue", "--task-file", task_file, "--model", model, "--output", output, "--seeds", seeds,
            "--epochs", 1, "--batch-rows", 16, "--threads", 1, "--precision", "fp32", "--device", "cpu", *more]


def zstd_file(source, target):
    """Compresses with the zstd program; skips where it is absent."""
    if shutil.which("zstd") is None:
        raise unittest.SkipTest("the program 'zstd' is not installed")
    subprocess.run(["zstd", "-q", "-f", str(source), "-o", str(target)], check=True)
    return pathlib.Path(target)


# ---- the test case ---------------------------------------------------------------------------------------------------

class E2ETestCase(unittest.TestCase):
    """Each test has an empty folder self.dir; what bertcram leaves in $TMPDIR is noticed at the end."""

    maxDiff = 2000

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="e2e-")
        self.addCleanup(holder.cleanup)
        self.dir = pathlib.Path(holder.name) / "work"
        self.dir.mkdir()
        self.tmp = pathlib.Path(holder.name) / "tmp"
        self.tmp.mkdir()

    def bertcram(self, *args, **kwargs):
        env = dict(kwargs.pop("env", None) or environment(), TMPDIR=str(self.tmp))
        return bertcram(*args, env=env, **kwargs)

    def on_a_terminal(self, *args, columns=80, **env):
        """stderr of a command whose stderr is a terminal."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen([str(BINARY), *map(str, args)], stderr=slave, stdout=subprocess.DEVNULL,
                                   stdin=subprocess.DEVNULL, env=environment(**{"TERM": "xterm", **env}))
        os.close(slave)
        output = b""
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # Linux says EIO at the end
                break
            if not chunk:
                break
            output += chunk
        process.wait(timeout=HUNG_SECONDS)
        os.close(master)
        return output

    def copy(self, source, name=None):
        """A copy of a fixture that the test may damage."""
        source = pathlib.Path(source)
        target = self.dir / (name or source.name)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy2(source, target)
        return target

    def assert_ok(self, result):
        self.assertEqual(result.code, DONE, result)
        return result

    def assert_clean_stderr(self, result):
        for word in NEVER_ON_STDERR:
            self.assertNotIn(word, result.err, f"{word!r} on stderr{result}")

    def assert_fails(self, result, code, *fragments, lines=1):
        """Exit code; one helpful line (`lines` of them; None: at least one) that holds the fragments; no trace of a
        crash; nothing on stdout. A fragment may be a tuple of alternatives."""
        self.assertIn(result.code, code if isinstance(code, (tuple, list)) else [code], result)
        self.assert_clean_stderr(result)
        errors = result.error_lines
        if lines is None:
            self.assertTrue(errors, f"no error line{result}")
        else:
            self.assertEqual(len(errors), lines, f"number of error lines{result}")
        self.assertTrue(ERROR_LINE.match(result.err.splitlines()[-1]), f"the error is not the last line{result}")
        message = "\n".join(errors)
        self.assertLessEqual(max(map(len, errors)), 800, f"the error line is not readable{result}")
        for fragment in fragments:
            options = fragment if isinstance(fragment, tuple) else (fragment,)
            self.assertTrue(any(str(option).lower() in message.lower() for option in options),
                            f"none of {options} in the error{result}")
        self.assertEqual(result.out, b"", f"a failed command wrote to stdout{result}")
        return message

    @contextlib.contextmanager
    def unharmed(self, *paths):
        """What was there stays byte-identical (runs' logs may grow), and no temporary file is left."""
        before = snapshot(*paths)
        yield
        after = snapshot(*paths)
        for name, content in before.items():
            self.assertIn(name, after, f"{name} has vanished")
            if pathlib.Path(name).name == "run.log":
                self.assertTrue(after[name].startswith(content), f"{name} was rewritten")
            else:
                self.assertEqual(after[name], content, f"{name} was changed")
        self.assert_no_temporaries(*paths)

    def assert_no_temporaries(self, *folders):
        left = [name for folder in [*folders, self.dir, self.tmp] for name in temporaries(folder)]
        self.assertEqual(left, [], "temporary files are left")

    def assert_no_output(self, folder):
        """A failed command left nothing that looks like a result."""
        self.assertEqual(snapshot(folder), {}, f"{folder} holds files after the failure")


def stop_after(process, condition, timeout=HUNG_SECONDS):
    """Busy-waits until condition() holds or the process ended; returns whether the condition held first."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if condition():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.0005)
    raise AssertionError("the process neither ended nor got there")


def kill(process, number=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
