#!/usr/bin/env bash
# Sets up, builds and runs all tests but those that need a GPU or long. Arguments go to ctest: scripts/test.sh -R util
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case "${1:-}" in
  -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
esac

"$root/scripts/setup.sh" --test
"$root/scripts/build.sh"

export BERTCRAM_TEST_PYTHON="$root/.deps/test-venv/bin/python"
# Tests on public data sets say why they skip when this is not set.
if [ -z "${BERTCRAM_DATA_DIR:-}" ] && [ -d "$root/../shared/data" ]; then
  BERTCRAM_DATA_DIR="$(cd "$root/../shared/data" && pwd)"
  export BERTCRAM_DATA_DIR
fi
exec ctest --test-dir "$root/build" --output-on-failure -j2 -LE 'gpu|slow' "$@"
