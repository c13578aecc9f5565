#!/usr/bin/env bash
# Where nvcc 13 is, the kernels for GPUs have been compiled (without a warning: those are errors). For .ci/run, after a build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if ! command -v nvcc >/dev/null || ! nvcc --version | grep -q "release 13\."; then
  echo "no nvcc 13 here: kernels for GPUs are not compiled"
elif [ ! -e build/libbertcram_cuda.so ]; then
  echo "build/libbertcram_cuda.so is missing, although nvcc 13 is here" >&2
  exit 1
fi
