#!/usr/bin/env bash
# run_or_skip.sh TOOL COMMAND...: runs the command where the tool is installed; skipped (77), with the reason, elsewhere.
command -v "$1" >/dev/null 2>&1 || {
  echo "skipped: $1 is not installed"
  exit 77
}
shift
exec "$@"
