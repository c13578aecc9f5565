#!/usr/bin/env bash
# Formats our C++ and CUDA sources in place; --check only reports what it would change, and fails if there is anything. Another
# version than Debian 12's breaks lines differently: --check is skipped then.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case "${1:-}" in
  "") mode=(-i) ;;
  --check) mode=(--dry-run -Werror) ;;
  *) die 2 "unknown argument '$1'; usage: scripts/format.sh [--check]" ;;
esac
formatter=clang-format-14
have "$formatter" || formatter=clang-format
have "$formatter" || die 4 "clang-format not found; run scripts/setup.sh"
version=$("$formatter" --version)
if [[ "$version" != *"version 14."* ]]; then
  if [ "${1:-}" = --check ]; then
    say "skipped: the sources are formatted with clang-format 14, and this is $version; install clang-format-14"
    exit 0
  fi
  say "note: this is $version, the sources are formatted with 14"
fi

cd "$root"
folders=()
for folder in include src tests bench; do
  [ ! -d "$folder" ] || folders+=("$folder")
done
find "${folders[@]}" -type f \( -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' \) -print0 |
  xargs -0 -r "$formatter" --style=file "${mode[@]}"
