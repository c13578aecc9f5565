#!/usr/bin/env bash
# Formats our C++ and CUDA sources in place; --check only reports what it would change, and fails if there is anything.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case "${1:-}" in
  "") mode=(-i) ;;
  --check) mode=(--dry-run -Werror) ;;
  *) die 2 "unknown argument '$1'; usage: scripts/format.sh [--check]" ;;
esac
# Debian 12's version: others break lines differently.
formatter=clang-format-14
have "$formatter" || formatter=clang-format
have "$formatter" || die 4 "clang-format not found; run scripts/setup.sh"
"$formatter" --version | grep -E 'version 14\.' >/dev/null ||
  say "note: this is $("$formatter" --version), the sources are formatted with 14"

cd "$root"
folders=()
for folder in include src tests bench; do
  [ ! -d "$folder" ] || folders+=("$folder")
done
find "${folders[@]}" -type f \( -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' \) -print0 |
  xargs -0 -r "$formatter" --style=file "${mode[@]}"
