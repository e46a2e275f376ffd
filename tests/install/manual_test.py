#!/usr/bin/env python3
"""Manuals and completions of a command whose help has each form of an option: a text, which people read when it
changes. Those of the real command are tried in its shells (install_test.sh).

    manual_test.py manual.py manual_help.sh manual.txt
    tests/install/manual_test.py tools/install/manual.py tests/install/manual_help.sh tests/install/manual.txt --update
"""

import difflib
import os
import subprocess
import sys
import tempfile

TOOL, COMMAND, EXPECTED = (os.path.abspath(path) for path in sys.argv[1:4])


def made(*words):
    """All files that it writes, in one text."""
    with tempfile.TemporaryDirectory() as share:
        subprocess.run([sys.executable, TOOL, *words, share], check=True)
        paths = sorted(os.path.join(top, name) for top, _, names in os.walk(share) for name in names)
        text = ""
        for path in paths:
            with open(path, encoding="utf-8") as file:
                text += f"=== {os.path.relpath(path, share)}\n{file.read()}"
        return text


def main():
    text = made(COMMAND) + "=== The service\n" + made("--service", COMMAND, "9.8.7")
    if "--update" in sys.argv:
        with open(EXPECTED, "w", encoding="utf-8") as file:
            file.write(text)
    with open(EXPECTED, encoding="utf-8") as file:
        expected = file.read()
    sys.stdout.writelines(difflib.unified_diff(expected.splitlines(True), text.splitlines(True), "expected", "made"))
    with tempfile.TemporaryDirectory() as folder:  # a value that an option does not have any more
        other = os.path.join(folder, "other")
        with open(COMMAND, encoding="utf-8") as file:
            changed = file.read().replace("junit, html", "html")
        with open(other, "w", encoding="utf-8") as file:
            file.write(changed)
        os.chmod(other, 0o755)
        done = subprocess.run([sys.executable, TOOL, other, folder + "/share"], stderr=subprocess.PIPE, check=False,
                              text=True)
    told = done.returncode == 1 and done.stderr == "manual.py: --format does not name junit any more\n"
    if not told:
        print("a value that is no more: ", done)
    return 0 if text == expected and told else 1


sys.exit(main())
