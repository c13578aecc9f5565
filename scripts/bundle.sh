#!/usr/bin/env bash
# Packs what was built for another Linux machine (x86-64, glibc 2.34 or newer), which needs LibTorch of the same minor version
# and nothing else: neither our packages nor a compiler. There: OUTPUT/bertcram, OUTPUT/scripts/gpu_check.sh.
#   scripts/bundle.sh [OUTPUT] [--keep-symbols]     default: build/bundle, and build/bundle.tar.gz beside it
# Inside: programs and tests without their symbols, the shared libraries that they need with their licences (not those of
# LibTorch, CUDA and the C library), configs, what measures peers, and WordNet's glosses as text to train on where Debian's
# wordnet-base is installed. Parquet is left out: Arrow is larger than all the rest. The same build gives the same bytes.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

output="$root/build/bundle"
strip=--strip
for word in "$@"; do
  case "$word" in
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
    --keep-symbols) strip="" ;;
    -*) die 2 "unknown argument '$word'; usage: scripts/bundle.sh [OUTPUT] [--keep-symbols]" ;;
    *) output=$(realpath -m -- "$word") ;;
  esac
done
for program in bertcram torch_tests; do
  [ -x "$root/build/$program" ] || die 4 "build/$program is not there; run scripts/build.sh"
done
if [ -e "$output" ] && [ ! -e "$output/scripts/torch_env.sh" ]; then
  die 2 "$output is there and no bundle; name another folder, or remove it"
fi

# --- files ---------------------------------------------------------------------------------------------------------------

rm -rf "$output" "$output.tar.gz"
# shellcheck disable=SC2086  # an option or none
cmake --install "$root/build" --prefix "$output" --component bundle $strip >/dev/null

# Nothing may be looked for in folders of this machine.
for file in "$output"/build/*; do
  # shellcheck disable=SC2016  # the loader expands it
  paths=$(readelf -d "$file" | sed -n 's/.*(R\(UN\)\{0,1\}PATH).*\[\(.*\)\]/\2/p' | tr ':' '\n' | grep -vF '$ORIGIN' || true)
  [ -z "$paths" ] || die 1 "$file looks for libraries in $paths"
done

mkdir -p "$output/licences"
for library in "$output"/lib/*; do
  package=$(dpkg-query -S "*-linux-gnu/$(basename "$library")" 2>/dev/null | sed -n 's/[:,].*//p' | head -n 1 || true)
  [ ! -r "/usr/share/doc/$package/copyright" ] || cp "/usr/share/doc/$package/copyright" "$output/licences/$package"
done
if [ -r /usr/share/wordnet/data.noun ]; then
  "$root/scripts/wordnet_data.sh" "$output/data" 2>/dev/null
  cp /usr/share/doc/wordnet-base/copyright "$output/licences/wordnet-base" 2>/dev/null || true
else
  say "no WordNet here (Debian: wordnet-base): the bundle has no text to train on, gpu_check.sh will make some up"
fi
chmod -R u+w,go-w,a+rX "$output"

# --- archive -------------------------------------------------------------------------------------------------------------

seconds=$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 0)
tar --sort=name --mtime="@$seconds" --owner=0 --group=0 --numeric-owner -C "$(dirname "$output")" \
  -cf - "$(basename "$output")" | gzip -9n >"$output.tar.gz"
say "$output: $(du -sm --apparent-size "$output" | cut -f 1) MiB; $output.tar.gz:" \
  "$(du -m --apparent-size "$output.tar.gz" | cut -f 1) MiB"
