#!/usr/bin/env python3
"""Checks that include/ and src/ keep the architecture (design: "Rooms"). One line per finding; exit 1 if there are any.

    check_layers.py [ROOT]      ROOT: the repository, by default the one this file is in

Checked: which room includes which; LibTorch headers at or below the LibTorch line and in .cu files; spdlog and fmt in
headers; exit, abort, assert and std::cout outside cli; JSON that is parsed without a limit of its depth; length of
files and functions, but for those that allowed.txt names with a reason. Works on text, not on a parse tree: good
enough for formatted code, and it needs no compiler.
"""

import pathlib
import re
import sys

# room -> rooms whose headers it may include (its own always).
ALLOWED = {
    "cli": "monitor train plan checkpoint model optim nn dist glue data text config util",
    "train": "plan checkpoint model optim nn dist glue data text config util monitor",
    "monitor": "glue data config util",
    "plan": "model nn config util",
    "checkpoint": "model optim nn text config util",
    "model": "nn config util",
    "optim": "nn util config",
    "nn": "util config",
    "dist": "util config",
    "glue": "data text config util",
    "data": "text config util",
    "text": "util config",
    "config": "util",
    "util": "",
}
WITHOUT_TORCH = {"util", "config", "text", "data", "glue", "monitor", "plan", "cli"}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 80

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
TORCH = re.compile(r"(torch|ATen|c10|caffe2)/")
LOGGER = re.compile(r"(spdlog|fmt)/")
STRAY = re.compile(
    r"(?<![\w.>:])((?:std\s*::\s*|::\s*)?(?:_?exit|quick_exit|_Exit|abort|terminate)|assert)\s*\(|std\s*::\s*(cout)\b")
