#!/usr/bin/env bash
# The whole chain on your own text and GLUE, unattended; run it again after any interruption and it goes on.
#   scripts/overnight.sh --text 'FILE…' --glue DIR --output DIR [options]
#     --text FILES       training text: files or folders of prose (a blank line ends a document), JSON lines with a `text`, or
#                        Parquet; plain, .gz, .xz or .zst. A path, a glob in quotes, or several of them in quotes with spaces
#                        between; repeatable
#     --glue DIR         folder with the GLUE tasks (RTE, MRPC, …)
#     --output DIR       where everything goes
#     --tokenizer-text F text that the tokenizer learns from, as --text (default: the training text)
#     --heldout FILES    text files for a held-out evaluation at the end, as --text
#     --pack-config F    configuration of `pack`: filters, length of rows, share of held-out documents. With base.yaml the
#                        default is what it asks for: documents of 0.25 or more tokens per character are left out, which in
#                        Chinese or Japanese are all; --pack-config '' keeps them
#     --config NAME      training configuration (default mini.yaml, for CPU cores; base.yaml is for an 8 GB card)
#     --finetune-config F  fine-tuning configuration; empty: the protocol's own (default: finetune-mini.yaml, a rate of 3e-4,
#                        for models of a width up to 256, else the protocol's 4e-5)
#     --budget TIME      time of pretraining alone (default: the configuration's own; 15m if it has none)
#     --vocab-size N     (default: that of a tokenizer that is in OUTPUT already; else 8192 for models of a width up to 256,
#                        as mini.yaml and tiny.yaml, and 32768 for wider ones, as base.yaml)
#     --allow-config-change  go on with a run that was begun with other settings, for a longer --budget above all. If it was
#                        finished, its learning rate had come to its end and climbs again. Scores that are there are of the
#                        model before: move OUTPUT/run/glue* and OUTPUT/glue-random* away first
#     --small TASKS      tasks with three seeds (default rte,mrpc,cola,stsb)
#     --large TASKS      tasks with one seed (default sst2)
#                        Where finetune-mini.yaml is the default, --large has two epochs and a folder of its own; else all
#                        tasks share a folder and the epochs, so that with all of them there are averages.
#     --threads N        CPU threads (default: one per core)
#   Makes in OUTPUT: tokenizer, packed, run (model, report.html, and in glue its scores), and in glue-random the scores of the
#   same model from random weights, to compare with. --large with a folder of its own: run/glue-large, glue-random-large.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

text=() tokenizer_text=() heldout=() glue="" out=""
config=mini.yaml budget="" vocab="" small=rte,mrpc,cola,stsb large=sst2 threads=0
finetune_config=auto large_epochs=() large_folder="" pack_config=auto change=()

# The paths that VALUE means, into `paths`: itself, what it matches, or where it is neither, each of its words likewise.
paths_in() {  # paths_in VALUE
  paths=()
  [ -n "$1" ] || return 0
  paths=("$1")
  [ ! -e "$1" ] || return 0
  mapfile -t paths < <(compgen -G "$1")
  [ "${#paths[@]}" = 0 ] || return 0
  # shellcheck disable=SC2206  # words and globs are what is wanted
  paths=($1)
}

# A task's name as finetune-glue takes it, into `plain`: SST-2 → sst2.
plain_name() {  # plain_name NAME
  plain=${1,,}
  plain=${plain//[[:space:]_-]/}
}

# Whether the folder of a task has one of SPLIT's files, of which src/glue/task_table.cpp knows.
has_split() {  # has_split TASK SPLIT FOLDER
  local names="$2.tsv $2.jsonl"
  case "$1/$2" in
    rte/dev) names="dev.tsv val.jsonl" ;;
    rte/* | mnli/*) ;;
    *) names="$2.tsv" ;;
  esac
  local name
  for name in $names; do
    [ ! -f "$3/$name" ] || return 0
  done
  [ "$1" = mrpc ] && [ -f "$3/msr_paraphrase_train.txt" ] && [ -f "$3/dev_ids.tsv" ]
}

# Dies where a wanted task has no training or no dev set; `all` means those with a training set.
check_tasks() {  # check_tasks OPTION TASKS
  [ -n "$2" ] || return 0
  local wanted splits name task entry folder split is_all="" found=""
  plain_name "$2"
  if [ "$plain" = all ]; then
    is_all=yes wanted=(CoLA SST-2 MRPC STS-B QQP MNLI QNLI RTE WNLI)
  else
    mapfile -t -d , wanted < <(printf '%s,' "$2")
  fi
  for name in "${wanted[@]}"; do
    plain_name "$name"
    task=$plain folder=""
    case "$task" in
      cola | sst2 | mrpc | stsb | qqp | qnli | rte | wnli) splits=(train dev) ;;
      mnli) splits=(train dev_matched dev_mismatched) ;;
      *) die 2 "$1: '$name' is no GLUE task with a training set; expected e.g. rte,mrpc or all" ;;
    esac
    for entry in "$glue"/*/; do
      entry=${entry%/}
      plain_name "${entry##*/}"
      if [ "$plain" = "$task" ]; then folder=$entry; fi
    done
    if [ -n "$is_all" ] && ! has_split "$task" train "$folder"; then continue; fi
    [ -n "$folder" ] || die 3 "--glue $glue: no folder for $name, which $1 names"
    for split in "${splits[@]}"; do
      has_split "$task" "$split" "$folder" || die 3 "$folder: no $split.tsv of $name, which $1 names"
    done
    found=yes
  done
  [ -n "$found" ] || die 3 "--glue $glue: no task with a training set, which $1 all means"
}

