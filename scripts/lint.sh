#!/usr/bin/env bash
# Lint checks: clang-tidy on the sources (needs a configured build/) and shellcheck on the scripts.
#   scripts/lint.sh [FILE…]    only these sources; default: all that need no LibTorch
#   scripts/lint.sh --changed  of those only what differs from the commit in .ci/linted, with the headers that it includes (needs a
#                              finished build/); all where that cannot be told. After a clean run of all: git rev-parse HEAD >.ci/linted
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

all_below_libtorch() { find src/util src/config src/text src/data src/glue src/monitor src/cli -name '*.cpp' | sort; }

# Paths below the root that differ from commit $1, in the commits since and in the working tree.
changed_since() { git diff --name-only "$1" -- && git ls-files --others --exclude-standard; }

# Those of $2 (a file of source paths) that include, or are, one of $1 (a file of paths), as the build's dependencies say.
sources_of() {
  ninja -C build -t deps |
    awk -v root="$root/" -v changed="$1" '
      BEGIN { while ((getline path < changed) > 0) is_changed[path] = 1 }
      /^[^ ]/ { source = ""; next }
      NF == 0 { next }
      { path = $1; sub(/^\.\.\//, "", path); if (index(path, root) == 1) path = substr(path, length(root) + 1) }
      source == "" { source = path }
      path in is_changed { print source }' |
    sort -u | comm -12 - "$2"
}

changed_below_libtorch() {
  local linted folder
  linted=$(cat .ci/linted)
  folder=$(mktemp -d)
  all_below_libtorch >"$folder/all"
  if git merge-base --is-ancestor "$linted" HEAD 2>/dev/null && changed_since "$linted" >"$folder/changed" &&
    ! grep -qx '.clang-tidy' "$folder/changed"; then
    sources_of "$folder/changed" "$folder/all"
  else
    cat "$folder/all"
  fi
  rm -r "$folder"
}

checks=()
case "${1:-}" in
  --all)
    checks=('--checks=clang-analyzer-*')  # added to those of .clang-tidy
    mapfile -t sources < <(find src -name '*.cpp' | sort)
    ;;
  --changed) mapfile -t sources < <(changed_below_libtorch) ;;
  "") mapfile -t sources < <(all_below_libtorch) ;;
  *) sources=("$@") ;;
esac
echo "clang-tidy: ${#sources[@]} sources" >&2

status=0
# The flags are g++'s: clang does not know all of them.
[ "${#sources[@]}" = 0 ] || printf '%s\0' "${sources[@]}" |
  xargs -0 -n 4 -P "$(compile_jobs)" "$tidy" -p build --quiet --extra-arg=-Wno-unknown-warning-option "${checks[@]}" \
    2> >(grep -v 'warnings\? generated\|Suppressed\|Use -header' >&2) ||
  status=1
shellcheck -x scripts/*.sh bench/*.sh .ci/run || status=1
exit "$status"
