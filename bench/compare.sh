#!/usr/bin/env bash
# Pretraining steps of bertcram beside Hugging Face's transformers, in the two shapes that are asked for: BERT-base with 8
# rows per pass, 4 layers × 256 with 32. The programs take turns; prints the ratios beside the asked ones. Builds nothing.
#   bench/compare.sh FOLDER [--repeats 5] [--threads 2] [--device cpu] [--modes fp32,bf16,compile]
# FOLDER gets base.json and mini.json. About ten minutes on two cores, which should have nothing else to do. Further
# arguments go to bench/step_speed.py. BERTCRAM_TEST_PYTHON names a Python that has transformers (.deps/test-venv).
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

case "${1:-}" in
  -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
  "" | -*) echo "compare.sh: a folder for the results is needed: bench/compare.sh FOLDER [--repeats 5]" >&2 && exit 2 ;;
esac
folder=$1
shift
python="${BERTCRAM_TEST_PYTHON:-$root/.deps/test-venv/bin/python}"
if ! "$python" -c 'import torch, transformers' 2>/dev/null; then
  echo "compare.sh: '$python' has no transformers; run scripts/setup.sh --test, or name another with BERTCRAM_TEST_PYTHON" >&2
  exit 4
fi
if [ ! -x "$root/build/bertcram" ]; then
  echo "compare.sh: build/bertcram is not there; run scripts/build.sh" >&2
  exit 4
fi

mkdir -p "$folder"
for shape in base mini; do
  echo "compare.sh: $shape…" >&2
  "$python" "$root/bench/step_speed.py" --shape "$shape" --json "$folder/$shape.json" "$@" >&2
done
"$python" "$root/bench/tables.py" --print step_speed "$folder/base.json" "$folder/mini.json"
