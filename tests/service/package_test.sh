#!/usr/bin/env bash
# The service's packages: the tar needs no library of the machine's but the C library, the Debian package names those
# that it needs, both are the same when made again, and the unit file is one that systemd takes.
#
#   package_test.sh package.sh WORDS... --
set -uo pipefail

unset LD_LIBRARY_PATH RINGFENCE_COLLECTOR
. tests/install/packages.sh
. tests/install/share.sh

mkdir -m 700 "$work/d"
tar -C "$work/tar" -xf "$work"/first/*.tar.gz
serve=$(echo "$work"/tar/ringfence-serve-*/bin/ringfence-serve)
# Its own and those of the C library; a library that it lacks would be searched elsewhere.
strangers=$(ldd "$serve" | grep '=>' | grep -vF "$work/tar" | grep -vE 'lib(c|m|dl|rt|pthread)\.so')
[[ -z $strangers ]] || complain "the tar's program takes libraries of the machine: $strangers"
"$serve" serve --once --no-shared --dir "$work/d" || complain "the tar's program does not run"
[[ $("$serve" findings --dir "$work/d") == "no findings" ]] || complain "the tar's program does not answer"

# Under the LGPL: a file of its own, which anybody may replace, with its license where Debian's packages are.
own=${serve%/bin/*}
[[ -e $own/lib/ringfence-serve/libmicrohttpd.so.12 ]] || complain "libmicrohttpd is not a file of its own"
if dpkg-query -W libmicrohttpd12 >/dev/null 2>&1; then
  grep -q LGPL "$own/share/doc/ringfence-serve/licenses/libmicrohttpd12" || complain "no license of libmicrohttpd"
fi

# share/ of an installation, its bin/
try_share() {
  local command
  for command in serve findings steer; do
    describes "$1"/man/man1/ringfence-$command.1* "$2/ringfence-serve" $command --help
  done
  manuals "$1"/man/man1/*
  completes_options "$1" "$2" ringfence-serve
}
try_share "${serve%/bin/*}/share" "${serve%/*}"

if ((${#kinds[@]} == 2)); then
  deb=$(echo "$work"/first/*.deb)
  dpkg-deb -x "$deb" "$work/deb"
  dpkg-deb -f "$deb" Depends | grep -qE '^libc6 \(>= 2\.[0-9]+\), libmicrohttpd12.*libsqlite3-0' ||
    complain "Depends: $(dpkg-deb -f "$deb" Depends)"
  "$work/deb/usr/bin/ringfence-serve" findings --dir "$work/d" >/dev/null || complain "the package's program fails"
  try_share "$work/deb/usr/share" "$work/deb/usr/bin"
  lint "$deb"
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
