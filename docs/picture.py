#!/usr/bin/env python3
"""Pictures for the pages, as SVG on standard output, out of text: the same text, the same picture.

    picture.py terminal COMMAND                what a terminal shows of COMMAND, in its colours
    picture.py page SIZE FILE                  an HTML page, such as a report; SIZE as in 1100x700
    picture.py served SIZE DIR PATH [CLASS]    a page of `ringfence serve --dir DIR`, up to the first element of CLASS

A page stays HTML in the picture (foreignObject), so that browsers lay it out and no program need draw it here. What is
no browser shows one line instead.
"""

import os
import pty
import re
import subprocess
import sys
import urllib.request
import xml.etree.ElementTree
from html import escape
from html.parser import HTMLParser

def svg(width, height):
    return '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">' % (width, height,
                                                                                                    width, height)


# ---- A terminal ----

# Advance and height of a character of 14 pixels; the places of words are told, so that no font shifts them.
ADVANCE, LINE, MARGIN = 8.4, 19, 16
COLOURS = {"1": "b", "31": "r", "32": "g", "34": "u"}
TERMINAL_STYLE = """\
text { font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #d6dbe1; white-space: pre; }
rect { fill: #14181d; }
.b { font-weight: 700; fill: #ffffff; }
.r { fill: #ff7b72; }
.g { fill: #7ee787; }
.u { fill: #79b8ff; }
.prompt { fill: #8b949e; }"""


def shown(command):
    """What COMMAND writes to a terminal, lines with their colours."""
    screen, terminal_end = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with subprocess.Popen(["sh", "-c", command], stdin=subprocess.DEVNULL, stdout=terminal_end, stderr=terminal_end,
                          env=dict(environment, TERM="xterm-256color")):
        os.close(terminal_end)
        text = b""
        try:
            while piece := os.read(screen, 65536):
                text += piece
        except OSError:  # so Linux tells that the last writer is gone
            pass
    os.close(screen)
    return text.decode().replace("\r", "").rstrip("\n").split("\n")


def spans(line):
    """Pieces of a line: the place of the first letter, classes, text."""
    at, classes = 0, []
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        if not piece.startswith("\x1b"):
            if piece:
                yield at, " ".join(classes), piece
            at += len(piece)
            continue
        for code in piece[2:-1].split(";"):
            classes = [] if code in ("", "0") else classes + [COLOURS[code]]


def terminal(command):
    rows = [[(0, "prompt", "$ "), (2, "b", command)]] + [list(spans(line)) for line in shown(command)]
    # Tens of columns: a figure with one digit more changes its line alone.
    columns = 10 * -(-max(at + len(text) for row in rows for at, _, text in row) // 10)
    width, height = round(2 * MARGIN + columns * ADVANCE), 2 * MARGIN + len(rows) * LINE
    out = [svg(width, height), "<style>", TERMINAL_STYLE, "</style>", '<rect width="100%" height="100%" rx="8"/>']
    for number, row in enumerate(rows):
        for at, classes, text in row:
            if text.strip():
                kind = ' class="%s"' % classes if classes else ""
                place = 'x="%.1f" y="%d" textLength="%.1f"' % (MARGIN + at * ADVANCE, MARGIN + number * LINE + 14,
                                                               len(text) * ADVANCE)
                out.append('<text%s %s lengthAdjust="spacingAndGlyphs" xml:space="preserve">%s</text>' %
                           (kind, place, escape(text, quote=False)))
    return "\n".join(out + ["</svg>"])


# ---- Pages ----

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
# The parser makes all names small; SVG has capitals in these.
NAMES = {"viewbox": "viewBox", "preserveaspectratio": "preserveAspectRatio"}


NO_BROWSER = '<text x="24" y="48" font-size="20">A page of HTML, which a browser shows.</text>'
# Style of a picture, which ends where the window would.
PAGE_STYLE = "body { height: 100%; overflow: hidden; border: 1px solid var(--line); border-radius: 8px; }"


class Page(HTMLParser):
    """The body of a page as XML, and its styles. Scripts do not run in pictures, and addresses lead nowhere."""

    def __init__(self, fetch, until):
        super().__init__(convert_charrefs=True)
        self.fetch = fetch
        self.until = until
        self.within = []  # the elements that are open
        self.ended = False
        self.styles = []
        self.body = []
        self.where = None  # "style" or "script", in which text is no text of the page

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.where = tag if tag in ("style", "script", "title") else self.where
        if tag == "link" and attributes.get("rel") == "stylesheet":
            self.styles.append(self.fetch(attributes["href"]))
        self.ended = self.ended or attributes.get("class", "") == self.until
        if self.ended or tag in ("html", "head", "body", "link", "meta", "title", "script", "style"):
            return
        if tag == "img":
            self.body.append(re.sub(r"^<\?.*?\?>", "", self.fetch(attributes["src"])).replace(
                "<svg ", '<svg width="%(width)s" height="%(height)s" ' % attributes, 1).strip())
            return
        words = ['%s="%s"' % (NAMES.get(name, name), escape(value if value is not None else name))
                 for name, value in attrs if name not in ("href", "title", "tabindex")]
        words += ['xmlns="http://www.w3.org/2000/svg"'] if tag == "svg" and "xmlns" not in attributes else []
        self.body.append("<%s%s>" % (" ".join([tag] + words), "/" if tag in VOID else ""))
        self.within += [tag] if tag not in VOID else []

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag == self.where:
            self.where = None
        elif not self.ended and tag not in VOID and tag not in ("html", "head", "body"):
            self.within.pop()
            self.body.append("</%s>" % tag)

    def close(self):
        super().close()
        self.body += ["</%s>" % tag for tag in reversed(self.within)]

    def handle_data(self, data):
        if self.where == "style":
            self.styles.append(data)
        elif self.where is None and not self.ended:
            self.body.append(escape(data, quote=False))


def wide(style):
    """Without the rules for narrow windows and paper: a picture that is shown small is not a narrow window."""
    return re.sub(r"@media [^{]*(width|print|motion)[^{]*\{(?:[^{}]*\{[^{}]*\})*\s*\}\n?", "", style)


def page(size, text, fetch, until=None):
    width, height = map(int, size.split("x"))
    parser = Page(fetch, until)
    parser.feed(text)
    parser.close()
    style = wide("\n".join(parser.styles)).strip()
    return "\n".join([
        svg(width, height), "<style>", escape(style, quote=False), PAGE_STYLE, "</style>",
        '<switch><foreignObject width="%d" height="%d">' % (width, height),
        '<body xmlns="http://www.w3.org/1999/xhtml">' + "".join(parser.body).strip() + "</body>",
        "</foreignObject>", NO_BROWSER, "</switch></svg>"])


def get(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read().decode()


def served(size, folder, path, until=None):
    with subprocess.Popen(["ringfence", "serve", "--dir", folder, "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE,
                          text=True) as service:
        try:
            url = re.search(r"http://127\.0\.0\.1:\d+", service.stderr.readline())[0]
            return page(size, get(url + path), lambda more: get(url + more), until)
        finally:
            service.terminate()


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


MAKERS = {"terminal": terminal, "page": lambda size, path: page(size, read(path), read), "served": served}

if __name__ == "__main__":
    picture = MAKERS[sys.argv[1]](*sys.argv[2:])
    xml.etree.ElementTree.fromstring(picture)  # fails where it is no XML
    print(picture)
