#!/usr/bin/env bash
# Installs what bertcram builds with: Debian packages, and LibTorch and Arrow C++ from PyPI into .deps/venv.
#   scripts/setup.sh          to build and use bertcram
#   scripts/setup.sh --test   also what the checks need: clang-tidy and the like, and the Python reference implementations
#                             that the tests compare with (.deps/test-venv)
# Does only what is missing. BERTCRAM_TORCH_DIR names an existing LibTorch 2.11 to use instead of installing one.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

deps="$root/.deps"
manifests="$root/third_party"

with_test=no
case "${1:-}" in
  "") ;;
  --test) with_test=yes ;;
  -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
  *) die 2 "unknown argument '$1'; usage: scripts/setup.sh [--test]" ;;
esac

# --- system packages ---------------------------------------------------------------------------------------------

package_lists=("$manifests/apt-packages.txt")
[ "$with_test" = no ] || package_lists+=("$manifests/apt-packages-dev.txt")
packages() { sed 's/#.*//' "${package_lists[@]}" | tr -s ' \n' '\n' | sed '/^$/d'; }

missing_packages() {
  local name
  for name in $(packages); do
    dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null | grep -x installed >/dev/null || echo "$name"
  done
}

# Without the packages we go on if the tools are there; CMake names whatever library it does not find.
continue_without_apt() {
  local tool lacking=""
  have g++ || have clang++ || lacking=" g++"
  for tool in cmake ninja python3; do
    have "$tool" || lacking="$lacking $tool"
  done
  say "$1"
  say "please install these with your system's package manager (Debian's names; third_party/apt-packages.txt says" \
    "what each is for):" "$(packages | tr '\n' ' ')"
  [ -z "$lacking" ] || die 4 "cannot go on without:$lacking. Install them, then run the same command again"
  say "compiler, cmake, ninja and python3 are here: going on with them"
}

install_packages() {
  if ! have apt-get || ! have dpkg-query; then
    # Said once per list, not on every run.
    cmp -s <(packages) "$deps/no-apt.seen" || continue_without_apt "this system has no apt-get"
    packages >"$deps/no-apt.seen"
    return
  fi
  local missing
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  say "installing Debian packages:" "$(tr '\n' ' ' <<<"$missing")"
  # shellcheck disable=SC2086  # one word per package
  if ! as_root apt-get update -qq >&2 ||
    ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2; then
    continue_without_apt "could not install the packages above (root or sudo, and a reachable mirror, are needed)"
  fi
}

# --- Python environments -----------------------------------------------------------------------------------------

# The first interpreter that our wheels fit and that can make virtual environments (Debian: python3-venv).
find_python() {
  local name
  for name in python3 python3.11 python3.12 python3.13 python3.10; do
    if have "$name" && "$name" -c 'import sys, venv, ensurepip
sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      echo "$name"
      return
    fi
  done
  die 4 "no Python 3.10 to 3.13 with the venv module found. Install python3-venv, or name an existing LibTorch 2.11" \
    "with BERTCRAM_TORCH_DIR"
}

# True when the environment holds every `name==version` line of the lists, each file with the size that its wheel
# recorded: what an interrupted installation leaves behind does not pass.
is_complete() {
  local environment=$1
  shift
  [ -x "$environment/bin/python3" ] && "$environment/bin/python3" - "$@" <<'PYTHON'
import os, re, sys
from importlib import metadata

for path in sys.argv[1:]:
    for line in open(path):
        pin = re.match(r"([\w.-]+)==([\w.]+)\s*(?:;\s*python_version\s*([<>=]+)\s*\"3\.(\d+)\")?", line)
        if not pin:
            continue
        name, version, comparison, minor = pin.groups()
        if comparison and (comparison == "<") != (sys.version_info[1] < int(minor)):
            continue
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            sys.exit(1)
        files = package.files or []
        if package.version != version or not files:
            sys.exit(1)
        for file in files:
            location = file.locate()
            if file.parts[0] == "..":
                continue  # commands in bin/, which nobody calls
            if not os.path.exists(location) or (file.size is not None and os.path.getsize(location) != file.size):
                sys.exit(1)
PYTHON
}

