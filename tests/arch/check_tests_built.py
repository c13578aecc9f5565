#!/usr/bin/env python3
"""Checks that no source is forgotten by the build. One line per finding; exit 1 if there are any.

    check_tests_built.py [ROOT]      ROOT: the repository, by default the one this file is in

Every tests/**/*_test.cpp must be named in a CMakeLists.txt under tests/, every .cpp and .cu under src/ in one under
src/: by its path from that CMakeLists.txt, with or without the suffix (tests may be listed by stem).
"""

import pathlib
import re
import sys


def named_files(folder):
    """The paths without suffix that the CMakeLists.txt files under `folder` name, wherever the paths lead."""
    named = set()
    for listing in folder.rglob("CMakeLists.txt"):
        text = re.sub(r"#[^\n]*", "", listing.read_text(encoding="utf-8"))
        text = re.sub(r"\$\{CMAKE_CURRENT_(SOURCE|LIST)_DIR\}/", "", text)
        for word in re.split(r'[\s()";]+', text):
            named.add((listing.parent / re.sub(r"\.(cpp|cu)$", "", word)).resolve())
    return named


def check(root, folder, pattern, findings):
    named = named_files(root / folder)
    files = sorted(file for glob in pattern for file in (root / folder).rglob(glob))
    for file in files:
        if file.resolve().with_suffix("") not in named:
            findings.append(f"{file.relative_to(root)}: in no CMakeLists.txt under {folder}/, so it is never built")
    return len(files)


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2])
    findings = []
    tests = check(root, "tests", ["*_test.cpp"], findings)
    sources = check(root, "src", ["*.cpp", "*.cu"], findings)
    print("\n".join(findings) or f"built: {tests} test files and {sources} sources, all of them named")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
