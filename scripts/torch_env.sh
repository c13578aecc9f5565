# shellcheck shell=bash
# Sourced after lib.sh where programs run that were built on another machine (scripts/bundle.sh).

# The LibTorch of this machine: BERTCRAM_TORCH_DIR, or what python3 would import as torch. Nothing if there is none.
installed_torch_dir() {
  if [ -n "${BERTCRAM_TORCH_DIR:-}" ]; then
    printf '%s\n' "$BERTCRAM_TORCH_DIR"
    return
  fi
  have python3 || return 0
  python3 -c 'import importlib.util, os
found = importlib.util.find_spec("torch")
if found and found.origin: print(os.path.dirname(found.origin))'
}

# use_installed_torch: lets the loader find that LibTorch. Fails, with the reason, if it is not there or another version than
# the programs were built with: LibTorch's C++ interface changes between minor versions.
use_installed_torch() {
  local folder wanted found
  folder=$(installed_torch_dir)
  if [ ! -e "$folder/lib/libtorch_cpu.so" ]; then
    say "no LibTorch in '${folder}': install the wheel torch, or name an unpacked one with BERTCRAM_TORCH_DIR"
    return 1
  fi
  # shellcheck disable=SC2154  # lib.sh sets root
  wanted=$("$root/build/bertcram" --version | sed -n 's/.*LibTorch \([0-9]*\.[0-9]*\).*/\1/p')
  found=$(sed -n "s/^__version__ = '\([0-9]*\.[0-9]*\).*/\1/p" "$folder/version.py" 2>/dev/null || true)
  [ -n "$found" ] || found=$(sed -n 's/^\([0-9]*\.[0-9]*\).*/\1/p' "$folder/build-version" 2>/dev/null || true)
  if [ "$found" != "$wanted" ]; then
    say "LibTorch ${found:-of an unknown version} in '$folder', but this was built with $wanted; install torch==$wanted.*"
    return 1
  fi
  export LD_LIBRARY_PATH="$folder/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
}
