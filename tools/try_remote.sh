#!/usr/bin/env bash
# Builds and tests by remote execution: every action runs in a server that gets no file but the action's inputs. Then a
# second checkout with another PATH takes all from that server, and a third builds by itself after the server is gone.
#
#   tools/try_remote.sh [TARGETS...]      as root; default: the command, the library, and tests of each kind
#
# The server is the one of Bazel's own tests, src/tools/remote, compiled from Debian's package bazel-bootstrap-source
# with the Bazel of bazel-bootstrap. It has no password, so it and Bazel are in a network of their own. Needs also
# default-jdk-headless and iproute2; `.ci/run remote` installs all. The checkouts have the last commit.
# Prints "remote: passed", or what was not as it should be.
set -uo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
title=remote
. "$root/tools/try_checkouts.sh"
readonly bazel=/usr/share/bazel/A-server.jar sources=/usr/src/bazel-bootstrap/src/tools/remote/src/main/java
readonly worker=com.google.devtools.build.remote.worker address=127.0.0.1:8980

if [[ -z ${RF_REMOTE_NETWORK-} ]]; then
  ((EUID == 0)) || { complain "must be root, for a network of its own" && exit 2; }
  for needed in "$bazel" "$sources"; do
    [[ -e $needed ]] || { complain "no $needed here: packages bazel-bootstrap, bazel-bootstrap-source" && exit 2; }
  done
  # Installs what is missing, for which it needs the network.
  spare=$(mktemp -d "${TMPDIR:-/tmp}/remote.XXXXXX") || exit 2
  (cd -- "$root" && ./bazelw --batch --output_base="$spare" version) >/dev/null 2>&1
  chmod -R u+w "$spare"
  rm -rf -- "$spare"
  RF_REMOTE_NETWORK=own exec unshare --net -- "$0" "$@"
fi
ip link set lo up || exit 2
(($#)) || set -- //tools:ringfence //checkers/dropin:ringfence //tests/core/... //tests/heaps/... //docs:plots_test \
  //tests/dropin:bugs_test //tests/checkers:guard_test //tests/house:cycles_test

begin_checkouts first another-folder alone
mkdir "$work"/{classes,actions,kept,elsewhere}
javac -proc:none -nowarn -d "$work/classes" -cp "$bazel" "$sources/${worker//.//}"/{,http/}*.java 2>"$work/javac" ||
  { complain "the server does not compile: $(<"$work/javac")" && exit 1; }
java -cp "$work/classes:$bazel" $worker.RemoteWorker --work_path="$work/actions" --cas_path="$work/kept" --jobs=2 \
  --listen_port="${address#*:}" >"$work/server" 2>&1 &
server=$!
for ((i = 0; i < 300; i++)); do
  (exec 3<>"/dev/tcp/${address/://}") 2>/dev/null && break
  sleep 0.1
done
((i < 300)) || { complain "the server does not answer: $(<"$work/server")" && exit 1; }

# build or test, checkout, targets: leaves what the actions did in $processes
run() {
  local what=$1 name=$2
  shift 2
  git clone -q "$work/last_commit" "$work/$name" || exit 2
  (cd -- "$work/$name" && ./bazelw --output_base="$work/out-$name" "$what" --color=no --noshow_progress \
    --config=remote --remote_executor="grpc://$address" --test_output=errors "$@") >"$work/log-$name" 2>&1 ||
    { complain "$name: $(tail -40 "$work/log-$name")" && exit 1; }
  processes=$(grep -E 'INFO: [0-9]+ process(es)?' "$work/log-$name")
}

run test first "$@"
[[ $processes == *" remote"* && $processes != *sandbox* && $processes != *local* ]] ||
  complain "not all was executed by the server: $processes"
echo "remote: executed by the server:${processes#INFO:}"
PATH=$work/elsewhere:$PATH run test another-folder "$@"
[[ $processes == *" remote cache hit"* && ! $processes =~ sandbox|local|' remote'([.,]|$) ]] ||
  complain "something was executed again: $processes"
echo "remote: from the server:${processes#INFO:}"

kill "$server"
wait "$server" 2>/dev/null
server=
run build alone //lib/core
[[ $processes == *sandbox* ]] || complain "without the server: $processes"
((faults == 0)) || exit 1
echo "remote: passed"
