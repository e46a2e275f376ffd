"""Completions for bash, zsh and fish of a program with commands: `ringfence`, and ringfence-serve, whose commands
`ringfence` has as well.

Each function takes the program, the pages of its commands (manual.py) and the summaries of all commands by name, and
returns a file's text. A command without a page is one of the service: `ringfence` asks the completion of
ringfence-serve for it, which is a file of its own since the program may be installed apart. Without that file the
names of its options come from the program itself.
"""

FILES = ("DIR", "ELF", "FILE", "FUZZER", "PATH", "SOURCE")
SERVICE = "ringfence-serve"
# The names of options, out of a command's --help.
NAMES = r"^ {2,6}(-[a-z], )?--[a-z-]+"


def of_service(pages, summaries):
    own = [page.name for page in pages]
    return [name for name in summaries if name not in own]


# ---- bash ----

BASH_PROGRAM = """\
  # The program that is checked completes its own words.
  if [[ ${COMP_WORDS[1]} == check ]]; then
    for ((i = 2; i < COMP_CWORD; i++)); do
      if [[ ${COMP_WORDS[i]} == -- ]]; then
        if declare -F _command_offset >/dev/null; then
          _command_offset $((i + 1))
        elif ((i + 1 == COMP_CWORD)); then
          mapfile -t COMPREPLY < <(compgen -c -f -- "$cur")
        else
          mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        fi
        return
      fi
    done
  fi"""

# Bash takes the = in --name=value for a word.
BASH_JOINED = """\
  if [[ $cur == = && $before == --* ]]; then
    before+== cur=
  elif [[ $before == = && ${COMP_WORDS[COMP_CWORD-2]} == --* ]]; then
    before=${COMP_WORDS[COMP_CWORD-2]}=
  fi"""

BASH_SERVICE = """\
_ringfence_of_service() {
  if ! declare -F _ringfence_serve >/dev/null && [[ -r ${BASH_SOURCE[0]%/*}/ringfence-serve ]]; then
    . "${BASH_SOURCE[0]%/*}/ringfence-serve"
  fi
  if declare -F _ringfence_serve >/dev/null; then
    _ringfence_serve
  elif [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" "${COMP_WORDS[1]}" --help 2>/dev/null |
      grep -oE '@NAMES@' | grep -oE -- '--[a-z-]+')" -- "$cur")
  else
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
  fi
}"""


def bash_words(words):
    return "mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\")" % " ".join(words)


def bash_values(page):
    """What stands behind an option; one that may stand alone has its value behind = alone."""
    out = []
    for option in page.options:
        if not option.argument or (option.optional and not option.choices()):
            continue
        forms = ["%s:--%s=" % (page.name, option.name)]
        forms += ["%s:--%s" % (page.name, option.name)] if not option.optional else []
        forms += ["%s:-%s" % (page.name, option.letter)] if option.letter and not option.optional else []
        out += ["    %s)" % " | ".join(forms)]
        if option.choices():
            out += ["      " + bash_words(option.choices())]
        elif option.argument in FILES:
            kind = "-d" if option.argument == "DIR" else "-f"
            out += ["      mapfile -t COMPREPLY < <(compgen %s -- \"$cur\")" % kind]
        out += ["      return", "      ;;"]
    return out


def bash(program, pages, summaries):
    function = "_" + program.replace("-", "_")
    service = of_service(pages, summaries)
    out = ["# bash completion for " + program]
    out += [BASH_SERVICE.replace("@NAMES@", NAMES)] if service else []
    out += [function + "() {", "  local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} i"]
    out += [BASH_JOINED]
    out += ["  COMPREPLY=()", "  if ((COMP_CWORD == 1)); then", "    " + bash_words(summaries), "    return", "  fi"]
    out += [BASH_PROGRAM] if "check" in summaries else []
    out += ["  case ${COMP_WORDS[1]}:$before in"]
    out += [line for page in pages for line in bash_values(page)]
    out += ["  esac", "  case ${COMP_WORDS[1]}:$cur in"]
    for page in pages:
        if page.options:
            out += ["    %s:-*) %s ;;" % (page.name, bash_words("--" + option.name for option in page.options))]
    for page in pages:
        if page.words:
            out += ["    %s:*) %s ;;" % (page.name, bash_words(page.words))]
    out += ["    help:*) %s ;;" % bash_words(summaries)] if "help" in summaries else []
    out += ["    %s) _ringfence_of_service ;;" % " | ".join(name + ":*" for name in service)] if service else []
    out += ["    *) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;", "  esac", "}"]
    out += ["complete -o filenames -F %s %s" % (function, program)]
    return "\n".join(out) + "\n"


# ---- zsh ----

