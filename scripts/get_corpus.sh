#!/usr/bin/env bash
# Fetches public pretraining text that `bertcram pack` reads as it is; the same command goes on after an interruption.
#   scripts/get_corpus.sh [options]        for example:  scripts/get_corpus.sh --parts wikipedia,books --max-bytes 12G
#     --output DIR     where to (default data/corpus; files go to DIR/PART/)
#     --parts LIST     wikipedia: English Wikipedia of 2023-11-01, 41 Parquet files, about 11.6 GB
#                      books: PG-19, 28,602 books published before 1919, 23 Parquet files, about 7 GB
#                      (default: all parts of the list)
#     --max-bytes N    fetch only so many bytes, the parts by turns, whole files (K, M, G: thousands; default: all)
#     --mirror URL     try URL/PATH first, PATH being that of the source; may be repeated
#     --list FILE      own list of files (default scripts/corpus_sources.tsv; its columns: scripts/source_list.sh)
# 12 GB of these files hold about 20 GB of text, going by their cards. Needs curl (or wget).
# Verified by SHA-256: from the list where it was published, else as named by the hub beside the file. Names and sizes come
# from public listings; nothing of it could be downloaded where this script was written (it is tested on a local server).
# Licences: Wikipedia CC BY-SA 3.0 and GFDL; PG-19 Apache-2.0, its books in the public domain in the USA.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/fetch.sh
. "$root/scripts/fetch.sh"
# shellcheck source=scripts/source_list.sh
. "$root/scripts/source_list.sh"

out=data/corpus parts="" max_bytes="" mirrors=() list="$root/scripts/corpus_sources.tsv"
while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
    --output | --parts | --max-bytes | --mirror | --list) ;;
    *) die 2 "unknown argument '$1'; see --help" ;;
  esac
  [ -n "${2:-}" ] || die 2 "$1 needs a value; see --help"
  case "$1" in
    --output) out=$2 ;;
    --parts) parts=$2 ;;
    --max-bytes) max_bytes=$2 ;;
    --mirror) mirrors+=("$2") ;;
    --list) list=$2 ;;
  esac
  shift 2
done

check_mirrors "${mirrors[@]}"
if [ -n "$max_bytes" ]; then
  [[ $max_bytes =~ ^([1-9][0-9]{0,11})([KMGT]?)$ ]] ||
    die 2 "--max-bytes $max_bytes: expected a number such as 12G or 500M"
  max_bytes=${BASH_REMATCH[1]}
  case "${BASH_REMATCH[2]}" in
    K) max_bytes+=000 ;;
    M) max_bytes+=000000 ;;
    G) max_bytes+=000000000 ;;
    T) max_bytes+=000000000000 ;;
  esac
fi
read_source_list "$list"
known_parts=$(printf '%s\n' "${source_part[@]}" | awk '!seen[$0]++' | paste -s -d ,)
: "${parts:=$known_parts}"
for part in ${parts//,/ }; do
  [[ ",$known_parts," == *",$part,"* ]] || die 2 "--parts: no part '$part' in $list; expected some of $known_parts"
done
fetch_begin "$out"

# The files by turns from each part, so that a small --max-bytes has something of all.
mapfile -t order < <(
  for index in "${!source_file[@]}"; do
    if [[ ",$parts," == *",${source_part[index]},"* ]]; then printf '%s %s\n' "$index" "${source_part[index]}"; fi
  done | awk '{ print turn[$2]++, $1 }' | sort -s -n -k 1,1 | cut -d ' ' -f 2
)

# ask_for_size INDEX: fills in what the list leaves open, from the hub's own words rather than from a mirror without them.
ask_for_size() {
  local url
  while read -r url; do
    if [ "${source_bytes[$1]}" != - ] && [ "${source_sha256[$1]}" != hub ]; then return; fi
    fetch_probe "$url"
    if [ "$reply_sha256" != - ]; then
      [ "${source_sha256[$1]}" != hub ] || source_sha256[$1]=$reply_sha256
      [ "${source_bytes[$1]}" != - ] || source_bytes[$1]=$reply_bytes
    elif [ "${source_sha256[$1]}" != hub ]; then
      source_bytes[$1]=$reply_bytes
    fi
  done < <(with_mirrors "${source_url[$1]}" "${mirrors[@]}")
}

# Sizes first: what is taken, and whether it fits, is known before the first download.
taken=() total=0 missing=0 unknown=0
for index in "${order[@]}"; do
  file="$out/${source_part[index]}/${source_file[index]}"
  have_bytes=$(fetch_done_bytes "$file")
  if [ "$have_bytes" = - ]; then ask_for_size "$index"; fi
  bytes=${source_bytes[index]}
  [ "$have_bytes" = - ] || bytes=$have_bytes
  if [ -n "$max_bytes" ]; then
    [ "$bytes" != - ] ||
      die 3 "$file: its size is unknown, so --max-bytes cannot be kept; give it in the list, or leave --max-bytes out"
    if [ $((total + bytes)) -gt "$max_bytes" ]; then break; fi
  fi
  taken+=("$index")
  if [ "$bytes" = - ]; then
    unknown=$((unknown + 1))
  else
    total=$((total + bytes))
    [ "$have_bytes" != - ] || missing=$((missing + bytes - $(fetch_size "$(fetch_part_of "$file")")))
  fi
done
[ "${#taken[@]}" -gt 0 ] ||
  die 2 "--max-bytes $max_bytes: not even the first file fits (${source_file[${order[0]}]}: $bytes bytes)"
say "${#taken[@]} files, $total bytes$([ "$unknown" = 0 ] || echo " and $unknown of unknown size")," \
  "$missing bytes to fetch"
fetch_check_space "$out" "$missing"

for index in "${taken[@]}"; do
  mapfile -t urls < <(with_mirrors "${source_url[index]}" "${mirrors[@]}")
  file="$out/${source_part[index]}/${source_file[index]}"
  fetch_file "$file" "${source_bytes[index]}" "${source_sha256[index]}" "${urls[@]}"
done
say "all there; next: bertcram tokenize and bertcram pack, as in README.md, 'A corpus of 20 GB'"
