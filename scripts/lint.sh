#!/usr/bin/env bash
# Lint checks: clang-tidy on the sources (needs a configured build/) and shellcheck on the scripts.
#   scripts/lint.sh [FILE…]    only these sources; default: all that need no LibTorch
#   scripts/lint.sh --changed  of those only what differs from the commit in .ci/linted, with the headers that it includes (needs a
#                              finished build/); all where that cannot be told. After a clean run of all: git rev-parse HEAD >.ci/linted
#   scripts/lint.sh --all      those above the LibTorch line too, and with the static analyser (many minutes)
set -euo pipefail
export LC_ALL=C  # one order for sort and comm
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

# Of a finished build: each source with each file that it includes, both below the root.
includes() {
  ninja -C build -t deps |
    awk -v root="$root/" '
      /^[^ ]/ { source = ""; next }
      NF == 0 { next }
      { path = $1; sub(/^\.\.\//, "", path); if (index(path, root) == 1) path = substr(path, length(root) + 1) }
      source == "" { source = path }
      { print source, path }' | sort -u
}

# Of the sources in $1, those that changed or include what did; fails where that cannot be told. $2: a folder for files.
changed_among() {
  local linted
  linted=$(cat .ci/linted) && git merge-base --is-ancestor "$linted" HEAD && changed_since "$linted" >"$2/changed" &&
    includes >"$2/includes" || return 1
  # What all sources depend on, and is no include.
  ! grep -qE '^(CMakeLists\.txt|\.clang-tidy)$' "$2/changed" || return 1
  cut -d ' ' -f 1 "$2/includes" | sort -u >"$2/built"
  [ -z "$(comm -23 "$1" "$2/built")" ] || return 1
  awk 'NR == FNR { changed[$1] = 1; next } $2 in changed { print $1 }' "$2/changed" "$2/includes" | sort -u |
    comm -12 - "$1"
}

changed_below_libtorch() {
  local folder
  folder=$(mktemp -d) || return 1
  all_below_libtorch >"$folder/all"
  changed_among "$folder/all" "$folder" >"$folder/some" || cp "$folder/all" "$folder/some"
  cat "$folder/some"
  rm -r "$folder"
}

checks=()
sources=()
case "${1:-}" in
  --all)
    checks=('--checks=clang-analyzer-*')  # added to those of .clang-tidy
    mapfile -t sources < <(find src -name '*.cpp' | sort)
    ;;
  --changed)
    list=$(changed_below_libtorch)
    [ -z "$list" ] || mapfile -t sources <<<"$list"
    ;;
  "") mapfile -t sources < <(all_below_libtorch) ;;
  *) sources=("$@") ;;
esac
echo "clang-tidy: ${#sources[@]} sources" >&2

status=0
# The flags are g++'s: clang does not know all of them, and takes g++'s precompiled headers for its own.
flags=$(mktemp -d)
trap 'rm -r "$flags"' EXIT
sed 's/ -Winvalid-pch -include [^ ]*cmake_pch\.hxx//' build/compile_commands.json >"$flags/compile_commands.json"
[ "${#sources[@]}" = 0 ] || printf '%s\0' "${sources[@]}" |
  xargs -0 -n 4 -P "$(compile_jobs)" "$tidy" -p "$flags" --quiet --extra-arg=-Wno-unknown-warning-option "${checks[@]}" \
    2> >(grep -v 'warnings\? generated\|Suppressed\|Use -header' >&2) ||
  status=1
shellcheck -x scripts/*.sh bench/*.sh .ci/run || status=1
exit "$status"
