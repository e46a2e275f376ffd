#!/usr/bin/env python3
"""Writes man pages and completions for bash, zsh and fish, from what the command itself says.

    manual.py RINGFENCE SHARE                  the command; the folder share/ of an installation
    manual.py --service SERVE VERSION SHARE    the program ringfence-serve: man pages of its commands alone

`ringfence help COMMAND` prints each table of options (tools/ringfence/cli), so nothing is told twice.
"""

import os
import re
import subprocess
import sys

OPTION = re.compile(r"^  (?:-(?P<letter>\w), |    )--(?P<name>[a-z][a-z-]*)"
                    r"(?:(?P<optional>\[=[A-Z]+\])| (?P<argument>[A-Z][A-Z:=]*))?(?: +(?P<help>\S.*))?$")
HEADING = re.compile(r"^(Options|Environment|Examples?|Exit status|Commands):\s*")
# Values of arguments; each must stand in the help of every option that takes one.
CHOICES = {
    "FORM": ["auto", "json", "serial"],
    "FORMAT": ["text", "json", "sarif", "junit", "html", "github", "pprof"],
    "MODE": ["guard", "page", "mte", "sample", "off"],
    "SITES": ["no", "yes", "all"],
    "WHEN": ["auto", "always", "never"],
    "WHICH": ["1", "all", "reachable", "0"],
}
FILES = ("FILE", "DIR")


class Option:

    def __init__(self, match):
        self.letter = match["letter"]
        self.name = match["name"]
        self.optional = bool(match["optional"])
        self.argument = match["argument"] or (match["optional"] or "").strip("[=]") or None
        self.help = match["help"] or ""

    def choices(self):
        values = CHOICES.get(self.argument, [])
        missing = [value for value in values if value not in self.help]
        if missing:
            sys.exit("manual.py: --%s does not name %s any more" % (self.name, ", ".join(missing)))
        return values


class Page:
    """The manual of one command, in parts."""

    def __init__(self, name, text):
        self.name = name
        self.sections = []  # (heading, lines)
        self.options = []
        for paragraph in text.strip("\n").split("\n\n"):
            heading = HEADING.match(paragraph)
            if paragraph.startswith("Usage: "):
                self.usage = paragraph[len("Usage: "):]
            elif heading and heading[1] == "Options":
                self._read_options(paragraph.split("\n")[1:])
                self.sections.append(("Options", []))
            elif heading:
                self.sections.append((heading[1], paragraph[heading.end():].split("\n")))
            else:
                self.sections.append(("Description", paragraph.split("\n")))

    def _read_options(self, lines):
        for line in lines:
            match = OPTION.match(line)
            if match:
                self.options.append(Option(match))
            elif line.startswith(" " * 20) and self.options:
                option = self.options[-1]
                option.help = (option.help + " " + line.strip()).strip()
            else:
                sys.exit("manual.py: not understood in the help of %s: %s" % (self.name, line))


# ---- man pages ----


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return "\\&" + text if text.startswith(".") else text


def option_roff(option):
    forms = ["\\fB\\-%s\\fR" % option.letter] if option.letter else []
    forms.append("\\fB\\-\\-%s\\fR" % roff(option.name))
    if option.argument:
        value = "\\fI%s\\fR" % roff(option.argument)
        forms[-1] += "[=%s]" % value if option.optional else " " + value
    return [".TP", ", ".join(forms), roff(option.help)]


def rows_roff(lines):
    """Lines of a name, spaces and what it is."""
    out = []
    for line in lines:
        name, _, rest = line.strip().partition("  ")
        out += [".TP", "\\fB%s\\fR" % roff(name), roff(rest.strip())]
    return out


def section_roff(page, heading, lines):
    if heading == "Options":
        return [line for option in page.options for line in option_roff(option)]
    if heading in ("Environment", "Commands"):
        return rows_roff(lines)
    if heading.startswith("Example"):
        return [".nf"] + [roff(line.strip()) for line in lines] + [".fi"]
    return [roff(line) for line in lines]


