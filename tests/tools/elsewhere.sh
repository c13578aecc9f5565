#!/usr/bin/env bash
# elsewhere.sh CHECKOUT SITE BUNDLE COMMAND...: runs COMMAND as on another machine, where there is an unpacked bundle and, in the
# folder SITE, the wheel torch; but not the checkout, nor its .deps, nor any library that the bundle brings itself.
# Needs the right to make a mount namespace.
set -euo pipefail
if [ "${1:-}" != --inside ]; then
  exec unshare --mount --map-root-user -- "$0" --inside "$@"
fi
shift
checkout=$1 site=$2 bundle=$3
shift 3
mkdir -p "$site"
mount --bind "$(echo "$checkout"/.deps/venv/lib/python3*/site-packages)" "$site"
for library in "$bundle"/lib/*; do
  for folder in /lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu; do
    if [ -e "$folder/$(basename "$library")" ]; then
      mount --bind /dev/null "$folder/$(basename "$library")"
    fi
  done
done
deps=$(realpath "$checkout/.deps")
mount -t tmpfs none "$deps"
mount -t tmpfs none "$checkout"
cd /
unset BERTCRAM_SOURCE_DIR  # of ctest, names the checkout
export BERTCRAM_TORCH_DIR="$site/torch"
exec "$@"
