#!/usr/bin/env bash
# Builds build/bertcram and the tests (Ninja, Release); with --program first, all but the tests. Other arguments go to cmake:
#   scripts/build.sh [--program] -DCMAKE_CXX_COMPILER=clang++
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case "${1:-}" in
  -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
esac

targets=()
if [ "${1:-}" = --program ]; then
  targets=(--target bertcram)
  shift
fi
for tool in cmake ninja; do
  have "$tool" || die 4 "$tool not found; run scripts/setup.sh"
done
cmake -S "$root" -B "$root/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBERTCRAM_TORCH_DIR="$(torch_dir)" "$@" >&2
cmake --build "$root/build" --parallel "$(compile_jobs)" "${targets[@]}" >&2
