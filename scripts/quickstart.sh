#!/usr/bin/env bash
# From a fresh checkout to a pretrained, fine-tuned encoder in a few minutes: sets up, builds, then trains on the glosses
# of WordNet (Debian's wordnet-base) and compares with the same model without pretraining.
#   scripts/quickstart.sh [OUTPUT]     default: quickstart/; finished stages are not run again
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

for word in "$@"; do
  case "$word" in
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
    -*) die 2 "unknown argument '$word'; usage: scripts/quickstart.sh [OUTPUT]" ;;
  esac
done
out=${1:-"$root/quickstart"}
bertcram="$root/build/bertcram"

"$root/scripts/setup.sh"
"$root/scripts/build.sh" --program

stage() { printf '\n== %s\n' "$*" >&2; }

mkdir -p "$out"
stage "1/5 text: 116 k WordNet glosses, and 15 lexicographer classes as labels"
[ -e "$out/data/glosses.txt" ] || "$root/scripts/wordnet_data.sh" "$out/data"

stage "2/5 tokenizer"
"$bertcram" tokenize --input "$out/data/glosses.txt" --output "$out/tokenizer" --vocab-size 4096

stage "3/5 pack"
"$bertcram" pack --input "$out/data/glosses.txt" --tokenizer "$out/tokenizer" --output "$out/packed" \
  --seq-len 64 --valid-frac 0.01

stage "4/5 pretrain (a few minutes on two cores)"
"$bertcram" pretrain --config quickstart.yaml --data "$out/packed" --output "$out/runs/first"

stage "5/5 fine-tune on 3,000 definitions: from the pretrained model, and from random weights"
finetune=("$bertcram" finetune-glue --config quickstart-finetune.yaml --model "$out/runs/first/model"
  --task-file "$out/data/supersense/task.yaml")
"${finetune[@]}" --output "$out/supersense" >"$out/supersense.txt"
"${finetune[@]}" --output "$out/supersense-random" --init random >"$out/supersense-random.txt"

# LC_ALL: elsewhere a number may have a comma, and 57.5 be none.
score() { LC_ALL=C printf '%.1f' "$(sed -n 's/.*"median": *\([0-9.]*\).*/\1/p' "$1/results.json" | head -n 1)"; }

cat <<EOF

Done. What there is now, in $out:
  tokenizer/          WordPiece, 4,096 pieces; loads in Hugging Face as it is
  packed/             the text as shuffled token rows
  runs/first/model/   the pretrained encoder, a Hugging Face folder (curves: runs/first/metrics.jsonl)
  supersense/         the fine-tuned classifiers and results.json

Accuracy on 1,500 unseen definitions (15 classes; guessing gives 6.7):
  from the pretrained encoder      $(score "$out/supersense")
  from random weights, same model  $(score "$out/supersense-random")

Look at the run:
  xdg-open $out/runs/first/report.html                 its report, one file to keep
  $bertcram serve --runs $out/runs          the live dashboard, while a run goes on too

Next:
  $bertcram eval --model $out/runs/first/model --data $out/packed
  $bertcram config pretrain --config mini.yaml      every setting, with its meaning
  $root/scripts/overnight.sh --help                 the same chain on your own text and GLUE
EOF
