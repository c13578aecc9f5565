#!/usr/bin/env bash
# bertcram from a bundle: build/bertcram with the LibTorch of this machine. Commands that need none run without it too.
set -euo pipefail
folder="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
# shellcheck source=scripts/lib.sh
. "$folder/scripts/lib.sh"
# shellcheck source=scripts/torch_env.sh
. "$folder/scripts/torch_env.sh"
use_installed_torch || true
exec "$root/build/bertcram" "$@"
