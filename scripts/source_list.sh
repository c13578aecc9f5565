# shellcheck shell=bash
# Sourced by get_corpus.sh and get_glue.sh: lists of public files. A list is text with one file per line and five columns
# separated by tabs; lines that begin with # and empty lines are passed over:
#   part    what the file belongs to, and the folder it goes into: a word
#   file    its name there
#   bytes   its size, or - (unknown)
#   sha256  its checksum, hub (the server must name it: X-Linked-Etag of the Hugging Face hub) or - (none is published)
#   url     where it is; several, separated by spaces, are tried in turn
# Fills the arrays source_part, source_file, source_bytes, source_sha256, source_url. All mistakes are reported at once.
read_source_list() {
  local list=$1 line fields number=0 mistakes=0 mistake
  local -A seen=()
  source_part=() source_file=() source_bytes=() source_sha256=() source_url=()
  if [ ! -f "$list" ] || [ ! -r "$list" ]; then
    die 3 "--list $list: cannot be read; expected a file with the columns part, file, bytes, sha256, url"
  fi
  while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    line=${line%$'\r'}
    case "$line" in '' | '#'*) continue ;; esac
    mapfile -t fields <<<"${line//$'\t'/$'\n'}"
    mistake=$(source_mistake "${fields[@]}")
    if [ -z "$mistake" ] && [ -n "${seen[${fields[0]}/${fields[1]}]:-}" ]; then
      mistake="${fields[0]}/${fields[1]} is in line ${seen[${fields[0]}/${fields[1]}]} already"
    fi
    if [ -n "$mistake" ]; then
      say "$list:$number: $mistake"
      mistakes=$((mistakes + 1))
      continue
    fi
    seen[${fields[0]}/${fields[1]}]=$number
    source_part+=("${fields[0]}")
    source_file+=("${fields[1]}")
    source_bytes+=("${fields[2]}")
    source_sha256+=("${fields[3]}")
    source_url+=("${fields[4]}")
  done <"$list"
  [ "$mistakes" = 0 ] || die 2 "$list: $mistakes lines to mend, see above"
  [ "${#source_file[@]}" -gt 0 ] || die 2 "$list: no files in it; expected lines with part, file, bytes, sha256, url"
}

# What is wrong with the columns of one line; nothing when all is well.
source_mistake() {
  local url
  if [ $# -ne 5 ]; then
    echo "$# columns, expected 5 separated by tabs: part, file, bytes, sha256, url"
  elif [[ ! $1 =~ ^[A-Za-z0-9][A-Za-z0-9_-]*$ ]]; then
    echo "part '$1': expected letters, digits, _ and -"
  elif [[ ! $2 =~ ^[A-Za-z0-9_][A-Za-z0-9._+-]*$ ]]; then
    echo "file '$2': expected a name without folders, of letters, digits and ._+-"
  elif [[ ! $3 =~ ^([0-9]+|-)$ ]]; then
    echo "bytes '$3': expected a number, or - when unknown"
  elif [[ ! $4 =~ ^([0-9a-f]{64}|hub|-)$ ]]; then
    echo "sha256 '$4': expected 64 digits 0-9 a-f, hub, or - when there is none"
  elif [ -z "${5// /}" ]; then
    echo "no url: expected https://HOST/PATH"
  else
    for url in $5; do
      [[ $url =~ ^https?://[^/]+/ ]] || echo "url '$url': expected https://HOST/PATH"
    done
  fi
}

# with_mirrors URLS MIRROR…: the addresses to try, one a line: on each mirror the path of the first URL, then URLS.
with_mirrors() {
  local urls=$1 first mirror
  first=${urls%% *}
  shift
  for mirror in "$@"; do
    printf '%s/%s\n' "${mirror%/}" "${first#*://*/}"
  done
  printf '%s\n' "${urls// /$'\n'}"
}

# check_mirrors MIRROR…: before anything is fetched.
check_mirrors() {
  local mirror
  for mirror in "$@"; do
    [[ $mirror =~ ^https?://[^/\ ]+ ]] || die 2 "--mirror $mirror: expected an address such as https://example.org/copy"
  done
}