# environment NAME WHAT PIP-OPTIONS LIST...: makes .deps/NAME hold exactly the last LIST (which may include the ones
# before it). The stamp is the hash of the lists, written last; without it the environment is checked file by file.
environment() {
  local name=$1 what=$2 options=$3
  shift 3
  local path="$deps/$name" stamp="$deps/$name.stamp" wanted
  wanted=$(cat "$@" | sha256sum | cut -d ' ' -f 1)
  if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$path/bin/python3" -c '' 2>/dev/null; then
    return
  fi
  rm -f "$stamp"
  if ! is_complete "$path" "$@"; then
    local python
    python=$(find_python)
    say "installing $what…"
    if [ -e "$path" ] && ! "$path/bin/python3" -m pip --version >/dev/null 2>&1; then
      rm -rf "$path"
    fi
    [ -e "$path" ] || "$python" -m venv "$path"
    # shellcheck disable=SC2086  # a list of options
    if ! pip_install "$path" $options -r "${!#}" || ! is_complete "$path" "$@"; then
      say "that did not work; once more, from an empty environment…"
      rm -rf "$path"
      "$python" -m venv "$path"
      # shellcheck disable=SC2086
      pip_install "$path" $options -r "${!#}" ||
        die 4 "pip could not install $what: see its message above (is PyPI reachable, is there room on the disk?)." \
          "Then run the same command again"
      is_complete "$path" "$@" || die 4 "$path is incomplete after the installation. Remove it and run this again"
    fi
  fi
  echo "$wanted" >"$stamp.new" && mv "$stamp.new" "$stamp"
}

pip_install() {
  local path=$1
  shift
  "$path/bin/python3" -m pip install -q --no-input --disable-pip-version-check --no-warn-script-location \
    --only-binary=:all: "$@" >&2
}

arrow="$manifests/requirements-parquet.txt"
light="$manifests/requirements.txt"
wheel_options="--no-deps --require-hashes --no-compile"

install_libtorch() {
  if [ -n "${BERTCRAM_TORCH_DIR:-}" ]; then
    [ -e "$BERTCRAM_TORCH_DIR/lib/libtorch_cpu.so" ] ||
      die 3 "BERTCRAM_TORCH_DIR=$BERTCRAM_TORCH_DIR holds no lib/libtorch_cpu.so; it should name site-packages/torch" \
        "or an unpacked LibTorch. Correct it, or unset it to have LibTorch installed"
    install_arrow_alone
    return
  fi
  [ "$(uname -s) $(uname -m)" = "Linux x86_64" ] ||
    die 4 "the pinned LibTorch wheels are for Linux on x86_64, this is $(uname -s) on $(uname -m)." \
      "Name a LibTorch 2.11 of your own with BERTCRAM_TORCH_DIR"
  if has_nvidia_driver; then
    environment venv "LibTorch with CUDA, Arrow (about 2.5 GB)" "$wheel_options" "$arrow" "$light" \
      "$manifests/requirements-cuda.txt"
  else
    environment venv "LibTorch, Arrow (about 500 MB)" "$wheel_options" "$arrow" "$light"
  fi
}

# Beside a LibTorch of the user's own. Parquet is optional: what is in the way of it is said, and stops nothing.
install_arrow_alone() {
  [ "$(uname -s) $(uname -m)" = "Linux x86_64" ] || return 0
  (find_python >/dev/null && environment venv "Arrow (about 50 MB)" "$wheel_options" "$arrow") ||
    say "going on without Arrow: bertcram will read everything but Parquet"
}

mkdir -p "$deps"
# Two set-ups of one checkout take turns.
if have flock; then
  exec 9>"$deps/lock"
  flock 9
fi
install_packages
install_libtorch
if [ "$with_test" = yes ]; then
  environment test-venv "the tests' Python references (about 2.5 GB, 5 GB on disk)" "" \
    "$manifests/requirements-test.txt"
fi
say "ready (LibTorch: $(torch_dir))"
