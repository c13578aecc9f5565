# shellcheck shell=bash
# Sourced after lib.sh by the scripts that fetch public data over HTTP(S). Used as
#   fetch_begin DIR; fetch_file FILE BYTES SHA256 URL…; …
# FILE appears under its name only when it is whole and, where a checksum is known, verified. Until then it grows beside it
# as .fetch/NAME.part (hidden: `bertcram pack --input DIR` passes over it), which the same command continues by Range.
# Needs curl (or wget), sha256sum and flock. Exit codes: 3 no source has the right bytes, 4 network, disk or tools.
fetch_tries=${BERTCRAM_FETCH_TRIES:-6}   # attempts per source in a row that bring nothing new
fetch_wait=${BERTCRAM_FETCH_WAIT:-2}     # seconds before the second attempt, doubled up to 60
fetch_code=3
# shellcheck source=scripts/fetch_http.sh
. "$(dirname "${BASH_SOURCE[0]}")/fetch_http.sh"

# fetch_begin DIR: makes DIR, keeps other fetches out of it, and lets a signal end this one in order.
fetch_begin() {
  local tool
  [ -n "$fetch_with" ] || die 4 "curl is needed (Debian: apt-get install curl); wget would do too"
  for tool in sha256sum flock; do
    have "$tool" || die 4 "$tool is needed (Debian: apt-get install coreutils util-linux)"
  done
  mkdir -p "$1" 2>/dev/null || true
  if [ ! -d "$1" ] || [ ! -w "$1" ]; then
    die 4 "$1: cannot be made or written to; name another folder with --output"
  fi
  # Inherited by curl on purpose: while one that outlived its script still writes, the folder is in use.
  exec 9>"$1/.fetch-lock"
  flock -n 9 || die 4 "$1: another fetch is writing there; wait for it, or name another folder with --output"
  trap 'fetch_stop 129' HUP
  trap 'fetch_stop 130' INT
  trap 'fetch_stop 143' TERM
}

fetch_stop() {
  local children
  trap '' HUP INT TERM
  mapfile -t children < <(jobs -p)  # not a variable of ours: the signal may come before it is set
  if [ "${#children[@]}" -gt 0 ]; then
    kill "${children[@]}" 2>/dev/null || true
    wait "${children[@]}" 2>/dev/null || true
  fi
  say "stopped; what has come so far is kept: give the same command again to go on"
  exit "$1"
}

fetch_is_hash() { [[ $1 =~ ^[0-9a-f]{64}$ ]]; }

fetch_size() { stat -c %s "$1" 2>/dev/null || echo 0; }

fetch_hash() { sha256sum <"$1" | cut -d ' ' -f 1; }

# fetch_check_space DIR BYTES: stops before a download that cannot fit.
fetch_check_space() {
  local free
  free=$(df --output=avail -B1 "$1" 2>/dev/null | tail -n 1 | tr -d ' ') || return 0
  [[ $free =~ ^[0-9]+$ ]] || return 0
  [ "$free" -ge "$2" ] ||
    die 4 "$1: $2 bytes are needed and $free are free; make room or name another disk with --output"
}

# Is FILE there as it was fetched, or else with the checksum of the list? Stops at a file that is neither: it is not ours.
fetch_is_done() {
  local file=$1 wanted=$2 state=$3 hash old_hash=- stamp=- kept=verified now
  [ -e "$file" ] || return 1
  [ ! -e "$state.done" ] || read -r old_hash stamp kept <"$state.done"
  now=$(stat -c '%s/%Y' "$file")
  fetch_is_hash "$wanted" || wanted=$old_hash
  if [ "$stamp" != "$now" ] || [ "$old_hash" != "$wanted" ]; then
    fetch_is_hash "$wanted" || die 3 "$file: is there already, and there is no checksum to tell whether it is whole;" \
      "move it away to fetch it"
    hash=$(fetch_hash "$file")
    [ "$hash" = "$wanted" ] ||
      die 3 "$file: is there already with SHA-256 $hash, expected $wanted; move it away to fetch it"
    echo "$hash $now $kept" >"$state.done"
  fi
  say "$file: already there$([ "$kept" = verified ] || echo " ($kept)")"
}

fetch_part_of() { echo "$(dirname "$1")/.fetch/$(basename "$1").part"; }

# fetch_done_bytes FILE: its size if it is there as it was fetched, else `-`; asks nobody and reads nothing.
fetch_done_bytes() {
  local part state now
  part=$(fetch_part_of "$1")
  state=${part%.part}
  now=$(stat -c '%s/%Y' "$1" 2>/dev/null) || now=-
  if [ "$(cut -d ' ' -f 2 "$state.done" 2>/dev/null)" = "$now" ]; then echo "${now%/*}"; else echo -; fi
}

