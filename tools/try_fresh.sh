#!/usr/bin/env bash
# Runs the README's two commands as a new user meets them: on a minimal Debian 12 with nothing on it but git.
#
#   tools/try_fresh.sh DIR    as root; DIR takes the system, some 2 GB; remove it to start afresh
#
# Tries what is committed. Prints the time of each command; fails if one fails.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools/chroot.sh
. "$here/chroot.sh"

(($# == 1)) || die "usage: $0 DIR"
dir=$1
chroot_require_root
trap 'chroot_leave "$dir" /root/ringfence' EXIT

chroot_make bookworm "$dir" git

# The commands, word for word as the README has them.
mapfile -t commands < <(grep -oE '^ *\$? *\./bazelw (run|test) .*' "$here/../README.md" | sed 's/^[ $]*//' |
  awk '!seen[$0]++' | head -n 2)
((${#commands[@]} == 2)) || die "the README does not show two bazelw commands"

say "cloning"
rm -rf "$dir/root/ringfence" "$dir/root/origin.git"
git clone -q --bare "$here/.." "$dir/root/origin.git"
chroot_enter "$dir" git clone -q /root/origin.git /root/ringfence

failed=0
for command in "${commands[@]}"; do
  say "$command"
  start=$SECONDS
  status=0
  chroot_enter "$dir" bash -c "cd /root/ringfence && $command" || status=$?
  say "exit status $status after $((SECONDS - start)) s"
  ((status == 0)) || failed=1
done
exit "$failed"
