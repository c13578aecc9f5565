#!/usr/bin/env bash
# What this machine's GPU makes of bertcram, from a bundle (scripts/bundle.sh) or a checkout that is built: the `gpu` tests,
# speed under a cap of 8 GiB with and without our CUDA kernels, the same beside PyTorch's tools, and three minutes of training. One JSON
# file, under 8 minutes.
#   scripts/gpu_check.sh [RESULTS.json] [--cpu] [--train-seconds 180]
# --cpu leaves out what needs a GPU and says so. Each part has a time limit of its own; what a part printed is kept in
# RESULTS.logs/. Exit code 0: nothing failed; 1: something did, the file says what; 4: there is no GPU, or no LibTorch.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/torch_env.sh
. "$(dirname "${BASH_SOURCE[0]}")/torch_env.sh"

case "${1:-}" in
  -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
esac
have python3 || die 4 "python3 is not there; it runs the parts"
[ -x "$root/build/bertcram" ] || die 4 "build/bertcram is not there; run scripts/build.sh, or use a bundle"
use_installed_torch || die 4 "without LibTorch there is nothing to check"
exec python3 "$root/scripts/gpu_check.py" "$@"
