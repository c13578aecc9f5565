#!/usr/bin/env bash
# Fuzzes every parser (tests/fuzz/targets.cpp) with libFuzzer, address and undefined-behaviour sanitizers:
#
#   scripts/fuzz.sh [SECONDS_PER_TARGET] [TARGET...]
#
# 60 seconds each unless told otherwise. What was found interesting stays in build-fuzz/corpus/TARGET for the next time;
# what a target fails on is printed with the file that repeats it, and the exit code is 1. Needs clang++ 14 or newer.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seconds=${1:-60}
case $seconds in
  '' | *[!0-9]*) die 2 "'$seconds' is no number of seconds; see the head of this script" ;;
esac
shift || true
have clang++ || die 4 "clang++ not found; install clang and libclang-rt-dev (Debian's names)"

build="$root/build-fuzz"
cmake --preset fuzz -S "$root" >&2
cmake --build "$build" --parallel "$(compile_jobs)" --target bertcram_fuzz >&2
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  mapfile -t targets < <("$build/bertcram_fuzz" 2>&1 | tail -n +2)
fi

failed=0
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
for target in "${targets[@]}"; do
  corpus="$build/corpus/$target"
  mkdir -p "$corpus" "$build/found"
  say "$target: $seconds s"
  if ! "$build/bertcram_fuzz" "$target" "$corpus" -max_total_time="$seconds" -max_len=65536 -timeout=20 \
    -rss_limit_mb=2048 -artifact_prefix="$build/found/$target-" -print_final_stats=1 >"$build/$target.log" 2>&1; then
    failed=1
    tail -n 60 "$build/$target.log" >&2
    say "$target FAILED; whole output in $build/$target.log"
  else
    say "$target: $(awk '/number_of_executed_units/ { print $2 }' "$build/$target.log") files read, none misread"
  fi
done
exit "$failed"
