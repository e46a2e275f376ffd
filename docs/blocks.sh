#!/usr/bin/env bash
# Keeps what README.md and docs/ show true. This script writes each block of code that stands behind one of the lines
#
#   <!-- file: PATH -->    that file: an example, which is compiled and tested
#   <!-- session -->       commands, each behind "$ ", and what they print now, errors included; all of a page are one
#   <!-- picture: WORDS -->    the file of the picture on the next line: what `picture.py WORDS` makes in that session
#
#   blocks.sh check PAGE…     shows what is no longer true; fails where anything is not
#   blocks.sh update PAGE…    writes it into the pages: ./bazelw run //docs:update
#
# Parts that differ from run to run (addresses, process ids, figures of the last line) count as equal.
set -euo pipefail

readonly built=$PWD # where Bazel puts what the sessions need
readonly pages=${BUILD_WORKSPACE_DIRECTORY:-$PWD}
scratch=$(mktemp -d)
readonly scratch
trap 'rm -rf -- "$scratch"' EXIT

# Makes $1 look like the root of the repository to the commands of a session. As Bazel does not run inside Bazel, bazelw
# runs what is built already.
make_root() {
  mkdir -p "$1/bin"
  ln -s "$built/docs" "$1/docs"
  ln -s "$built/docs/picture.py" "$built/tools/ringfence/ringfence" "$1/bin/"
  [[ ! -e $built/tools/service/ringfence-serve ]] || ln -s "$built/tools/service/ringfence-serve" "$1/bin/"
  : >"$1/bin/environment"
  cat >"$1/bazelw" <<'BAZELW'
#!/bin/sh
case "$*" in
  "run //tools:ringfence -- "*)
    shift 3
    exec ringfence "$@"
    ;;
  "run //docs/examples:"*) exec "./docs/examples/${2#*:}" ;;
  "run --config=guard //docs/examples:"*) RINGFENCE_OPTIONS=mode=guard exec "./docs/examples/${3#*:}" ;;
  *)
    echo "a session cannot do: bazelw $*" >&2
    exit 1
    ;;
esac
BAZELW
  chmod +x "$1/bazelw"
}

# Reads a session in the folder $1, and prints it with what its commands print now, the folder by another name. What
# they export stays. With the name of a test, guard watches no blocks by lot, and prints the same each time. A collector
# takes in nothing but what the session itself found.
run_session() {
  local line status=0
  while IFS= read -r line; do
    [[ $line == '$ '* ]] || continue
    printf '%s\n' "$line"
    # shellcheck disable=SC2016 # the arguments are the inner shell's
    env -i PATH="$1/bin:$PATH" LC_ALL=C.UTF-8 TEST_TARGET=//docs:blocks_test RINGFENCE_NO_SHARED=1 \
      bash -c 'cd -- "$1" && . bin/environment; trap "export -p >bin/environment" EXIT; (exit "$2"); eval "$3"' \
      session "$1" "$status" "${line:2}" </dev/null 2>&1 | sed "s#$1#/home/you/shop#g" && status=0 || status=$?
  done
}

# Compares stdin with the expected block of kind $2 in the folder $1.
renewed() {
  if [[ $2 == session ]]; then
    run_session "$1"
  else
    cat -- "$built/$2"
  fi
}

normalised() {
  sed -E -e 's/0x[0-9a-f]{6,}/0xADDRESS/g' \
    -e 's/20[0-9]{2}(-[0-9]{2}){2} [0-9]{2}:[0-9]{2}/DATE/' \
    -e 's/^( *since fix +[0-9]+ events?) in .*/\1/' \
    -e 's/^( *hosts +[0-9]+ +).*/\1HOST/' \
    -e 's/^==[0-9]+==/==PID==/' \
    -e '/^ringfence: /s/; [0-9]+ lost by code of the system or without names \([^)]*\)//' \
    -e '/^ringfence: /{s/[0-9][0-9.]*( [KMGT]iB| bytes)?/N/g;s/(process|allocation)(e?s)?\>/\1/g}'
}