JSON_PARSER = re.compile(r"\bjson\s*::\s*(parse|accept|sax_parse)\s*\(")
SCOPE = re.compile(r"(\w+\s*:\s*)*(inline\s+|typedef\s+)?(namespace|class|struct|union|enum|extern)\b")
# Numbers first, so that the ' in 10'000 opens no character literal.
TOKENS = re.compile(
    r"""(?P<number>\b\d[\w.']*) | //[^\n]* | /\*.*?\*/ | R"(?P<tag>[^\s()\\]{0,16})\(.*?\)(?P=tag)" |
        "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])+' | ^[ \t]*\#(?:\\\n|[^\n])*""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)


def code_only(text):
    """The text without comments, literals and preprocessor lines; every line stays where it is."""

    def blank(match):
        token = match.group()
        if match.group("number"):
            return token
        return ('""' if token[0] in "\"'R" else " ") + "\n" * token.count("\n")

    return TOKENS.sub(blank, text)


def functions(code):
    """Yields (name, first line, last line) of the functions that are no lambdas; `code` comes from code_only."""
    stack = []  # per open brace: "scope" (namespace, class), "initialiser" or (name, first line)
    header, line, header_line = "", 1, 1
    for character in code:
        if character == "\n":
            line += 1
        inside = any(isinstance(entry, tuple) or entry == "initialiser" for entry in stack)
        if character == "{":
            stack.append("initialiser" if inside else kind_of_brace(header, header_line))
            if stack[-1] == "scope":
                header = ""
        elif character == "}" and stack:
            entry = stack.pop()
            if isinstance(entry, tuple):
                yield entry[0], entry[1], line
            if entry != "initialiser":
                header = ""
            elif not any(isinstance(other, tuple) for other in stack):
                header += "{}"
        elif inside:
            continue
        elif character == ";" and header.count("(") <= header.count(")"):
            header = ""
        else:
            if not header.strip():
                header, header_line = "", line
            header += character


def kind_of_brace(header, header_line):
    """What a brace outside of functions opens, judged by the text since the last ; { or }."""
    if header.count("(") > header.count(")"):
        return "initialiser"  # a default argument
    flat = re.sub(r"template\s*<[^{;]*?>(?=\s*[\w:])", " ", header.replace("::", "@")).strip()
    while re.search(r"\([^()]*\)", flat):
        flat = re.sub(r"\([^()]*\)", "<>", flat)
    if SCOPE.match(flat) and not flat.endswith("<>"):
        return "scope"
    if "<>" not in flat or ("operator" not in flat and re.search(r"(?<![=!<>])=(?!=)", flat)):
        return "initialiser"  # a table, a lambda with a name
    if re.search(r"<>\s*(noexcept\s*(<>)?\s*)?:", flat) and re.search(r"\w$", flat):
        return "initialiser"  # a member in a constructor's list
    name = re.search(r"(operator\s*\S*|~?\w+)$", header[: header.index("(")].rstrip())
    return (name.group() if name else "?", header_line)


def read_allowed(path, findings):
    """allowed.txt: `path  reason` or `path:function  reason` per line -> {key: line number}."""
    allowed = {}
    for number, text in enumerate(path.read_text().splitlines() if path.exists() else [], 1):
        words = text.split(None, 1)
        if not words or text.startswith("#"):
            continue
        if len(words) == 1:
            findings.append(f"{path}:{number}: '{words[0]}' is allowed without a reason")
        allowed[words[0]] = number
    return allowed


def find_cycle(edges):
    """A list of rooms that leads back to its start, or None."""
    done = set()

    def visit(room, trail):
        if room in trail:
            return trail[trail.index(room):] + [room]
        if room in done:
            return None
        for target in sorted(edges.get(room, ())):
            cycle = visit(target, trail + [room])
            if cycle:
                return cycle
        done.add(room)
        return None

    for start in sorted(edges):
        cycle = visit(start, [])
        if cycle:
            return cycle
    return None


def room_of(path):
    """The room of a file given relative to the root; src/main.cpp counts as cli."""
    parts = path.parts[1:] if path.parts[0] == "src" else path.parts[2:]
    return parts[0] if len(parts) > 1 else "cli"


def target_room(include, path, root):
    """The room of an included header of ours, or None. Private headers may be named relative to the file or to src/."""
    if include.startswith("bertcram/"):
        return include.split("/")[1] if include.count("/") > 1 else None
    for base in (root / path.parent, root / "src"):
        located = (base / include).resolve()
        if located.is_file() and (root / "src").resolve() in located.parents:
            return room_of(located.relative_to(root.resolve()))
    return None


def check_includes(path, text, root, edges, findings):
    room = room_of(path)
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        include, where = match.group(1), f"{path}:{number}"
        target = target_room(include, path, root)
        if target and target != room:
            edges.setdefault(room, set()).add(target)
            if target not in ALLOWED.get(room, "").split():
                findings.append(f"{where}: {room} may not include {target} ({include})")
        if TORCH.match(include) and room in WITHOUT_TORCH:
            findings.append(f"{where}: LibTorch header {include} in {room}, at or below the LibTorch line")
        elif TORCH.match(include) and path.suffix in (".cu", ".cuh"):
            findings.append(f"{where}: LibTorch header {include} in a CUDA source; pass raw pointers")
        if LOGGER.match(include) and path.suffix in (".h", ".cuh"):
            findings.append(f"{where}: {include} in a header; it collides with the fmt that LibTorch ships")


def check_file(path, text, used, allowed, findings):
    code = code_only(text)
    if room_of(path) != "cli":
        for number, line in enumerate(code.splitlines(), 1):
            for match in STRAY.finditer(line):
                what = (match.group(1) or "std::cout").replace(" ", "")
                findings.append(f"{path}:{number}: {what} outside cli; throw an error (util/error.h) or return a value")
    if str(path) != "src/util/json.cpp":
        for number, line in enumerate(code.splitlines(), 1):
            if JSON_PARSER.search(line):
                findings.append(f"{path}:{number}: json::parse has no limit of depth; use util::parse_json")
    lengths = [(str(path), 1, len(text.splitlines()), MAX_FILE_LINES, "the file")]
    for name, first, last in functions(code):
        lengths.append((f"{path}:{name}", first, last - first + 1, MAX_FUNCTION_LINES, name))
    for key, line, lines, limit, what in lengths:
        if lines > limit and key in allowed:
            used.add(key)
        elif lines > limit:
            findings.append(f"{path}:{line}: {what} has {lines} lines, more than {limit}; split it, or list '{key}' "
                            "with a reason in tests/arch/allowed.txt")


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2])
    findings, edges, used = [], {}, set()
    allowed_path = root / "tests" / "arch" / "allowed.txt"
    allowed = read_allowed(allowed_path, findings)
    sources = sorted(file for folder in ("include/bertcram", "src") for file in (root / folder).rglob("*")
                     if file.suffix in (".h", ".cpp", ".cu", ".cuh"))
    if not sources:
        findings.append(f"{root}: no sources in include/bertcram and src")
    unknown_rooms = set()
    for file in sources:
        path, text = file.relative_to(root), file.read_text(encoding="utf-8")
        if room_of(path) not in ALLOWED:
            unknown_rooms.add(room_of(path))
        check_includes(path, text, root, edges, findings)
        check_file(path, text, used, allowed, findings)
    for room in sorted(unknown_rooms):
        findings.append(f"src/{room}: room unknown to tests/arch/check_layers.py")
    table = {room: targets.split() for room, targets in ALLOWED.items()}
    for graph, name in ((edges, "the includes"), (table, "ALLOWED")):
        cycle = find_cycle(graph)
        if cycle:
            findings.append(f"cycle of rooms in {name}: {' -> '.join(cycle)}")
    for key in sorted(set(allowed) - used):
        findings.append(f"{allowed_path}:{allowed[key]}: '{key}' need not be allowed any more")
    print("\n".join(findings) or f"layers: {len(sources)} files, nothing found")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