ZSH_SERVICE = """\
    %s)
      if (( $+functions[_ringfence-serve] )); then
        words=(ringfence-serve "$words[@]")
        (( CURRENT++ ))
        _ringfence-serve
      elif [[ $PREFIX == -* ]]; then
        compadd -- $(_call_program options ringfence ${(q)words[1]} --help 2>/dev/null |
          grep -oE '@NAMES@' | grep -oE -- '--[a-z-]+')
      else
        _files
      fi
      ;;"""


def zsh_quoted(text):
    return text.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def zsh_option(option):
    action = ""
    if option.argument:
        what = "(%s)" % " ".join(option.choices()) if option.choices() else \
            "_directories" if option.argument == "DIR" else "_files" if option.argument in FILES else " "
        action = ":%s:%s" % (zsh_quoted(option.argument.lower()), what)
    text = "[%s]" % zsh_quoted(option.brief())
    if option.letter:
        shape = "'(-%s --%s)'{-%s,--%s}'" % (option.letter, option.name, option.letter, option.name)
    else:
        shape = "'--" + option.name + ("=-" if option.optional else "")
    return "      %s%s%s%s' \\" % (shape, text, ":" if option.optional else "", action)


def zsh(program, pages, summaries):
    service = of_service(pages, summaries)
    out = ["#compdef " + program, "local curcontext=$curcontext state line", "_arguments -C '1:command:->command' "
           "'*::argument:->argument'", "case $state in", "  command)", "    local -a commands=("]
    out += ["      '%s:%s'" % (name, zsh_quoted(summary)) for name, summary in summaries.items()]
    out += ["    )", "    _describe command commands", "    ;;", "  argument)", "    case $words[1] in"]
    for page in pages:
        if not page.options:
            continue
        out += ["    %s)" % page.name, "      _arguments -s -S \\"] + [zsh_option(option) for option in page.options]
        out += ["      '(-):program: _command_names -e' '*::argument: _normal'" if page.name == "check" else
                "      '1:what:(%s)' '*:file:_files'" % " ".join(page.words) if page.words else
                "      '*:file:_files'", "      ;;"]
    out += ["    help) _values command %s ;;" % " ".join(summaries)] if "help" in summaries else []
    out += [(ZSH_SERVICE % " | ".join(service)).replace("@NAMES@", NAMES)] if service else []
    out += ["    *) _files ;;", "    esac", "    ;;", "esac"]
    return "\n".join(out) + "\n"


# ---- fish ----

FISH_PROGRAM = """\
# The program that is checked completes its own words.
function __ringfence_program
  set -l words (commandline -opc)
  set -l first (math (contains -i -- -- $words) + 1)
  complete -C (string join -- ' ' (string escape -- $words[$first..-1]) (commandline -ct))
end
complete -c ringfence -n 'test "$(commandline -opc)[2]" = check; and contains -- -- (commandline -opc)' -f \\
  -a '(__ringfence_program)'"""

FISH_SERVICE = """\
function __ringfence_of_service
  set -l words (commandline -opc)
  set -l found (complete -C (string join -- ' ' ringfence-serve (string escape -- $words[2..-1]) (commandline -ct)))
  if not set -q found[1]; and string match -q -- '-*' (commandline -ct)
    set found ($words[1] $words[2] --help 2>/dev/null | grep -oE '@NAMES@' | grep -oE -- '--[a-z-]+')
  end
  printf '%s\\n' $found
end
"""


def fish_quoted(text):
    return "'%s'" % text.replace("\\", "\\\\").replace("'", "\\'")


def fish(program, pages, summaries):
    start = "complete -c " + program
    service = of_service(pages, summaries)

    def of(*names):
        return start + " -n 'contains -- (commandline -opc)[2] %s'" % " ".join(names)

    first = start + " -n 'test (count (commandline -opc)) = 1' -f"
    out = ["# fish completion for " + program]
    out += ["%s -a %s -d %s" % (first, name, fish_quoted(summary)) for name, summary in summaries.items()]
    for page in pages:
        for option in page.options:
            line = of(page.name) + " -l " + option.name
            line += " -s " + option.letter if option.letter else ""
            if option.argument and not option.optional:
                line += " -r" if option.argument in FILES and option.argument != "DIR" else " -x"
                line += " -a '(__fish_complete_directories (commandline -ct))'" if option.argument == "DIR" else ""
                line += " -a " + fish_quoted(" ".join(option.choices())) if option.choices() else ""
            out.append(line + " -d " + fish_quoted(option.brief()))
        if page.words:
            out.append(of(page.name) + " -f -a " + fish_quoted(" ".join(page.words)))
    out += [of("help") + " -f -a " + fish_quoted(" ".join(summaries))] if "help" in summaries else []
    out += [FISH_PROGRAM] if "check" in summaries else []
    out += [FISH_SERVICE.replace("@NAMES@", NAMES) + of(*service) + " -f -a '(__ringfence_of_service)'"] \
        if service else []
    return "\n".join(out) + "\n"
