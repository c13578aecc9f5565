#!/usr/bin/env bash
# Fetches the GLUE tasks into the folders that `bertcram finetune-glue --data` reads; goes on after an interruption.
#   scripts/get_glue.sh [options]          for example:  scripts/get_glue.sh --tasks rte,mrpc --output data/glue
#     --output DIR     where to (default data/glue; a folder per task: DIR/RTE/train.tsv …)
#     --tasks LIST     some of cola, sst2, mrpc, stsb, qqp, mnli, qnli, rte, wnli, ax (default: all, 376 MB to download)
#     --mirror URL     try URL/PATH first, PATH being that of the official address (glue/data/RTE.zip); may be repeated
#     --list FILE      own list of addresses and checksums (default scripts/glue_sources.tsv)
# Tasks whose folder is complete are left alone. Needs curl (or wget), and unzip, bsdtar or python3.
# ax is fetched without its labels: good for submissions, not for a score of your own.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/fetch.sh
. "$root/scripts/fetch.sh"
# shellcheck source=scripts/source_list.sh
. "$root/scripts/source_list.sh"

out=data/glue tasks=all mirrors=() list="$root/scripts/glue_sources.tsv"
while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
    --output | --tasks | --mirror | --list) ;;
    *) die 2 "unknown argument '$1'; see --help" ;;
  esac
  [ -n "${2:-}" ] || die 2 "$1 needs a value; see --help"
  case "$1" in
    --output) out=$2 ;;
    --tasks) tasks=$2 ;;
    --mirror) mirrors+=("$2") ;;
    --list) list=$2 ;;
  esac
  shift 2
done

# Task names as bertcram has them → folders as GLUE writes them (src/glue/task_table.cpp).
declare -A folder_of=([cola]=CoLA [sst2]=SST-2 [mrpc]=MRPC [stsb]=STS-B [qqp]=QQP [mnli]=MNLI [qnli]=QNLI [rte]=RTE
  [wnli]=WNLI [ax]=AX)
all_tasks=(cola sst2 mrpc stsb qqp mnli qnli rte wnli ax)

# The files without which a task's folder is not complete.
files_of() {
  case "$1" in
    MNLI) echo train.tsv dev_matched.tsv dev_mismatched.tsv test_matched.tsv test_mismatched.tsv ;;
    AX) echo diagnostic.tsv ;;
    *) echo train.tsv dev.tsv test.tsv ;;
  esac
}

# missing_files FOLDER TASK_FOLDER: which of them FOLDER lacks.
missing_files() {
  local name
  for name in $(files_of "$2"); do
    if [ ! -s "$1/$name" ]; then printf ' %s' "$name"; fi
  done
}

unpack() {  # unpack ARCHIVE FOLDER
  if have unzip; then
    unzip -q -o "$1" -d "$2" >&2
  elif have bsdtar; then
    bsdtar -x -f "$1" -C "$2"
  else
    python3 -m zipfile -e "$1" "$2"
  fi
}

# GLUE hosts no MRPC: its script makes train and dev from Microsoft's training file (dev: the pairs whose ids are listed)
# and test from the test file without its labels. The bytes are those of the official script.
build_mrpc() {  # build_mrpc DOWNLOADS FOLDER
  cp "$1/msr_paraphrase_train.txt" "$1/msr_paraphrase_test.txt" "$2"
  cp "$1/mrpc_dev_ids.tsv" "$2/dev_ids.tsv"
  LC_ALL=C awk -F '\t' -v dir="$2" '
    { sub(/\r$/, "") }
    NR == FNR { is_dev[$1, $2] = 1; next }
    FNR == 1 { sub(/^\357\273\277/, ""); print > (dir "/train.tsv"); print > (dir "/dev.tsv"); next }
    { print > (dir (($2, $3) in is_dev ? "/dev.tsv" : "/train.tsv")) }
  ' "$1/mrpc_dev_ids.tsv" "$1/msr_paraphrase_train.txt"
  LC_ALL=C awk -F '\t' -v OFS='\t' '
    { sub(/\r$/, "") }
    NR == 1 { print "index", "#1 ID", "#2 ID", "#1 String", "#2 String"; next }
    { print NR - 2, $2, $3, $4, $5 }
  ' "$1/msr_paraphrase_test.txt" >"$2/test.tsv"
}

# fetch_task FOLDER: downloads, unpacks aside, and moves the complete folder into place.
fetch_task() {
  local task=$1 index file urls downloads="$out/.downloads/$1" staging="$out/.downloads/$1.new" missing found=0
  missing=$(missing_files "$out/$task" "$task")
  if [ -z "$missing" ]; then
    say "$out/$task: already there"
    return
  fi
  [ ! -e "$out/$task" ] || die 3 "$out/$task: is there but lacks$missing; move it away to fetch it"
  for index in "${!source_file[@]}"; do
    [ "${source_part[index]}" = "$task" ] || continue
    found=$((found + 1))
    mapfile -t urls < <(with_mirrors "${source_url[index]}" "${mirrors[@]}")
    fetch_file "$downloads/${source_file[index]}" "${source_bytes[index]}" "${source_sha256[index]}" "${urls[@]}"
  done
  [ "$found" -gt 0 ] || die 2 "$list: nothing for the part $task"
  rm -rf "$staging"
  mkdir -p "$staging/$task"
  for file in "$downloads"/*; do
    case "$file" in
      *.zip) unpack "$file" "$staging" ||
        die 3 "$file: cannot be unpacked; is the disk full? If not, remove it to fetch it again" ;;
      */AX.tsv) cp "$file" "$staging/AX/diagnostic.tsv" ;;
    esac
  done
  [ "$task" != MRPC ] || build_mrpc "$downloads" "$staging/MRPC"
  missing=$(missing_files "$staging/$task" "$task")
  [ -z "$missing" ] || die 3 "$downloads: after unpacking $task lacks$missing; is it another archive than GLUE's?"
  sync "$staging/$task"/*.tsv
  mv "$staging/$task" "$out/$task"
  rm -rf "$staging" "$downloads"
  say "$out/$task: $(files_of "$task")"
}

check_mirrors "${mirrors[@]}"
read_source_list "$list"
folders=()
[ "$tasks" != all ] || tasks=${all_tasks[*]}
for task in ${tasks//,/ }; do
  name=$(tr -d -- '-' <<<"${task,,}")
  [ -n "${folder_of[$name]:-}" ] || die 2 "--tasks: no task '$task'; expected all or some of ${all_tasks[*]}"
  folders+=("${folder_of[$name]}")
done
have unzip || have bsdtar || have python3 || die 4 "unzip is needed (Debian: apt-get install unzip)"
fetch_begin "$out"
for folder in "${folders[@]}"; do
  fetch_task "$folder"
done
rmdir "$out/.downloads" 2>/dev/null || true
say "next: bertcram finetune-glue --data $out --task rte --model RUN/model (or --task all)"
