#!/usr/bin/env python3
"""Writes man pages and completions for bash, zsh and fish, from what the command itself says.

    manual.py RINGFENCE SHARE                  the command; the folder share/ of an installation
    manual.py --service SERVE VERSION SHARE    the program ringfence-serve, whose commands `ringfence` has as well

`ringfence help COMMAND` prints each table of options (tools/ringfence/cli), so nothing is told twice.
"""

import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True  # beside the sources
import completions

OPTION = re.compile(r"^  (?:-(?P<letter>\w), |    )--(?P<name>[a-z][a-z-]*)"
                    r"(?:(?P<optional>\[=[A-Z]+\])| (?P<argument>[A-Z][A-Z:=,.]*))?(?: +(?P<help>\S.*))?$")
HEADING = re.compile(r"^(Options|Environment|Examples?|Exit status|Commands):\s*")
# Values of arguments; each must stand in the help of every option that takes one.
CHOICES = {
    "FORM": ["auto", "json", "serial"],
    "FORMAT": ["text", "json", "sarif", "junit", "html", "github", "pprof"],
    "MODE": ["guard", "page", "mte", "sample", "off"],
    "ORDER": ["last", "first", "count"],
    "RULE": ["access", "allocation", "free", "program", "build", "environment", "mode"],
    "SITES": ["no", "yes", "all"],
    "STATE": ["open", "new", "reopened", "fixed", "ignored", "all"],
    "TOOL": ["sentry", "otlp", "sarif", "json", "junit", "html", "text"],
    "WHEN": ["auto", "always", "never"],
    "WHICH": ["1", "all", "reachable", "0"],
}
# Words that may stand in place of the command's arguments, as in "steer [list | log]". Values of options are none of
# these.
WORD = re.compile(r"(?:^|[\[|] ?)([a-z]+)")


class Option:

    def __init__(self, match):
        self.letter = match["letter"]
        self.name = match["name"]
        self.optional = bool(match["optional"])
        self.argument = match["argument"] or (match["optional"] or "").strip("[=]") or None
        self.help = match["help"] or ""

    def brief(self):
        """The help up to the first semicolon that no parenthesis is around."""
        depth = 0
        for at, letter in enumerate(self.help):
            depth += (letter == "(") - (letter == ")")
            if letter == ";" and depth == 0:
                return self.help[:at]
        return self.help

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
        self.words = []
        for paragraph in text.strip("\n").split("\n\n"):
            heading = HEADING.match(paragraph)
            if paragraph.startswith("Usage: "):
                self.usage = [line.strip() for line in paragraph[len("Usage: "):].split("\n")]
                self._read_words()
            elif heading and heading[1] == "Options":
                self._read_options(paragraph.split("\n")[1:])
                self.sections.append(("Options", []))
            elif heading:
                self.sections.append((heading[1], paragraph[heading.end():].split("\n")))
            else:
                self.sections.append(("Description", paragraph.split("\n")))

    def _read_words(self):
        for line in self.usage:
            rest = re.sub(r"--\S+ \S+", "", line).partition(" %s " % self.name)[2]
            self.words += [word for word in WORD.findall(rest) if word not in self.words]

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
    out += [".SH NAME", "%s \\- %s" % (roff(title), roff(summary)), ".SH SYNOPSIS"]
    out += "\n.br\n".join(".B " + roff(line) for line in page.usage).split("\n")
    before = None
    for heading, lines in page.sections:
        out += [".PP"] if heading == before else [".SH " + heading.upper()]
        out += section_roff(page, heading, lines)
        before = heading
    out += [".SH SEE ALSO"] + [".BR %s (1)%s" % (roff(other), "," if other != others[-1] else "") for other in others]
    return "\n".join(out) + "\n"


# ---- All of them ----


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def ask(*words, **variables):
    return subprocess.run(words, env=dict(os.environ, **variables), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, check=False).stdout


def write_all(program, pages, summaries, version, share):
    titles = ["ringfence"] + ["ringfence-" + page.name for page in pages]
    for page, title in zip(pages, titles[1:]):
        text = man_page(page, title, summaries[page.name], version, [other for other in titles if other != title])
        write("%s/man/man1/%s.1" % (share, title), text)
    write("%s/bash-completion/completions/%s" % (share, program), completions.bash(program, pages, summaries))
    write("%s/zsh/site-functions/_%s" % (share, program), completions.zsh(program, pages, summaries))
    write("%s/fish/vendor_completions.d/%s.fish" % (share, program), completions.fish(program, pages, summaries))
    return titles


def service(program, version, share):
    summaries = dict(re.findall(r"^  (\S+) +(.*)$", ask(program, "help"), re.M))
    pages = [Page(name, ask(program, name, "--help")) for name in summaries]
    write_all("ringfence-serve", pages, summaries, version, share)


def main(command, share):
    version = ask(command, "version").split()[1]
    overview = Page("ringfence", ask(command, "help"))
    listed = [lines for heading, lines in overview.sections if heading == "Commands"][0]
    summaries = dict(line.split(maxsplit=1) for line in listed)
    # Commands of the service have nothing to say without ringfence-serve: its own manuals and completions are made
    # from that program, wherever it is installed.
    texts = {name: ask(command, "help", name, RINGFENCE_SERVE="/nonexistent") for name in summaries}
    pages = [Page(name, text) for name, text in texts.items() if text]

    titles = write_all("ringfence", pages, summaries, version, share)
    write(share + "/man/man1/ringfence.1",
          man_page(overview, "ringfence", "find memory bugs of programs", version, titles[1:]))


if __name__ == "__main__":
    service(*sys.argv[2:]) if sys.argv[1] == "--service" else main(*sys.argv[1:])
