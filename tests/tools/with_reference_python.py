"""Runs a script under the Python that has the reference implementations (transformers, tokenizers, …).

Usage: with_reference_python.py SCRIPT ARGUMENTS. That Python is $BERTCRAM_TEST_PYTHON, else .deps/test-venv of the
checkout (scripts/setup.sh --test); without one it says so and ends with 77, which ctest counts as skipped.
An argument data:PATH is looked up below $BERTCRAM_DATA_DIR (default ../shared/data); without it the test is skipped too.
"""
import os
import pathlib
import sys

root = pathlib.Path(__file__).resolve().parents[2]


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def resolved(argument):
    if not argument.startswith("data:"):
        return argument
    path = pathlib.Path(os.environ.get("BERTCRAM_DATA_DIR") or root.parent / "shared/data") / argument[5:]
    if not path.exists():
        skip(f"{path} is not there; name the data with BERTCRAM_DATA_DIR")
    return str(path)


python = os.environ.get("BERTCRAM_TEST_PYTHON") or str(root / ".deps/test-venv/bin/python")
if not os.access(python, os.X_OK):
    skip(f"no Python with the reference implementations at {python}; scripts/setup.sh --test makes one")
arguments = [resolved(argument) for argument in sys.argv[1:]]
os.execv(python, [python, *arguments])
