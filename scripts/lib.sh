# shellcheck shell=bash
# Shared by the scripts beside it; sourced, never run. Sets `root`, the repository root.
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }

# die CODE MESSAGE...: the exit codes are those of bertcram itself (2 usage, 3 input data or files, 4 resources).
die() {
  local code=$1
  shift
  say "$@"
  exit "$code"
}

have() { command -v "$1" >/dev/null 2>&1; }

# as_root COMMAND...: runs it as root, directly or through sudo; false when neither is possible.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif have sudo; then
    sudo "$@"
  else
    return 1
  fi
}

has_nvidia_driver() {
  [ -e /proc/driver/nvidia/version ] ||
    PATH="$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null | grep -F libcuda.so.1 >/dev/null
}

# The LibTorch to build with (site-packages/torch, or an unpacked LibTorch); empty when there is none yet.
torch_dir() {
  if [ -n "${BERTCRAM_TORCH_DIR:-}" ]; then
    printf '%s\n' "$BERTCRAM_TORCH_DIR"
    return
  fi
  local candidate
  for candidate in "$root"/.deps/venv/lib/python3*/site-packages/torch; do
    if [ -e "$candidate/lib/libtorch_cpu.so" ]; then
      printf '%s\n' "$candidate"
      return
    fi
  done
}

# Compile jobs: one per core, but at most one per 2 GB of memory (a LibTorch source takes 1 to 1.5 GB).
compile_jobs() {
  local cores kilobytes limit
  cores=$(nproc 2>/dev/null || echo 2)
  kilobytes=$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo 2>/dev/null)
  limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)
  if [ "$limit" != max ] && [ $((limit / 1024)) -lt "${kilobytes:-0}" ]; then
    kilobytes=$((limit / 1024))
  fi
  local by_memory=$((${kilobytes:-2000000} / 2000000))
  [ "$by_memory" -ge 1 ] || by_memory=1
  echo $((cores < by_memory ? cores : by_memory))
}