def man_page(page, title, summary, version, others):
    out = ['.TH %s 1 "" "ringfence %s" "User commands"' % (title.upper(), version)]
    out += [".SH NAME", "%s \\- %s" % (roff(title), roff(summary)), ".SH SYNOPSIS", ".B " + roff(page.usage)]
    before = None
    for heading, lines in page.sections:
        out += [".PP"] if heading == before else [".SH " + heading.upper()]
        out += section_roff(page, heading, lines)
        before = heading
    out += [".SH SEE ALSO"] + [".BR %s (1)%s" % (roff(other), "," if other != others[-1] else "") for other in others]
    return "\n".join(out) + "\n"


# ---- Completions ----


def bash(pages, summaries):
    out = ["# bash completion for ringfence"]
    out += ["_ringfence() {", "  local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} i"]
    out += ["  COMPREPLY=()", "  if ((COMP_CWORD == 1)); then"]
    out += ["    mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\")" % " ".join(summaries)]
    out += ["    return", "  fi", "  # The program that is checked completes its own words."]
    out += ["  for ((i = 2; i < COMP_CWORD; i++)); do", "    if [[ ${COMP_WORDS[i]} == -- ]]; then"]
    out += ["      if declare -F _command_offset >/dev/null; then", "        _command_offset $((i + 1))"]
    out += ["      elif ((i + 1 == COMP_CWORD)); then"]
    out += ["        mapfile -t COMPREPLY < <(compgen -c -f -- \"$cur\")", "      else"]
    out += ["        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")", "      fi", "      return", "    fi", "  done"]
    out += ["  case ${COMP_WORDS[1]}:$before in"]
    for page in pages:
        for option in page.options:
            forms = ["%s:--%s" % (page.name, option.name)]
            forms += ["%s:-%s" % (page.name, option.letter)] if option.letter else []
            if option.choices():
                out += ["    %s)" % " | ".join(forms)]
                out += ["      mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\")" % " ".join(option.choices())]
                out += ["      return", "      ;;"]
            elif option.argument and not option.optional:
                kind = "-d" if option.argument == "DIR" else "-f"
                out += ["    %s)" % " | ".join(forms)]
                out += ["      mapfile -t COMPREPLY < <(compgen %s -- \"$cur\")" % kind if option.argument in FILES else
                        "      COMPREPLY=()"]
                out += ["      return", "      ;;"]
    out += ["  esac", "  case ${COMP_WORDS[1]}:$cur in"]
    for page in pages:
        if page.options:
            words = " ".join("--" + option.name for option in page.options)
            out += ["    %s:-*) mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\") ;;" % (page.name, words)]
    out += ["    help:*) mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\") ;;" % " ".join(summaries)]
    out += ["    # A command of the service, which may be installed later.", "    *:-*)",
            "      mapfile -t COMPREPLY < <(compgen -W \"$(",
            "        \"${COMP_WORDS[0]}\" \"${COMP_WORDS[1]}\" --help 2>/dev/null |",
            "        grep -oE '^ {2,6}(-[a-z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+')\" -- \"$cur\")", "      ;;"]
    out += ["    *) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;", "  esac", "}"]
    out += ["complete -o filenames -F _ringfence ringfence"]
    return "\n".join(out) + "\n"


def zsh_quoted(text):
    return text.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def zsh_option(option):
    action = ""
    if option.argument:
        what = "(%s)" % " ".join(option.choices()) if option.choices() else \
            "_directories" if option.argument == "DIR" else "_files" if option.argument in FILES else " "
        action = ":%s:%s" % (option.argument.lower(), what)
    text = "[%s]" % zsh_quoted(option.help.split(";")[0])
    if option.letter:
        shape = "'(-%s --%s)'{-%s,--%s}'" % (option.letter, option.name, option.letter, option.name)
    else:
        shape = "'--" + option.name + ("=-" if option.optional else "")
    return "      %s%s%s%s' \\" % (shape, text, ":" if option.optional else "", action)


