#!/usr/bin/env python3
"""A wrong command line exits with 2, says why on standard error, and changes nothing: of each command, and whether
there is a folder of findings or not. A right one about what is not there exits with 1."""

import os
import re
import subprocess

import service
from service import Service, append, check, equal, event

LONG = "x" * 1000

# Each command with words that are wrong whatever the store holds.
WRONG = {
    "serve": [["word"], ["--listen"], ["--listen", "x"], ["--listen", "127.0.0.1:70000"], ["--listen", "localhost:1"],
              ["--bytes", "x"], ["--bytes", "=none"], ["--bytes", "a=some"], ["--keep-days", "-1"],
              ["--keep-days", "x"], ["--max-size", "1x"], ["--max-symbols", ""], ["--max-forward", "-1"],
              ["--baud", "x"], ["--webhook", "ftp://h"], ["--webhook", ""], ["--alert-command", ""],
              ["--webhook", "http://h", "--alert-command", "true"], ["--forward", "h"], ["--what"], ["--json"]],
    "findings": [["word"], ["--state", "x"], ["--state", "ope"], ["--order", "la"], ["--limit", "0"],
                 ["--limit", "x"], ["--new", "--state", "fixed"],
                 ["--build", ""], ["--env", ""], ["--what"]],
    "show": [[], ["x"], ["0"], ["1", "2"], ["1", "--event", "x"], ["-1"], ["--what", "1"]],
    "fix": [[], ["x"], ["1", "2"], ["1", "--in", ""], ["1", "--in", "  "], ["1", "--in", LONG],
            ["1", "--because", "t"]],
    "ignore": [[], ["1"], ["x", "--because", "t"], ["1", "--because", ""], ["1", "--because", " \t"],
               ["1", "--because", LONG], ["1", "--in", "c"]],
    "reopen": [[], ["x"], ["1", "2"], ["1", "--because", "t"]],
    "merge": [[], ["1"], ["1", "x"], ["x", "1"], ["1", "2", "3"]],
    "split": [[], ["x"], ["1", "--by", "colour"], ["1", "--by", ""], ["1", "--by", "undo"], ["1", "--by", "events:1"],
              ["1", "--events", ""], ["1", "--events", "x"], ["1", "--events", "1,,2"], ["1", "--events", "0"],
              ["1", "--by", "mode", "--undo"], ["1", "2"]],
    "why": [[], ["1"], ["1", "x"], ["1", "2", "3"]],
    "builds": [["word"], ["--version", "1"], ["--time", "2026-11-20T22:00:00Z"], ["--add", ""],
               ["--add", "c", "--time", "x"], ["--add", "c", "--version", ""], ["--add", "a\nb"], ["--add", LONG]],
    "gate": [["word"], ["--new-in", ""], ["--env", ""], ["--what"]],
    "processes": [["x"], ["1", "2"], ["--limit", "x"], ["--snapshot", "1"], ["1", "--against", "x"],
                  ["--against", "1"]],
    "coverage": [["x"], ["1", "2"], ["1", "--watched", "maybe"], ["--limit", "x"], ["--watched", "no"]],
    "watch": [["word"], ["--what"]],
    "status": [["word"], ["--what"]],
    "symbols": [["what"], ["upload"], ["missing", "word"], ["list", "word"], ["upload", "--to", "ftp://h", "f"],
                ["upload", "--to", "", "f"], ["missing", "--to", "http://h"], ["--what"]],
    "forward": [[], ["--to", ""], ["--to", "ftp://h"], ["--what"], ["--to", "http://127.0.0.1:1"] + ["d"] * 17],
    "export": [[], ["--as", "x"], ["--as", "sentry", "word"], ["--as", "sentry", "--to", "x"],
               ["--as", "otlp", "--to", "ftp://h"], ["--as", "json", "--build", ""], ["--as", "json", "--state", "x"],
               ["--as", "json", "--to", "http://h"]],
    "steer": [["what"], ["list", "word"], ["set"], ["set", "--because", "t"], ["set", "--options", "watch=1"],
              ["set", "--options", "watch=1", "--because", " "], ["set", "--options", "what=1", "--because", "t"],
              ["set", "--options", "watch", "--because", "t"], ["set", "--options", "", "--because", "t"],
              ["set", "--options", "log_path=/x", "--because", "t"],
              ["set", "--options", "watch=1", "--because", LONG],
              ["set", "--options", "watch=1", "--because", "t", "--program", LONG],
              ["set", "--options", "watch=1", "--because", "t", "--build", "abc"],
              ["sweep"], ["snapshot"], ["sweep", "--options", "watch=1", "--because", "t"],
              ["snapshot", "--options", "watch=1", "--because", "t"], ["list", "--options", "watch=1"],
              ["unset", "1", "--options", "watch=1", "--because", "t"], ["unset"],
              ["unset", "x", "--because", "t"], ["unset", "0", "--because", "t"], ["unset", "1"],
              ["unset", "1", "--because", ""]],
    "nonsense": [[]],
}

# Right words about what is not there.
ABSENT = [["show", "9"], ["fix", "9"], ["ignore", "9", "--because", "t"], ["reopen", "9"], ["merge", "9", "1"],
          ["merge", "1", "9"], ["split", "9", "--by", "mode"], ["split", "1"], ["split", "1", "--undo"],
          ["split", "1", "--events", "77"], ["why", "1", "9"], ["processes", "9"], ["coverage", "9"],
          ["steer", "unset", "9", "--because", "t"], ["symbols", "upload", "/nowhere"], ["show", "1", "--event", "77"]]


