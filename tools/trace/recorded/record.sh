#!/usr/bin/env bash
# Records the traces of this folder anew, from the python3, sqlite3, git and perl of the machine.
#
#   ./bazelw run //tools/trace/recorded:record
set -euo pipefail

ringfence=$PWD/$1
here=${BUILD_WORKSPACE_DIRECTORY:?run this with bazelw run}/tools/trace/recorded
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

# NAME, how many requests to keep, command and its arguments: records the first of its processes, without call sites.
record() {
  local name=$1 requests=$2
  shift 2
  "$ringfence" check --quiet --mode=off --trace="$work/$name.rft" -- "$@" >/dev/null
  "$ringfence" replay --events="$requests" --save="$here/$name.rft" "$work/$name.rft"
}

cd -- "$here/../../.."
PYTHONMALLOC=malloc record python 12000 python3 -S -m json.tool docs/examples/readings.json
record sqlite 20000 sqlite3 :memory: ".read $here/queries.sql"
record git 20000 git --no-pager log --stat -15
record perl 80000 perl "$here/words.pl"
