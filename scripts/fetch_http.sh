# shellcheck shell=bash
# Sourced by fetch.sh: one HTTP request, by curl or else by wget. curl says when a server cannot continue a download
# (exit code 33); wget reads the beginning again and skips it, which comes to the same.
fetch_with=${BERTCRAM_FETCH_WITH:-}
if [ -z "$fetch_with" ] && have curl; then fetch_with=curl; fi
if [ -z "$fetch_with" ] && have wget; then fetch_with=wget; fi
fetch_stall=${BERTCRAM_FETCH_STALL:-60}  # seconds without a byte after which a connection is given up

# Runs a command so that a signal to this script is handled at once and not when the command is over.
fetch_run() {
  local code=0
  "$@" &
  wait $! || code=$?
  return "$code"
}

# fetch_probe URL: asks for the headers only. Sets reply_bytes, reply_sha256 (what the Hugging Face hub says of
# the file, X-Linked-Etag) and reply_version (strong ETag, or date); `-` where the server does not say.
fetch_probe() {
  local headers
  if [ "$fetch_with" = curl ]; then
    headers=$(curl --silent --head --location --connect-timeout 20 --max-time 60 "$1") || true
  else
    headers=$(wget --spider --server-response --tries=1 --timeout=30 "$1" 2>&1) || true
  fi
  # shellcheck disable=SC2034  # read by the callers
  IFS=$'\t' read -r reply_bytes reply_sha256 reply_version < <(awk '
    { sub(/\r$/, ""); sub(/^ +/, ""); colon = index($0, ":") }
    /^HTTP\// { status = $2; bytes = etag = date = "-"; next }  # after a redirection only the last reply counts
    { name = tolower(substr($0, 1, colon - 1)); value = substr($0, colon + 1); gsub(/^[ \t]+|[ \t]+$/, "", value) }
    name == "content-length" { bytes = value }
    name == "etag" && value !~ /^W\// { etag = value }
    name == "last-modified" { date = value }
    name == "x-linked-size" { hub_bytes = value }  # but these come with the redirection
    name == "x-linked-etag" { gsub(/"/, "", value); hub = value }
    END {
      if (status !~ /^2/ || bytes !~ /^[0-9]+$/) bytes = "-"
      if (hub_bytes ~ /^[0-9]+$/) bytes = hub_bytes
      if (length(hub) != 64 || hub ~ /[^0-9a-f]/) hub = "-"
      if (status !~ /^2/) etag = date = "-"
      printf "%s\t%s\t%s\n", bytes, hub, etag != "-" ? etag : date
    }' <<<"$headers")
}

# fetch_body URL PART OFFSET VERSION: appends what follows OFFSET to PART. Sets body_result: whole, again (worth another
# attempt), restart (the server has another version, or no Range) or gone (with body_problem).
fetch_body() {
  local code=0 status="" log="$2.log"
  body_problem=""
  if [ "$fetch_with" = curl ]; then
    local options=(--silent --show-error --stderr "$log")
    [ ! -t 2 ] || options=(--progress-bar)
    case "$1" in https:*) options+=(--proto-redir '=https') ;; esac
    if [ "$3" -gt 0 ]; then
      options+=(--continue-at "$3")
      [ "$4" = - ] || options+=(--header "If-Range: $4")
    fi
    fetch_run curl "${options[@]}" --fail --location --connect-timeout 20 --speed-limit 1 --speed-time "$fetch_stall" \
      --write-out '%{http_code}' --output "$2" "$1" >"$log.status" || code=$?
    status=$(tail -c 3 "$log.status")
    case "$code" in
      0) body_result=whole ;;
      33 | 36) body_result=restart ;;
      22) body_result=status ;;
      23) body_result=disk ;;
      1 | 3 | 47 | 60) body_result=gone body_problem="curl says $code" ;;
      *) body_result=again body_problem="curl says $code" ;;
    esac
  else
    fetch_run wget --no-verbose --server-response --continue --tries=1 --timeout="$fetch_stall" --output-document="$2" \
      --output-file="$log" "$1" || code=$?
    status=$(awk '/^ *HTTP\// { status = $2 } END { print status }' "$log")
    case "$code" in
      0) body_result=whole ;;
      3) body_result=disk ;;
      5) body_result=gone body_problem="wget says 5" ;;
      8) body_result=status ;;
      *) body_result=again body_problem="wget says $code" ;;
    esac
  fi
  [ -z "$body_problem" ] || body_problem+="$([ -s "$log" ] && tail -n 1 "$log" | sed 's/^[^:]*:/:/')"
  rm -f "$log" "$log.status"
  case "$body_result:$status" in
    status:416) body_result=restart ;;
    status:408 | status:429 | status:5??) body_result=again body_problem="the server answers $status" ;;
    status:*) body_result=gone body_problem="the server answers $status" ;;
  esac
}