# fetch_file FILE BYTES SHA256 URL…: BYTES `-`: unknown. SHA256 `-`: none is published; `hub`: what the server says in
# X-Linked-Etag, and a source that says nothing is not used. Sources are tried in this order. Returns when FILE is whole, exits otherwise.
fetch_file() {
  local file=$1 bytes=$2 sha256=$3 state url problems=""
  shift 3
  state=$(fetch_part_of "$file")
  state=${state%.part}
  mkdir -p "$(dirname "$state")" || die 4 "$(dirname "$state"): cannot be made"
  if fetch_is_done "$file" "$sha256" "$state"; then return; fi
  fetch_code=3
  for url in "$@"; do
    if fetch_from "$url"; then return; fi
    say "$url: $source_problem"
    problems+="${problems:+; }$url: $source_problem"
  done
  die "$fetch_code" "$file: could not be fetched ($problems); try again later, or name another source with" \
    "--mirror or --list"
}

# Reads file, bytes, sha256 and state of fetch_file. False, with source_problem, when this source cannot give the file.
fetch_from() {
  local url=$1 part="$state.part" hash=$sha256 size=$bytes version=- offset best tries=0 pieces=1 wait=$fetch_wait
  if ! fetch_is_hash "$hash" || [ "$size" = - ] || [ -s "$part" ]; then
    fetch_probe "$url"
    version=$reply_version
    if [ "$hash" = hub ] && [ "$reply_sha256" = - ]; then
      source_problem="does not answer with a checksum (X-Linked-Etag), which the list leaves to the server"
      return 1
    fi
    [ "$hash" != hub ] || hash=$reply_sha256
    if [ "$size" = - ]; then
      size=$reply_bytes
    elif [ "$reply_bytes" != - ] && [ "$reply_bytes" != "$size" ]; then
      source_problem="$reply_bytes bytes, expected $size"
      return 1
    fi
  fi
  fetch_keep_or_drop_part
  [ "$size" = - ] || fetch_check_space "$(dirname "$part")" $((size - $(fetch_size "$part")))
  best=$(fetch_size "$part")
  while :; do
    offset=$(fetch_size "$part")
    body_result=whole
    if [ "$size" != - ] && [ "$offset" -gt "$size" ]; then
      body_result=restart
    elif [ "$size" = - ] || [ "$offset" -lt "$size" ] || [ ! -e "$part" ]; then
      if [ "$offset" -gt 0 ]; then
        pieces=2
        say "$file: goes on at byte $offset"
      fi
      fetch_body "$url" "$part" "$offset" "$version"
    fi
    case "$body_result" in
      whole)
        if fetch_part_is_right; then
          fetch_publish
          return 0
        fi
        rm -f "$part"
        [ "$pieces" -gt 1 ] || return 1
        pieces=1  # the pieces may be of two versions: once more from the start
        say "$file: $source_problem; starting again"
        ;;
      restart)
        say "$file: $url cannot continue this download; starting again"
        rm -f "$part"
        ;;
      gone)
        source_problem=$body_problem
        return 1
        ;;
      disk) die 4 "$part: cannot be written; is the disk full? Make room and give the same command again" ;;
    esac
    offset=$(fetch_size "$part")
    if [ "$offset" -gt "$best" ]; then
      best=$offset tries=0 wait=$fetch_wait
    fi
    tries=$((tries + 1))
    if [ "$tries" -ge "$fetch_tries" ]; then
      source_problem="gave up after $tries attempts without progress${body_problem:+ ($body_problem)}"
      fetch_code=4
      return 1
    fi
    if [ "$body_result" = again ]; then
      say "$url: $body_problem; next attempt in $wait s"
      fetch_run sleep "$wait"
      wait=$((wait * 2 < 60 ? wait * 2 : 60))
    fi
  done
}

# A .part counts only as a beginning of the same content: the same checksum, or the same version at the same address.
fetch_keep_or_drop_part() {
  local old_hash=- old_url=- old_version=- keep=no
  [ ! -e "$state.version" ] || IFS=$'\t' read -r old_hash old_url old_version <"$state.version"
  if fetch_is_hash "$hash"; then
    [ "$old_hash" != "$hash" ] || keep=yes
    if [ "$old_url" = "$url" ] && [ "$old_version" != - ] && [ "$version" != - ] && [ "$old_version" != "$version" ]; then
      keep=no
    fi
  elif [ "$old_url" = "$url" ] && [ "$old_version" = "$version" ] && [ "$version" != - ]; then
    keep=yes
  fi
  if [ "$keep" = no ]; then
    [ ! -s "$part" ] || say "$file: what an earlier run left is of another version; starting again"
    rm -f "$part"
  fi
  printf '%s\t%s\t%s\n' "$hash" "$url" "$version" >"$state.version"
}

fetch_part_is_right() {
  local found
  found=$(fetch_size "$part")
  if [ "$size" != - ] && [ "$found" != "$size" ]; then
    source_problem="$found bytes, expected $size"
    return 1
  fi
  actual_hash=$(fetch_hash "$part")
  if fetch_is_hash "$hash" && [ "$actual_hash" != "$hash" ]; then
    source_problem="SHA-256 $actual_hash, expected $hash"
    return 1
  fi
}

fetch_publish() {
  local kept=verified
  fetch_is_hash "$hash" || kept="not verified: no published checksum"
  { sync "$part" && mv -f "$part" "$file"; } || die 4 "$file: cannot be written"
  echo "$actual_hash $(stat -c '%s/%Y' "$file") $kept" >"$state.done"
  rm -f "$state.version"
  say "$file: $(fetch_size "$file") bytes, SHA-256 $kept"
}
