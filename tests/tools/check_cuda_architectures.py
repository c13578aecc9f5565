"""libbertcram_cuda.so has code of every kernel file for every architecture that it is built for, and PTX for later ones.

Usage: check_cuda_architectures.py LIBRARY SOURCES. The list is that of src/CMakeLists.txt. Skipped (77) without cuobjdump, which CUDA's
toolkit has, and triton's wheel.
"""
import collections
import importlib.util
import pathlib
import re
import shutil
import subprocess
import sys

CODE = {"sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_120"}
PTX = {"sm_120"}


def cuobjdump():
    triton = importlib.util.find_spec("triton")
    places = [shutil.which("cuobjdump"), "/usr/local/cuda/bin/cuobjdump",
              triton and pathlib.Path(triton.origin).parent / "backends/nvidia/bin/cuobjdump"]
    found = next((place for place in places if place and pathlib.Path(place).exists()), None)
    if not found:
        print("skipped: no cuobjdump, neither CUDA's nor triton's")
        sys.exit(77)
    return found


def main():
    library, sources = sys.argv[1], int(sys.argv[2])
    lines = subprocess.run([cuobjdump(), "--list-elf", "--list-ptx", library], check=True, capture_output=True, text=True).stdout
    found = {kind: collections.Counter(re.findall(rf"\.(sm_\d+)\.{kind}$", lines, re.M)) for kind in ("cubin", "ptx")}
    for kind, wanted in (("cubin", CODE), ("ptx", PTX)):
        expected = dict.fromkeys(wanted, sources)
        if found[kind] != expected:
            sys.exit(f"{library}: {kind} {dict(found[kind])}, expected {expected}")


if __name__ == "__main__":
    main()
