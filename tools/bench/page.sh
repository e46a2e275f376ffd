# For the scripts beside this, which source it.

# put_into PAGE NAME FILE: the lines of FILE take the place of those after "<!-- NAME -->", up to "<!-- end of NAME -->"
# or, where the page has none, up to its end. Fails, and changes nothing, where the page has no such mark.
put_into() {
  local page=$1 begin="<!-- $2 -->" end="<!-- end of $2 -->" made
  if ! grep -qxF -- "$begin" "$page"; then
    echo "$page has no line $begin" >&2
    return 1
  fi
  made=$(mktemp) || return
  awk -v begin="$begin" -v end="$end" -v file="$3" '
    $0 == end { inside = 0 }
    !inside { print }
    $0 == begin { inside = 1; while ((getline line < file) > 0) print line }' "$page" >"$made"
  cp -- "$made" "$page"
  rm -f -- "$made"
}

# print_or_put UPDATE PAGE NAME FILE: prints FILE or, where UPDATE is not empty, puts it into PAGE of the workspace.
print_or_put() {
  if [[ -z $1 ]]; then
    cat -- "$4"
  else
    put_into "${BUILD_WORKSPACE_DIRECTORY:?run this with bazelw run}/$2" "$3" "$4"
  fi
}
