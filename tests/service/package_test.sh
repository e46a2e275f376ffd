#!/usr/bin/env bash
# The service's packages: the tar needs no library of the machine's but the C library, the Debian package names those
# that it needs, both are the same when made again, and the unit file is one that systemd takes.
#
#   package_test.sh package.sh WORDS... --
set -uo pipefail

package=("$@")
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/package.XXXXXX") || exit 2
trap 'rm -rf -- "$work"' EXIT
unset LD_LIBRARY_PATH SOURCE_DATE_EPOCH RINGFENCE_COLLECTOR

faults=0
complain() {
  echo "package_test: $*" >&2
  faults=$((faults + 1))
}

kinds=(--tar)
if command -v dpkg-deb >/dev/null; then
  kinds+=(--deb)
else
  echo "no dpkg-deb here: the Debian package is left out"
fi
for folder in first second; do
  "${package[@]}" "${kinds[@]}" "$work/$folder" >"$work/log" 2>&1 || complain "package.sh: $(<"$work/log")"
done
(cd "$work/first" && sha256sum --quiet -c ./*.sha256) || complain "a checksum is wrong"
diff -r "$work/first" "$work/second" || complain "made again, it is another"

mkdir "$work/tar" "$work/deb" "$work/d"
chmod 700 "$work/d"
tar -C "$work/tar" -xf "$work"/first/*.tar.gz
serve=$(echo "$work"/tar/ringfence-serve-*/bin/ringfence-serve)
# Its own and those of the C library; a library that it lacks would be searched elsewhere.
strangers=$(ldd "$serve" | grep '=>' | grep -vF "$work/tar" | grep -vE 'lib(c|m|dl|rt|pthread)\.so')
[[ -z $strangers ]] || complain "the tar's program takes libraries of the machine: $strangers"
"$serve" serve --once --no-shared --dir "$work/d" || complain "the tar's program does not run"
[[ $("$serve" findings --dir "$work/d") == "no findings" ]] || complain "the tar's program does not answer"

if ((${#kinds[@]} == 2)); then
  deb=$(echo "$work"/first/*.deb)
  dpkg-deb -x "$deb" "$work/deb"
  dpkg-deb -f "$deb" Depends | grep -qE '^libc6 \(>= 2\.[0-9]+\), libmicrohttpd12.*libsqlite3-0' ||
    complain "Depends: $(dpkg-deb -f "$deb" Depends)"
  "$work/deb/usr/bin/ringfence-serve" findings --dir "$work/d" >/dev/null || complain "the package's program fails"
  ! command -v lintian >/dev/null || lintian --allow-root --fail-on error,warning "$deb" || complain "lintian complains"
fi

unit=$(echo "$work"/tar/*/share/systemd/user/ringfence.service)
read -r -a command < <(sed -n 's/^ExecStart=//p' "$unit")
[[ ${command[*]} == "ringfence-serve serve"* ]] || complain "the unit starts ${command[*]}"
HOME=$work XDG_STATE_HOME=$work/state "${serve%/*}/${command[0]}" "${command[@]:1}" --once --no-shared ||
  complain "the unit's command does not run"
[[ -s $work/state/ringfence/ringfence.db ]] || complain "the unit collects elsewhere than processes write"
if command -v systemd-analyze >/dev/null; then
  sed "s|^ExecStart=|ExecStart=${serve%/*}/|; /^Documentation/d" "$unit" >"$work/ringfence.service"
  told=$(XDG_RUNTIME_DIR=$work systemd-analyze verify --user --man=no "$work/ringfence.service" 2>&1 |
    grep -F ringfence.service)
  [[ -z $told ]] || complain "systemd-analyze: $told"
fi

((faults == 0)) || exit 1