while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
    --allow-config-change) change=("$1") && shift && continue ;;
  esac
  [ $# -ge 2 ] || die 2 "$1 needs a value; see --help"
  case "$1" in
    --text) paths_in "$2" && text+=("${paths[@]}") ;;
    --glue) glue=$2 ;;
    --output) out=$2 ;;
    --tokenizer-text) paths_in "$2" && tokenizer_text+=("${paths[@]}") ;;
    --heldout) paths_in "$2" && heldout+=("${paths[@]}") ;;
    --config) config=$2 ;;
    --pack-config) pack_config=$2 ;;
    --finetune-config) finetune_config=$2 ;;
    --budget) budget=$2 ;;
    --vocab-size) vocab=$2 ;;
    --small) small=$2 ;;
    --large) large=$2 ;;
    --threads) threads=$2 ;;
    *) die 2 "unknown argument '$1'; see --help" ;;
  esac
  shift 2
done
if [ "${#text[@]}" = 0 ] || [ -z "$glue" ] || [ -z "$out" ]; then
  die 2 "--text, --glue and --output are needed; see --help"
fi

bertcram="${BERTCRAM:-$root/build/bertcram}"
[ -x "$bertcram" ] || die 2 "$bertcram is not there; build it with scripts/build.sh"
# What only the morning would show otherwise.
[ -d "$glue" ] || die 3 "--glue $glue: no such folder; scripts/get_glue.sh --output $glue fetches the GLUE tasks into it"
check_tasks --small "$small"
check_tasks --large "$large"
settings=$("$bertcram" config pretrain --config "$config" ${budget:+--set "budget.time=$budget"})
if [ -z "$budget" ] && ! sed -n '/^budget:/,/^[a-z]*:$/p' <<<"$settings" | grep -Eq '^  (time: [^"]|(steps|tokens): [1-9])'; then
  budget=15m
fi
packing=()
if [ "$pack_config" != auto ] && [ -n "$pack_config" ]; then
  packing=(--config "$pack_config")
  "$bertcram" config pack "${packing[@]}" >/dev/null
elif [ "$pack_config" = auto ] && [[ ${config##*/} =~ ^base(\.yaml)?$ ]]; then
  packing=(--max-tokens-per-char 0.25)
fi
width=$(sed -n 's/^  hidden: \([0-9]*\)$/\1/p' <<<"$settings")
if [ -z "$vocab" ] && [ -f "$out/tokenizer/manifest.json" ]; then
  vocab=$(sed -n 's/.*"vocab_size": *\([0-9]*\).*/\1/p' "$out/tokenizer/manifest.json")
fi
[ -n "$vocab" ] || vocab=$((width <= 256 ? 8192 : 32768))
if [ "$finetune_config" = auto ]; then
  finetune_config=""
  if [ "$width" -le 256 ]; then
    finetune_config=finetune-mini.yaml large_epochs=(--epochs 2)
    large_folder=-large  # a folder has one setting; and averages are of one folder's results
  fi
fi
rates=()
if [ -n "$finetune_config" ]; then
  rates=(--config "$finetune_config")
  "$bertcram" config finetune-glue "${rates[@]}" >/dev/null
fi
for file in "${heldout[@]}"; do
  [ -r "$file" ] || die 3 "--heldout $file: cannot be read"
done
mkdir -p "$out"

[ "${#tokenizer_text[@]}" -gt 0 ] || tokenizer_text=("${text[@]}")
"$bertcram" tokenize --input "${tokenizer_text[@]}" --output "$out/tokenizer" --vocab-size "$vocab" \
  --threads "$threads"
"$bertcram" pack --input "${text[@]}" --tokenizer "$out/tokenizer" --output "$out/packed" "${packing[@]}" \
  --threads "$threads"
"$bertcram" pretrain --config "$config" --data "$out/packed" --output "$out/run" ${budget:+--budget "$budget"} \
  "${change[@]}" --threads "$threads"

for file in "${heldout[@]}"; do
  printf 'held out, %s: ' "$(basename "$file")"
  "$bertcram" eval --model "$out/run/model" --text "$file" --threads "$threads"
done

# Both starts: from the pretrained model, and from random weights as the baseline.
finetune() {  # finetune START FOLDER THREADS [OPTION…]
  local start=$1 folder=$2 threads=$3
  shift 3
  local command=("$bertcram" finetune-glue --model "$out/run/model" --data "$glue" --init "$start"
    "${rates[@]}" --threads "$threads" "$@")
  [ -z "$small" ] || "${command[@]}" --task "$small" --seeds 3 --output "$folder"
  [ -z "$large" ] || "${command[@]}" --task "$large" --seeds 1 "${large_epochs[@]}" --output "$folder$large_folder"
}

cores=$threads
[ "$cores" -gt 0 ] || cores=$(nproc)
if has_nvidia_driver || [ "$cores" -lt 2 ]; then
  finetune model "$out/run/glue" "$threads"
  finetune random "$out/glue-random" "$threads"
else
  # Small batches do not fill two cores: side by side the two take 0.6 of the time (docs/benchmarks.md).
  set -m  # a process group of its own, to be stopped as a whole
  finetune random "$out/glue-random" $((cores / 2)) --quiet >"$out/glue-random.txt" &
  random=$!
  set +m
  trap 'kill -- "-$random" 2>/dev/null' EXIT
  finetune model "$out/run/glue" $((cores - cores / 2))
  wait "$random"
  trap - EXIT
  printf '\nfrom random weights:\n'
  cat "$out/glue-random.txt"
fi