def zsh(pages, summaries):
    out = ["#compdef ringfence", "local curcontext=$curcontext state line", "_arguments -C '1:command:->command' "
           "'*::argument:->argument'", "case $state in", "  command)", "    local -a commands=("]
    out += ["      '%s:%s'" % (name, zsh_quoted(summary)) for name, summary in summaries.items()]
    out += ["    )", "    _describe command commands", "    ;;", "  argument)", "    case $words[1] in"]
    for page in pages:
        if not page.options:
            continue
        out += ["    %s)" % page.name, "      _arguments -s -S \\"] + [zsh_option(option) for option in page.options]
        out += ["      '(-):program: _command_names -e' '*::argument: _normal'" if page.name == "check" else
                "      '*:file:_files'", "      ;;"]
    out += ["    help) _values command %s ;;" % " ".join(summaries), "    *) _files ;;", "    esac", "    ;;", "esac"]
    return "\n".join(out) + "\n"


def fish_quoted(text):
    return "'%s'" % text.replace("\\", "\\\\").replace("'", "\\'")


def fish(pages, summaries):
    out = ["# fish completion for ringfence", "complete -c ringfence -n __fish_use_subcommand -f"]
    for name, summary in summaries.items():
        out.append("complete -c ringfence -n __fish_use_subcommand -a %s -d %s" % (name, fish_quoted(summary)))
    for page in pages:
        for option in page.options:
            line = "complete -c ringfence -n '__fish_seen_subcommand_from %s' -l %s" % (page.name, option.name)
            line += " -s " + option.letter if option.letter else ""
            if option.argument and not option.optional:
                line += " -r" if option.argument in FILES else " -x"
                line += " -a " + fish_quoted(" ".join(option.choices())) if option.choices() else ""
            out.append(line + " -d " + fish_quoted(option.help.split(";")[0]))
    out.append("complete -c ringfence -n '__fish_seen_subcommand_from help' -f -a '%s'" % " ".join(summaries))
    return "\n".join(out) + "\n"


# ---- All of them ----


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def ask(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout


def write_pages(pages, summaries, version, share):
    titles = ["ringfence"] + ["ringfence-" + page.name for page in pages]
    for page, title in zip(pages, titles[1:]):
        text = man_page(page, title, summaries[page.name], version, [other for other in titles if other != title])
        write("%s/man/man1/%s.1" % (share, title), text)
    return titles


def service(program, version, share):
    listed = re.findall(r"^  (\S+) +(.*)$", ask(program, "help"), re.M)
    pages = [Page(name, ask(program, name, "--help")) for name, _ in listed]
    write_pages(pages, dict(listed), version, share)


def main(command, share):
    version = ask(command, "version").split()[1]
    overview = Page("ringfence", ask(command, "help"))
    listed = [lines for heading, lines in overview.sections if heading == "Commands"][0]
    summaries = dict(line.split(maxsplit=1) for line in listed)
    # Commands of the service have no manual where ringfence-serve is not installed beside the command: its package
    # brings them.
    texts = {name: ask(command, "help", name) for name in summaries}
    pages = [Page(name, text) for name, text in texts.items() if text]

    titles = write_pages(pages, summaries, version, share)
    write(share + "/man/man1/ringfence.1",
          man_page(overview, "ringfence", "find memory bugs of programs", version, titles[1:]))
    write(share + "/bash-completion/completions/ringfence", bash(pages, summaries))
    write(share + "/zsh/site-functions/_ringfence", zsh(pages, summaries))
    write(share + "/fish/vendor_completions.d/ringfence.fish", fish(pages, summaries))


if __name__ == "__main__":
    service(*sys.argv[2:]) if sys.argv[1] == "--service" else main(*sys.argv[1:])
