# For tests of manuals and completions, which source this. Needs complain TEXT, and $work, a folder for its files.
#
#   manuals FILE...                         mandoc has nothing against them
#   describes MANUAL COMMAND...             the manual has each option that COMMAND... tells of
#   completed EXPECTED SHARE BIN WORD...    what every shell offers in place of the last word of a command line, sorted;
#                                           SHARE: the folder share/ of an installation, BIN: one to put into PATH
#   completes_options SHARE BIN PROGRAM...  of each command of PROGRAM, the completions of each name its options
manuals() {
  command -v mandoc >/dev/null || { echo "no mandoc here: what it says of the manuals is left out" && return; }
  # Only an argument that is empty on purpose may be warned of.
  mandoc -Tlint -Wwarning "$@" | grep -v 'missing date' && complain "mandoc warns"
}

options_of() { "$@" 2>/dev/null | grep -oE '^ {2,6}(-., )?--[a-z-]+' | grep -oE -- '--[a-z-]+'; }

describes() {
  local option options
  options=$(options_of "${@:2}")
  [[ -n $options ]] || complain "${*:2} names no options"
  for option in $options; do
    zgrep -qF -- "\\fB\\-\\-$(sed 's/^--//; s/-/\\-/g' <<<"$option")\\fR" "$1" || complain "$1 lacks $option"
  done
}

# ---- Completions ----

shells=(bash)
for shell in zsh fish; do
  if command -v $shell >/dev/null; then
    shells+=("$shell")
  else
    echo "no $shell here: its completions are left out"
  fi
done

offered_by_bash() {
  local share=$1
  shift
  # shellcheck disable=SC2016 # for the inner shell
  bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); "_${1//-/_}"; printf "%s\n" "${COMPREPLY[@]}"' - \
    "$share/bash-completion/completions/$1" "$@"
}

# A shell of its own on a terminal, where compadd tells what it is given. At the end stands a line for a key of its own.
offered_by_zsh() {
  local share=$1
  shift
  rm -f -- "$work"/zsh.*
  mkfifo "$work/zsh.done"
  cat >"$work/zsh.rc" <<'END'
unsetopt list_beep
fpath=($share/zsh/*(/) $fpath)
autoload -Uz compinit
compinit -u -d $work/dump${share//\//_}
compadd() {
  local -a found
  if [[ ${@[(i)-[OAD]]} -gt $# ]]; then
    builtin compadd -O found "$@"
    (( $#found == 0 )) || print -rl -- $found >>$work/zsh.found
  fi
  builtin compadd "$@"
}
tell() {
  zle list-choices
  print >$work/zsh.done
}
zle -N tell
bindkey '^T' tell
END
  # shellcheck disable=SC2016 # for the inner shell
  work=$work share=$share TERM=dumb zsh -f -c 'zmodload zsh/zpty
    zpty -b child zsh -f -i
    zpty -w child "PS1= work=${(q)work} share=${(q)share}; . ${(q)work}/zsh.rc"
    zpty -w -n child "$1"$'"'\\C-t'"'
    read -t 60 <$work/zsh.done
    zpty -d child' - "$*" || complain "zsh does not answer"
  [[ ! -e $work/zsh.found ]] || sort -u "$work/zsh.found"
}

offered_by_fish() {
  local share=$1
  shift
  # shellcheck disable=SC2016 # for the inner shell
  HOME=$work fish --no-config -c 'set -p fish_complete_path $argv[1]; complete -C "$argv[2]"' \
    "$share/fish/vendor_completions.d" "$*" | cut -f1
}

# shell, share, folder for PATH, words...
offered() {
  # The form of an option whose argument may be left out.
  PATH=$3:$PATH "offered_by_$1" "$2" "${@:4}" | sed 's/=-\?$//' | sort -u
}

completed() {
  local expected shell got
  expected=$(tr ' ' '\n' <<<"$1" | sort)
  shift
  for shell in "${shells[@]}"; do
    got=$(offered "$shell" "$@")
    [[ $got == "$expected" ]] ||
      complain "completion of '${*:3}' in $shell is '${got//$'\n'/ }', not '${expected//$'\n'/ }'"
  done
}

completes_options() {
  local share=$1 bin=$2 program=$3 command commands options
  commands=$("$bin/$program" help | sed -n 's/^  \([a-z]\+\)  .*/\1/p')
  completed "$(tr '\n' ' ' <<<"$commands" | sed 's/ $//')" "$share" "$bin" "$program" ''
  for command in $commands; do
    options=$(options_of "$bin/$program" "$command" --help)
    [[ -z $options ]] || completed "${options//$'\n'/ }" "$share" "$bin" "$program" "$command" --
  done
}