# The same of a picture. The name of this machine is another one, so that a picture of any machine is the same.
normalised_picture() {
  sed -E -e 's/0x[0-9a-f]{6,}/0xADDRESS/g' \
    -e 's/20[0-9]{2}(-[0-9]{2}){2}([ T][0-9]{2}(:[0-9]{2})+(\.[0-9]+)?)?/DATE/g' \
    -e 's/just now|[0-9]+ (s|min|h) ago/AGO/g' \
    -e 's/>==[0-9]+==/>==PID==/' \
    -e 's|(<dt>Process</dt><dd[^>]*>)[0-9]+|\1PID|' \
    -e 's/ textLength="[0-9.]+"//' -e 's/ [0-9.]+ s</ TIME</'
}

# Makes the picture $3 of the page $4 anew, by the words $2 in the folder $1; or looks whether it is as it should be.
renew_picture() {
  local file=${4%/*}/$3
  run_session "$1" <<<"\$ picture.py $2" | sed -e 1d -e "s#>$(uname -n)<#>laptop<#g" >"$scratch/picture"
  if cmp -s <(normalised_picture <"$scratch/picture") <(cat -- "$pages/$file" 2>/dev/null | normalised_picture); then
    return 0
  elif [[ $mode == update ]]; then
    mkdir -p -- "$(dirname -- "$pages/$file")"
    cp -- "$scratch/picture" "$pages/$file"
    echo "updated $file" >&2
  else
    diff -u --label "$file" --label "$file as it should be" <(cat -- "$pages/$file" | normalised_picture) \
      <(normalised_picture <"$scratch/picture") >&2 || touch "$scratch/failed"
  fi
}

# Copies the block that follows on stdin, up to its end; $1 and $2 as above.
copy_block() {
  local line old='' new
  while IFS= read -r line && [[ $line != '```' ]]; do
    old+=$line$'\n'
  done
  new=$(renewed "$1" "$2" <<<"$old" && echo .) # the dot keeps empty lines at the end
  new=${new%.}
  [[ $(normalised <<<"$new") != "$(normalised <<<"$old")" ]] || new=$old
  printf '%s```\n' "$new"
}

# Copies a page, each block as it should be; $1 is a folder for its sessions.
copy_page() {
  local line kind='' words
  while IFS= read -r line; do
    printf '%s\n' "$line"
    case $line in
      '<!-- file: '*' -->')
        kind=${line#'<!-- file: '}
        kind=${kind%' -->'}
        ;;
      '<!-- session -->') kind=session ;;
      '<!-- picture: '*' -->')
        kind=picture
        words=${line#'<!-- picture: '}
        words=${words%' -->'}
        ;;
      '!['*'.svg)')
        line=${line##*'('}
        [[ $kind != picture ]] || renew_picture "$1" "$words" "${line%')'}" "$page"
        kind=''
        ;;
      '```'*)
        [[ -z $kind ]] || copy_block "$1" "$kind"
        kind=''
        ;;
      *) kind='' ;;
    esac
  done
}

mode=$1
shift
failed=0
for page in "$@"; do
  make_root "$scratch/$page.root"
  copy_page "$scratch/$page.root" <"$pages/$page" >"$scratch/page"
  if [[ $mode == check ]]; then
    diff -u --label "$page" --label "$page as it should be" -- "$pages/$page" "$scratch/page" || failed=1
  elif ! cmp -s -- "$pages/$page" "$scratch/page"; then
    cat -- "$scratch/page" >"$pages/$page"
    echo "updated $page"
  fi
done
[[ ! -e $scratch/failed ]] || failed=1
((failed == 0)) ||
  echo "To bring pages up to date: ./bazelw run //docs:update; the service's walk: //tests/service:walkthrough" >&2
exit "$failed"
