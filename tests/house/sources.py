"""The C sources and headers of lib/, checkers/ and tools/, as the tests of this folder read them."""

import os
import re
import sys

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
# The head of a function goes on in lines with a margin alone: a macro that defines functions begins at the left, too.
FUNCTION = re.compile(
    r"^(?!typedef|struct|union|enum|extern|#)([A-Za-z_][\w \t*,()]*?)\b(\w+)\(((?:[^;{}\n]|\n[ \t])*)\)"
    r"(?:[^;{}=\n]|\n[ \t])*\{[ \t]*$",
    re.M,
)
PUBLIC = ("lib/include/", "checkers/include/")


class Source:
    """One file: its path in the repository and its text, with comments and literals blanked in `code`."""

    def __init__(self, path):
        self.path = path
        with open(path, encoding="utf-8") as file:
            self.text = file.read()
        self.code = COMMENT_OR_STRING.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), self.text)
        self.includes = INCLUDE.findall(self.text)

    def functions(self):
        """(name, is static, lines) of each function with a body that starts and ends at the left margin."""
        for match in FUNCTION.finditer(self.code):
            end = self.code.find("\n}", match.end())
            if end >= 0:
                lines = self.code.count("\n", match.start(), end) + 2
                yield match.group(2), "static" in match.group(1).split(), lines


def read(arguments):
    """The sources named, by path."""
    sources = {path: Source(path) for path in arguments if path.endswith((".c", ".h", ".inc"))}
    if len(sources) < 100:
        sys.exit(f"only {len(sources)} sources were given")
    return sources


def resolve(source, delimiter, name, sources):
    """The file of ours that an #include means, or None."""
    beside = os.path.normpath(os.path.join(os.path.dirname(source.path), name))
    candidates = ([] if delimiter == "<" else [beside, name]) + [root + name for root in PUBLIC]
    return next((path for path in candidates if path in sources), None)
