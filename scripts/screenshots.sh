#!/usr/bin/env bash
# Pictures of the dashboard and of a report for docs/monitoring.md, of simulated runs: docs/images/*.png. Needs build/ and
# Chromium (scripts/setup.sh --test).
#   scripts/screenshots.sh [OUTPUT]     default: docs/images/
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ -x "$root/build/bertcram" ] || die 4 "build/bertcram is not there; run scripts/build.sh"
have pngquant || die 4 "pngquant not found; run scripts/setup.sh --test"
have chromium || die 4 "chromium not found; run scripts/setup.sh --test"
output=${1:-"$root/docs/images"}
mkdir -p "$output"
python3 "$root/tests/tools/screenshots.py" "$output"
pngquant --force --skip-if-larger --speed 1 --ext .png "$output"/dashboard-*.png "$output/report.png"