def run(directory, words):
    """Exit status, standard output and standard error."""
    done = subprocess.run([service.SERVE, *words[:1], *(["--dir", directory] if words[0] not in ("forward", "nonsense")
                                                        else []), *words[1:]],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          timeout=60, env=dict(os.environ, RINGFENCE_COLLECTOR=directory))
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def all_wrong_lines(directory):
    faults = []
    for name, lines in WRONG.items():
        for words in lines:
            status, said, why = run(directory, [name, *words])
            if (status, said) != (2, "") or not why.startswith("ringfence: "):
                faults.append((name, [w[:40] for w in words], status, said[:60], why[:160]))
    check(not faults, "\n".join(map(str, faults)))


def a_wrong_command_line_exits_with_2():
    with Service(start=False) as s:
        append(s.directory, event("a", "1"))
        s.once()
        before = s.findings()
        all_wrong_lines(s.directory)
        equal(s.findings(), before)
        equal(s.ask("steer")["rules"], [])


def without_a_folder_of_findings_too():
    all_wrong_lines("/nowhere/at/all")


def it_says_which_version_it_is_and_how_a_command_is_used():
    def said(*words):
        done = subprocess.run([service.SERVE, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, timeout=60)
        return done.returncode, done.stdout.decode()

    status, version = said("--version")
    check(status == 0 and re.fullmatch(r"ringfence-serve \d+\.\d+\.\d+\S*\n", version), status, version)
    equal([said("version"), said("-V")], [(0, version)] * 2)
    for name in WRONG:
        if name != "nonsense":
            usage = said("help", name)
            check(usage[1].startswith("Usage: ringfence " + name), usage)
            equal(usage, said(name, "--help"))
    equal(said("help", "nonsense"), (2, "ringfence: unknown command nonsense; try `ringfence-serve help`\n"))
    equal(said("help", "finding")[1], "ringfence: unknown command finding; did you mean findings?\n")


def what_is_not_there_exits_with_1():
    with Service(start=False) as s:
        append(s.directory, event("a", "1"))
        s.once()
        for words in ABSENT:
            status, said, why = run(s.directory, words)
            equal((status, said, why.startswith("ringfence: ")), (1, "", True), words, why)


def a_default_folder_that_others_can_read_is_not_used():
    with Service(start=False) as s:
        state, home = os.path.join(s.root, "state"), os.path.join(s.root, "home")
        folders = [os.path.join(state, "ringfence"), os.path.join(home, ".local/state/ringfence")]
        for folder, place in zip(folders, ("state", "home")):
            os.makedirs(folder, 0o700)
            append(folder, event(place, "1"))
            subprocess.run([service.SERVE, "serve", "--once", "--no-shared", "--dir", folder], check=True)
        environment = {name: value for name, value in os.environ.items() if name != "RINGFENCE_COLLECTOR"}
        environment.update(XDG_STATE_HOME=state, HOME=home)
        for mode, place in ((0o700, b"open_state"), (0o710, b"open_home"), (0o704, b"open_home")):
            os.chmod(folders[0], mode)
            said = subprocess.run([service.SERVE, "findings"], env=environment, stdout=subprocess.PIPE,
                                  check=False).stdout
            check(place in said, oct(mode), said)


def the_environment_names_the_folder_as_it_does_for_checked_processes():
    with Service(start=False) as s:
        os.makedirs(os.path.join(s.root, "state/ringfence"), 0o700)
        append(s.directory, event("named", "1"))
        s.once()

        def findings(collector):
            done = subprocess.run([service.SERVE, "findings"], cwd=os.path.dirname(s.directory), check=False,
                                  env=dict(os.environ, RINGFENCE_COLLECTOR=collector,
                                           XDG_STATE_HOME=os.path.join(s.root, "state")),
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            return done.stdout.decode(), done.stderr.decode()

        for collector in (s.directory, os.path.basename(s.directory), "./" + os.path.basename(s.directory)):
            check("open_named" in findings(collector)[0], collector)
        for collector in ("", "auto", "none"):
            check(os.path.join(s.root, "state/ringfence") in findings(collector)[1], collector, findings(collector))
        equal(findings("https://host:7117"),
              ("", "ringfence: RINGFENCE_COLLECTOR takes a folder, not the address https://host:7117: "
                   "`ringfence forward --to https://host:7117` sends on what lies in folders\n"))


def all_commands_are_in_the_table():
    done = subprocess.run([service.SERVE, "help"], stdout=subprocess.PIPE, check=True)
    names = [line.split()[0] for line in done.stdout.decode().splitlines() if line.startswith("  ")]
    equal(set(names), set(WRONG) - {"nonsense"})


service.main([a_wrong_command_line_exits_with_2, without_a_folder_of_findings_too,
              it_says_which_version_it_is_and_how_a_command_is_used, what_is_not_there_exits_with_1,
              a_default_folder_that_others_can_read_is_not_used,
              the_environment_names_the_folder_as_it_does_for_checked_processes, all_commands_are_in_the_table])
