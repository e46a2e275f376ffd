"""Shared by the tests of the service: a collector in a folder of its own, records, spool writers, HTTP."""

import ctypes
import datetime
import fcntl
import html.parser
import http.client
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback

AT_ONCE = 8  # cases of a test
PATIENCE = 100  # seconds for a thing that comes at once where the machine has nothing else to do

SERVE = os.environ.get("RINGFENCE_SERVE") or os.path.abspath(sys.argv[1])


def with_sanitizer():
    """The programs are built with AddressSanitizer or ThreadSanitizer: they take more memory, and check no others."""
    with open(SERVE, "rb") as file:
        program = file.read()
    return b"__asan_init" in program or b"__tsan_init" in program


def slowness():
    """How many times as long as its processor time this process needs now: 1 on a machine that does nothing else."""
    begin, busy = time.monotonic(), time.process_time()
    while time.process_time() < busy + 0.05:
        pass
    return (time.monotonic() - begin) / (time.process_time() - busy)


def processor_seconds(process):
    """What its threads have used: on a busy machine as much as on another, which the time on the wall is not."""
    return time.clock_gettime(~process.pid << 3 | 2)  # as clock_getcpuclockid() makes it


def seconds_of(act):
    begin = time.monotonic()
    act()
    return time.monotonic() - begin


def timestamp_at(seconds):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def timestamp(ago=0.0):
    return timestamp_at(time.time() - ago)


def frame(function, line, file="src/app.c"):
    return {"pc": hex(0x401000 + line), "module": "/srv/app", "build_id": "00", "offset": hex(0x1000 + line),
            "function": function, "file": file, "line": line}


def finding(place, bug="heap-buffer-overflow", value=0x00, expected=0xFD, mode="guard", pad=0, **more):
    """The JSON of a finding whose identity is `place`; `pad` makes it longer."""
    body = {
        "type": "finding", "version": 1, "pid": 1, "sequence": 1, "time_ns": 1, "bug": bug, "cwe": 122,
        "access": "write",
        "access_size": 1, "at_access": False, "address": "0x105d", "block": "0x1050", "size": 13, "blocks": 1,
        "freed": False, "offset": 13, "relation": "after", "distance": 0, "allocator": "malloc", "mode": mode,
        "found": {"thread": 1, "frames": [frame("close_" + place, 20), frame("main", 30)]},
        "allocated": {"thread": 1, "frames": [frame("open_" + place, 10), frame("main", 30)]},
        "window": {"address": "0x1058", "bytes": "696a6b6c6d%02xfdfd" % value,
                   "expected": "696a6b6c6d%02xfdfd" % expected,
                   "classes": "uuuuu!gg"},
    }
    if pad:
        body["detail"] = "x" * pad
    body.update(more)
    return body


def record(kind, id, ago=0.0, **more):
    line = {"record": kind, "version": 1, "id": id, "time": timestamp(ago), "host": "host-1", "program": "/srv/app",
            "pid": 7,
            "mode": "guard", "environment": "development",
            "build": {"version": "1.0", "commit": "1" * 40, "build_id": "ab"},
            "labels": {}}
    if kind == "finding":
        line.update(count=1, dropped=0)
    line.update(more)
    return line


def event(place, id, **more):
    """A record with a finding; fields of the finding go by `f_NAME`."""
    inner = {name[2:]: value for name, value in more.items() if name.startswith("f_")}
    outer = {name: value for name, value in more.items() if not name.startswith("f_")}
    return record("finding", id, finding=finding(place, **inner), **outer)


def line_of(value):
    return value if isinstance(value, bytes) else (json.dumps(value, separators=(",", ":")) + "\n").encode()


