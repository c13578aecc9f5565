#!/usr/bin/env bash
# Lint checks: clang-tidy on the sources (needs a configured build/) and shellcheck on the scripts.
#   scripts/lint.sh [FILE…]    only these sources, e.g. those that a change touches; default: all that need no LibTorch
#   scripts/lint.sh --all      those above the LibTorch line too, and with the static analyser (many minutes)
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

tidy=clang-tidy-14
have "$tidy" || tidy=clang-tidy
for tool in "$tidy" shellcheck; do
  have "$tool" || die 4 "$tool not found; run scripts/setup.sh --test"
done
[ -e build/compile_commands.json ] || die 4 "build/ is not configured; run scripts/build.sh"

checks=()
case "${1:-}" in
  --all)
    checks=('--checks=clang-analyzer-*')  # added to those of .clang-tidy
    mapfile -t sources < <(find src -name '*.cpp' | sort)
    ;;
  "") mapfile -t sources < <(find src/util src/config src/text src/data src/glue src/monitor src/cli -name '*.cpp' | sort) ;;
  *) sources=("$@") ;;
esac

status=0
# The flags are g++'s: clang does not know all of them.
printf '%s\0' "${sources[@]}" |
  xargs -0 -n 4 -P "$(compile_jobs)" "$tidy" -p build --quiet --extra-arg=-Wno-unknown-warning-option "${checks[@]}" \
    2> >(grep -v 'warnings\? generated\|Suppressed\|Use -header' >&2) ||
  status=1
shellcheck -x scripts/*.sh bench/*.sh .ci/run || status=1
exit "$status"
