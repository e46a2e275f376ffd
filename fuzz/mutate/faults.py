"""Makes small faults of C text: each is one edit, by one operator.

Works on tokens, not on types: an edit that does not compile is thrown away by the caller. Preprocessor lines are left
alone but for the numbers in #define; so are comments, strings and tables outside of functions.
"""

import collections
import re

TOKEN = re.compile(
    r"""(?P<space>\s+|\\\n|//[^\n]*|/\*.*?\*/)
      | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
      | (?P<number>\.?\d(?:[\w.]|[eEpP][+-])*)
      | (?P<word>[A-Za-z_]\w*)
      | (?P<sign><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)""",
    re.X | re.S,
)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.M)
DEFINE = re.compile(r"[ \t]*#[ \t]*define[ \t]+\w+(?:\([^)]*\))?(?=\s)")
INTEGER = re.compile(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)$")

BOUNDARY = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
REVERSED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "==", "&&": "||", "||": "&&"}
ARITHMETIC = {"+": "-", "-": "+", "*": "+", "/": "*", "%": "/", "<<": ">>", ">>": "<<", "&": "|", "|": "&", "^": "|"}
ARITHMETIC.update({"+=": "-=", "-=": "+=", "|=": "&=", "&=": "|=", "^=": "|=", "++": "--", "--": "++"})
ARITHMETIC.update({"~": "", "!": ""})
ORDERS = {name: "__ATOMIC_RELAXED" for name in ("__ATOMIC_ACQUIRE", "__ATOMIC_RELEASE", "__ATOMIC_ACQ_REL")}
ORDERS["__ATOMIC_SEQ_CST"] = "__ATOMIC_RELAXED"
ORDERS.update({"memory_order_" + n: "memory_order_relaxed" for n in ("acquire", "release", "acq_rel", "seq_cst")})
LOCKING = re.compile(r"(^|_)(lock|unlock|enter|leave|acquire|release|mutex|wait|wake|signal|broadcast)(_|$|s$)")
ATOMIC = re.compile(r"__atomic_|__sync_|^atomic_|fence|barrier")
NOT_CALLS = {"if", "while", "for", "switch", "return", "sizeof", "_Alignof", "__attribute__", "_Static_assert"}
# Steer the compiler, and do nothing.
HINTS = {"RF_FORGET", "RF_FORGET_MEMORY"}
CLOSING = {"(": ")", "{": "}", "[": "]"}
NEVER, ALWAYS = "0 && ", "1 || "

Token = collections.namedtuple("Token", "kind text start end")


class Mutant(collections.namedtuple("Mutant", "file operator function line column start end text")):
    """One edit: file[start:end] becomes `text`."""

    def apply(self, source):
        return source[: self.start] + self.text + source[self.end :]

    def lines(self, source):
        """The lines that it changes, before and after, without indentation."""
        first = source.rfind("\n", 0, self.start) + 1
        last = source.find("\n", self.end)
        last = len(source) if last < 0 else last
        old, new = source[first:last], source[first : self.start] + self.text + source[self.end : last]
        return [[" ".join(line.split()) for line in part.split("\n") if line.strip()] for part in (old, new)]


def tokens_of(source):
    """Tokens of the text; what the preprocessor reads counts as space. Offsets are those of the text."""
    blank = DIRECTIVE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), source)
    found = (Token(m.lastgroup, m.group(), m.start(), m.end()) for m in TOKEN.finditer(blank))
    return [token for token in found if token.kind != "space"]


def matching(tokens):
    """The index of the other bracket, by the index of each."""
    pairs, open_ = {}, []
    for i, token in enumerate(tokens):
        if token.text in CLOSING:
            open_.append(i)
        elif open_ and token.text == CLOSING[tokens[open_[-1]].text]:
            pairs[open_[-1]] = i
            pairs[i] = open_.pop()
    return pairs


class Function:
    def __init__(self, name, result, first, last):
        self.name = name
        self.result = result  # its type and what stands before it
        self.first = first  # index of the first token of the body
        self.last = last  # index of its closing brace


def functions_of(tokens, pairs):
    found, i, head = [], 0, 0
    while i < len(tokens):
        text = tokens[i].text
        if text == "{" and i in pairs:
            name = name_before(tokens, pairs, head, i)
            if name is not None:
                result = " ".join(token.text for token in tokens[head:name])
                found.append(Function(tokens[name].text, result, i + 1, pairs[i]))
            elif i > head and tokens[i - 1].kind == "string":  # extern "C" {
                head = i = i + 1
                continue
            i = pairs[i]
            head = i + 1
        elif text in (";", "}"):
            head = i + 1
        i += 1
    return found