def append(directory, *lines):
    """Writes each line as a checked process does: open, shared lock, look, one write, close."""
    spool = os.path.join(directory, "spool")
    os.makedirs(spool, mode=0o700, exist_ok=True)
    current = os.path.join(spool, "current")
    for line in lines:
        data = line_of(line)
        while True:
            fd = os.open(current, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                if os.stat(current).st_ino == os.fstat(fd).st_ino:
                    os.write(fd, data)
                    break
            except (BlockingIOError, FileNotFoundError):
                pass
            finally:
                os.close(fd)


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.text = response.read().decode("utf-8", "replace")

    def json(self):
        return json.loads(self.text)


def forget_segment(directory):
    """Removes the shared memory that a killed collector leaves for processes that it steers."""
    path = os.path.join(directory, "policy")
    if os.path.isfile(path) and os.path.getsize(path) > 36:
        with open(path, "rb") as file:
            live = int.from_bytes(file.read(36)[32:], sys.byteorder, signed=True)
        ctypes.CDLL(None).shmctl(live, 0, None)


class Service:
    """A collector. `with Service() as s`: runs; the folder goes at the end. `environment`: of the server, beside the
    test's own."""

    def __init__(self, *options, start=True, directory=None, environment=None):
        self.root = tempfile.mkdtemp(prefix="service", dir=os.environ.get("TEST_TMPDIR"))
        self.directory = directory or os.path.join(self.root, "d")
        if not os.path.isdir(self.directory):
            os.mkdir(self.directory, 0o700)
        self.options = list(options)
        self.environment = environment or {}
        self.before = None  # called in the process of the server before it begins
        self.process = None
        if start:
            self.start()

    def start(self):
        log = open(os.path.join(self.root, "log"), "ab")
        self.process = subprocess.Popen(
            [SERVE, "serve", "--no-shared", "--dir", self.directory, "--listen", "127.0.0.1:0", *self.options],
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=dict(os.environ, **self.environment),
            preexec_fn=self.before)
        log.close()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = re.findall(r"page at http://(?:\[[^]]+\]|[^:]+):(\d+)", self.log())
            if len(found) > getattr(self, "starts", 0):
                self.starts = len(found)
                self.port = int(found[-1])
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError("serve did not start: " + self.log())

    def log(self):
        with open(os.path.join(self.root, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self, sig=signal.SIGTERM):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(sig)
            self.process.wait(PATIENCE)
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self.stop(signal.SIGKILL)
        forget_segment(self.directory)
        shutil.rmtree(self.root, ignore_errors=True)

    def command(self, *words, status=0, alone=True):
        """Runs a command of ringfence-serve on this folder; returns its output."""
        options = ["--no-shared"] if alone and words[0] == "serve" else []
        done = subprocess.run([SERVE, words[0], *options, "--dir", self.directory, *words[1:]], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)
        if status is not None and done.returncode != status:
            raise AssertionError(f"{words}: exit status {done.returncode}, not {status}: {done.stdout} {done.stderr}")
        return done.stdout.decode() + done.stderr.decode()

    def ask(self, *words):
        return json.loads(self.command(*words, "--json"))

    def once(self):
        """Takes the spool in without a server."""
        self.command("serve", "--once")

    def findings(self, *words):
        return self.ask("findings", *words)["findings"]

    def token(self):
        with open(os.path.join(self.directory, "token"), encoding="utf-8") as file:
            return file.read().strip()

    def cookie(self, token=None):
        """That of a browser that signs in with the token."""
        reply = self.http("POST", "/sign-in", body="token=" + (token or self.token()),
                          Origin=f"http://127.0.0.1:{self.port}")
        equal(reply.status, 303)
        return reply.headers["set-cookie"].split(";")[0]

    def http(self, method, path, body=None, host=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", host if host is not None else f"127.0.0.1:{self.port}")
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        data = body.encode() if isinstance(body, str) else body
        if data is not None:
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        reply = Reply(connection.getresponse())
        connection.close()
        return reply

    def wait(self, condition, seconds=PATIENCE):
        """Waits until condition() is true; returns what it gave."""
        deadline = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError("waited in vain; log: " + self.log())
            time.sleep(0.02)


def with_finding(*options):
    s = Service(*options)
    append(s.directory, event("a", "1"))
    s.wait(lambda: s.findings() != [])
    return s


def build(commit, version=""):
    """The build of the commit with 40 times this letter."""
    return {"version": version, "commit": commit * 40, "build_id": ""}


def state(s, id=1):
    return s.ask("show", str(id))["state"]


def take(s, *lines):
    """Has a collector that does not run take these records."""
    append(s.directory, *lines)
    s.once()


def post(s, *lines):
    """Sends the lines in one request; returns what was answered."""
    reply = s.http("POST", "/api/v1/records", b"".join(line_of(line) for line in lines))
    equal(reply.status, 200)
    return reply.json()


def losses(s):
    """The counts of what the collector lost, by what it was."""
    return {loss["what"]: loss["count"] for loss in s.ask("status")["losses"]}


def database(s):
    return sqlite3.connect(s.directory + "/ringfence.db", isolation_level=None)


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def name_of(pid):
    """That of the program which the process runs."""
    with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
        return file.read().strip()


def has_ended(pid):
    """Also of a process whose parent has not asked for its status."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what) or "check failed")


def equal(got, wanted, *what):
    check(got == wanted, *what, f"got {got!r}, not {wanted!r}")


class Nesting(html.parser.HTMLParser):
    """Reads a page; `wrong` lists elements that are never closed, closed out of order, or in the wrong element."""

    EMPTY = ("input", "meta", "link", "br", "img", "hr")
    INSIDE = {"td": ("tr",), "th": ("tr",), "tr": ("tbody", "thead"), "tbody": ("table",), "thead": ("table",)}

    def __init__(self, text):
        super().__init__()
        self.open, self.wrong = [], []
        self.feed(text)
        self.close()
        self.wrong += self.open

    def handle_starttag(self, tag, attrs):
        if self.INSIDE.get(tag) and self.open[-1] not in self.INSIDE[tag]:
            self.wrong.append(f"{tag} in {self.open[-1]}")
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"/{tag} at {self.getpos()}")


def chosen(cases):
    """By GoogleTest's options, which fuzz/mutate gives: --gtest_list_tests, or --gtest_filter=Service.NAME."""
    if "--gtest_list_tests" in sys.argv:
        print("\n  ".join(["Service."] + [case.__name__ for case in cases]))
        return []
    names = [word.partition("=Service.")[2] for word in sys.argv if word.startswith("--gtest_filter=")]
    return [case for case in cases if case.__name__ in names] if names else cases


def forgotten(source):
    """The functions of a test that nothing calls and its list does not name: they would never run."""
    with open(source, encoding="utf-8") as file:
        text = file.read()
    return [name for name in re.findall(r"^def (\w+)\(\):", text, re.M) if len(re.findall(rf"\b{name}\b", text)) == 1]


def within_a_day(case):
    """Runs the function; once more where it failed while a day ended: trends end with the day of whoever asks."""
    day = time.time() // 86400
    try:
        case()
    except AssertionError:
        if time.time() // 86400 == day:
            raise
        case()


def run(case):
    """Runs the function; says how it went. True where it passed."""
    try:
        within_a_day(case)
        print("ok  ", case.__name__)
        return True
    except Exception as error:  # pylint: disable=broad-except
        print("FAIL", case.__name__, "-", error)
        if os.environ.get("TRACE"):
            traceback.print_exc(file=sys.stdout)
        return False


def start(case):
    """Runs the function in a process of its own. Returns its number, and the file of what it says."""
    sys.stdout.flush()
    said = tempfile.TemporaryFile()
    pid = os.fork()
    if pid == 0:
        passed = False
        try:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            passed = run(case)
            sys.stdout.flush()
        finally:
            os._exit(0 if passed else 1)
    return pid, said


def run_all(cases, at_once):
    """Runs the functions, so many at once, for they mostly wait; all of them, also after a failure, unless
    GTEST_FAIL_FAST says otherwise. Returns the number of those that failed."""
    failed, waiting, running = 0, list(cases), {}
    while waiting or running:
        while waiting and len(running) < at_once:
            pid, said = start(waiting.pop(0))
            running[pid] = said
        pid, status = os.wait()
        said = running.pop(pid)
        said.seek(0)
        sys.stdout.buffer.write(said.read())
        sys.stdout.flush()
        said.close()
        failed += status != 0
        if failed and os.environ.get("GTEST_FAIL_FAST"):
            waiting = []
    return failed


def main(cases, alone=()):
    """Runs the functions as a test; those of `alone`, which measure time, one by one."""
    equal(forgotten(sys.argv[0]), [], "tests that are not in the list of those to run")
    wanted = chosen(cases)
    failed = run_all([case for case in wanted if case in alone], 1)
    if not (failed and os.environ.get("GTEST_FAIL_FAST")):
        failed += run_all([case for case in wanted if case not in alone], AT_ONCE)
    sys.exit(1 if failed else 0)
