#!/usr/bin/env bash
# Where nvcc 13 is, the kernels for GPUs have been compiled (without a warning: those are errors). For .ci/run, after a build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if ! command -v nvcc >/dev/null || ! nvcc --version | grep -q "release 13\."; then
  echo "no nvcc 13 here: kernels for GPUs are not compiled"
else
  for library in libbertcram_cuda.so libbertcram_cuda_graph.so; do
    if [ ! -e "build/$library" ]; then
      echo "build/$library is missing, although nvcc 13 is here" >&2
      exit 1
    fi
  done
fi
