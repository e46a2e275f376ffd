#!/usr/bin/env bash
# Builds the command and the library in two checkouts in folders of other names, and compares what came out; then a
# third time from the first one's cache, of which every action must be; then from a server of a remote cache that the
# first one filled, by --config=remote with another PATH, and once more when that server is away.
#
#   tools/try_hermetic.sh [TARGETS...]      default: //tools:ringfence //checkers/dropin:ringfence
#
# Both checkouts have the last commit. Prints "hermetic: passed", or what was not as it should be.
set -uo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
title=hermetic
. "$root/tools/try_checkouts.sh"
(($#)) || set -- //tools:ringfence //checkers/dropin:ringfence
names=(first "another-folder-of-a-longer-name" third filler fourth alone)
begin_checkouts "${names[@]}"

# checkout, further options, --, targets
build() {
  local name=$1 options=()
  shift
  while [[ $1 != -- ]]; do options+=("$1") && shift; done
  shift
  git clone -q "$work/last_commit" "$work/$name" || exit 2
  (cd -- "$work/$name" && ./bazelw --output_base="$work/out-$name" build --color=no --noshow_progress "${options[@]}" \
    "$@") >"$work/log-$name" 2>&1 || { complain "$name does not build: $(tail -20 "$work/log-$name")" && exit 1; }
}

# checkout: a checksum and a name for each file that was made, without what names the checkout for Bazel itself
made_in() {
  local bin
  bin=$(cd -- "$work/$1" && ./bazelw --output_base="$work/out-$1" info bazel-bin 2>/dev/null)
  (cd -- "$bin" && find . -type f ! -path '*.runfiles*' ! -name '*.params' ! -name 'MANIFEST' ! -name '*.d' -print0 |
    sort -z | xargs -0 sha256sum)
}

# checkout: its log must say that nothing was built
is_from_cache() {
  processes=$(grep -E 'INFO: [0-9]+ process(es)?' "$work/log-$1")
  [[ $processes != *sandbox* && $processes != *local* && $processes == *"remote cache hit"* ]] ||
    complain "$1: from the cache, something was built again: $processes"
}

cache=$work/cache
build "${names[0]}" --disk_cache="$cache" -- "$@"
build "${names[1]}" -- "$@"
build "${names[2]}" --disk_cache="$cache" -- "$@"
made_in "${names[0]}" >"$work/made-0"
for i in 1 2; do
  made_in "${names[i]}" >"$work/made-$i"
  diff "$work/made-0" "$work/made-$i" >"$work/diff" || complain "${names[i]} differs: $(head -20 "$work/diff")"
done
[[ $(wc -l <"$work/made-0") -gt 100 ]] || complain "only $(wc -l <"$work/made-0") files were made"
is_from_cache third
echo "hermetic: $(wc -l <"$work/made-0") files; from the cache:${processes#INFO:}"

mkdir "$work/served" "$work/elsewhere"
exec {address}< <(exec python3 "$root/tools/bazel/http_cache.py" "$work/served")
server=$!
read -r url <&"$address" || complain "the server did not start"
remote=(--config=remote --remote_cache="$url")
build filler "${remote[@]}" -- "$@"
PATH=$work/elsewhere:$PATH build fourth "${remote[@]}" -- "$@"
is_from_cache fourth
echo "hermetic: from a server:${processes#INFO:}"
kill "$server"
server=
build alone "${remote[@]}" -- "${1}"
((faults == 0)) || exit 1
echo "hermetic: passed"