def name_before(tokens, pairs, head, brace):
    """The index of the function's name, if the brace begins its body."""
    words = [t.text for t in tokens[head:brace]]
    if not words or words[-1] != ")" or "=" in words or words[0] in ("enum", "struct", "union", "typedef"):
        return None
    for i in range(head, brace - 1):
        macro = tokens[i].text in ("__attribute__", "_Alignas") or tokens[i].text.isupper()
        if tokens[i].kind == "word" and tokens[i + 1].text == "(" and not macro:
            return i
    return None


class Maker:
    def __init__(self, path, source):
        self.path = path
        self.source = source
        self.tokens = tokens_of(source)
        self.pairs = matching(self.tokens)
        self.mutants = []
        self.function = None

    def make(self):
        self._defines()
        for self.function in functions_of(self.tokens, self.pairs):
            for i in range(self.function.first, self.function.last):
                self._at(i)
            self._early()
        return sorted(set(self.mutants), key=lambda m: (m.start, m.operator, m.text))

    def _add(self, operator, start, end, text):
        line = self.source.count("\n", 0, start) + 1
        column = start - self.source.rfind("\n", 0, start)
        name = self.function.name if self.function else ""
        self.mutants.append(Mutant(self.path, operator, name, line, column, start, end, text))

    def _replace(self, operator, token, text):
        self._add(operator, token.start, token.end, text)

    def _defines(self):
        for directive in DIRECTIVE.finditer(self.source):
            head = DEFINE.match(directive.group())
            if not head:
                continue
            for m in TOKEN.finditer(directive.group(), head.end()):
                if m.lastgroup == "number":
                    start = directive.start()
                    self._constant(Token("number", m.group(), start + m.start(), start + m.end()))

    def _at(self, i):
        token = self.tokens[i]
        if token.kind == "number":
            self._constant(token)
        elif token.text in ORDERS:
            self._replace("order", token, ORDERS[token.text])
        elif token.text in ("true", "false"):
            self._replace("constant", token, "false" if token.text == "true" else "true")
        elif token.text in ("if", "while") and self.tokens[i + 1].text == "(":
            self._condition(i)
        elif token.text == "return":
            self._return(i)
        elif token.kind == "word" and self.tokens[i + 1].text == "(" and token.text not in NOT_CALLS:
            self._swap(i)
        elif token.kind == "sign":
            self._sign(i)
        if self._begins_statement(i):
            self._drop(i)

    def _constant(self, token):
        number = INTEGER.match(token.text)
        if not number:
            return
        value, suffix = int(number.group(1), 0 if "x" in token.text.lower() else 10), number.group(2)
        form = "{:#x}" if "x" in token.text.lower() else "{}"
        for other in (value + 1, value - 1):
            if other >= 0:
                self._replace("constant", token, form.format(other) + suffix)

    def _sign(self, i):
        token, before = self.tokens[i], self.tokens[i - 1]
        is_binary = before.kind in ("word", "number") and before.text != "return" or before.text in (")", "]")
        if token.text in BOUNDARY:
            self._replace("boundary", token, BOUNDARY[token.text])
        if token.text in REVERSED:
            self._replace("condition", token, REVERSED[token.text])
        # Not the star of a declaration or a cast.
        is_type = token.text == "*" and self.tokens[i + 1].text in ("const", ")", "*", ",")
        if token.text in ARITHMETIC and not is_type and (is_binary or token.text not in ("*", "&", "-", "+")):
            self._replace("arithmetic", token, ARITHMETIC[token.text])

    def _condition(self, i):
        first, last = self.tokens[i + 1], self.tokens[self.pairs[i + 1]]
        inner = self.source[first.end : last.start]
        after = self.tokens[self.pairs[i + 1] + 1 : self.pairs[i + 1] + 3]
        guards = [t.text for t in after if t.text != "{"][:1]
        self._add("negate", first.end, last.start, f"!({inner})")
        if self.tokens[i].text == "if":
            leaves = guards and guards[0] in ("return", "break", "continue", "goto")
            self._add("unchecked" if leaves else "branch", first.end, last.start, f"{NEVER}({inner})")
            self._add("branch", first.end, last.start, f"{ALWAYS}({inner})")

    def _return(self, i):
        end = self._statement_end(i)
        if end is None or end == i + 1:
            return
        start, stop = self.tokens[i + 1].start, self.tokens[end].start
        value = self.source[start:stop].strip()
        words = self.function.result.split()
        if "bool" in words and value not in ("true", "false"):
            self._add("return", start, stop, f"!({value})")
        elif "rf_status" in words and "*" not in words:
            self._add("return", start, stop, "RF_ERR_INVALID" if value == "RF_OK" else "RF_OK")
        elif value not in ("0", "NULL", "true", "false") and "void" not in words[-1:]:
            self._add("return", start, stop, "NULL" if "*" in words else "0")

    def _early(self):
        function = self.function
        words = function.result.split()
        value = "NULL" if "*" in words else "" if "void" in words else "false" if "bool" in words else "0"
        value = "RF_OK" if "rf_status" in words and "*" not in words else value
        if function.first < function.last:
            start = self.tokens[function.first].start
            self._add("early", start, start, f"return {value};\n  ".replace(" ;", ";"))

    def _swap(self, i):
        arguments, start, j = [], i + 2, i + 2
        last = self.pairs.get(i + 1)
        while last is not None and j <= last:
            if self.tokens[j].text in CLOSING and j in self.pairs:
                j = self.pairs[j]
            elif self.tokens[j].text == "," or j == last:
                if j > start:
                    arguments.append((self.tokens[start].start, self.tokens[j - 1].end))
                start = j + 1
            j += 1
        for (a, b), (c, d) in zip(arguments, arguments[1:]):
            one, other = self.source[a:b], self.source[c:d]
            if one != other:
                self._add("swap", a, d, other + self.source[b:c] + one)

    def _statement_end(self, i):
        """The index of the semicolon that ends what begins at i; None where a brace comes first."""
        while i < self.function.last:
            text = self.tokens[i].text
            if text == ";":
                return i
            if text in ("{", "}"):
                return None
            i = self.pairs.get(i, i) + 1 if text in ("(", "[") else i + 1
        return None

    def _begins_statement(self, i):
        before, token = self.tokens[i - 1], self.tokens[i]
        if token.kind not in ("word",) and token.text not in ("*", "(", "++", "--"):
            return False
        if before.text in (";", "{", "}", "else", "do") or (before.text == ":" and self.tokens[i - 2].kind == "word"):
            return not self._in_parentheses(i)
        if before.text == ")" and i - 1 in self.pairs:
            return self.tokens[self.pairs[i - 1] - 1].text in ("if", "for", "while")
        return False

    def _in_parentheses(self, i):
        """In the head of a for, or in a table."""
        depth = 0
        for j in range(i - 1, self.function.first - 1, -1):
            text = self.tokens[j].text
            depth += (text in (")", "}", "]")) - (text in CLOSING)
            if depth < 0:
                return text != "{" or self.tokens[j - 1].text in ("=", ")") and self._is_table(j)
        return False

    def _is_table(self, brace):
        return self.tokens[brace - 1].text == "=" or self.tokens[self.pairs[brace - 1] - 1].text in ("=", "return", "(")

    def _drop(self, i):
        end = self._statement_end(i)
        first = self.tokens[i].text
        if end is None or first in ("return", "if", "for", "while", "switch", "case", "default", "goto", "else", "do"):
            return
        words = [token.text for token in self.tokens[i:end]]
        called = [word for word, after in zip(words, words[1:]) if after == "(" and not word.endswith("_of")]
        # (void)name; says that it is not used.
        if self._is_declaration(i, end) or first in HINTS or words[:3] == ["(", "void", ")"] and len(words) == 4:
            return
        if any(ATOMIC.search(word) for word in called):
            operator = "atomic"
        else:
            operator = "lock" if any(LOCKING.search(word) for word in called) else "statement"
        self._add(operator, self.tokens[i].start, self.tokens[end].end, ";")

    def _is_declaration(self, i, end):
        first, second = self.tokens[i], self.tokens[i + 1]
        if first.text == "(" and second.text == "void":
            return False
        if first.kind == "word" and second.kind == "word":
            return True
        return first.kind == "word" and second.text == "*" and end > i + 2 and self.tokens[i + 2].kind == "word"


def make(path, source):
    """All mutants of one file, by place."""
    return Maker(path, source).make()
