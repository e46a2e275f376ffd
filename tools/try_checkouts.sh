# For the scripts beside this that build checkouts of the last commit. They set $root and $title, and source it.

faults=0
server= # its process, if there is one, ends with the script

complain() {
  echo "$title: $*" >&2
  faults=$((faults + 1))
}

# begin_checkouts NAME...: makes $work, which has the last commit and lasts as long as the script. A checkout NAME and
# its output base are to be $work/NAME and $work/out-NAME.
begin_checkouts() {
  names=("$@")
  work=$(mktemp -d "${TMPDIR:-/tmp}/$title.XXXXXX") || exit 2
  trap end_checkouts EXIT
  git clone -q --bare "$root" "$work/last_commit" || exit 2
}

end_checkouts() {
  local name
  [[ -z $server ]] || kill "$server" 2>/dev/null
  for name in "${names[@]}"; do
    [[ ! -d $work/$name ]] || (cd -- "$work/$name" && ./bazelw --output_base="$work/out-$name" shutdown) >/dev/null 2>&1
  done
  chmod -R u+w "$work"
  rm -rf -- "$work"
}
