#!/usr/bin/env python3
"""Exports in the forms of other tools: Sentry's envelopes, OTLP, SARIF, and profiles for pprof."""

import gzip
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time

import service
from service import Service, append, check, equal, event

RINGFENCE = os.path.abspath(sys.argv[2])


def filled():
    s = Service(start=False)
    append(s.directory, event("a", "id-1", environment="ci"), event("a", "id-2"), event("b\"<\\\n", "id-3"))
    s.once()
    return s


# ---- Sentry ----

def envelopes(text):
    """Reads them as a server does: two headers as lines, a body by its length."""
    out = []
    while text:
        header, text = text.split(b"\n", 1)
        item, text = text.split(b"\n", 1)
        header, item = json.loads(header), json.loads(item)
        body, text = text[:item["length"]], text[item["length"]:]
        check(text[:1] == b"\n", "the length is wrong")
        out.append((header, item, json.loads(body)))
        text = text[1:]
    return out


def check_event(header, item, body):
    equal(item["type"], "event")
    check(re.fullmatch("[0-9a-f]{32}", body["event_id"]) and header["event_id"] == body["event_id"])
    check(time.strptime(body["timestamp"][:19], "%Y-%m-%dT%H:%M:%S"))
    equal((body["platform"], body["level"]), ("native", "error"))
    check(len(body["fingerprint"]) == 1 and body["environment"] in ("ci", "development") and body["release"] == "1.0")
    values = body["exception"]["values"]
    equal([v["type"] for v in values], ["allocated here", "heap-buffer-overflow"])
    frames = values[-1]["stacktrace"]["frames"]
    equal([f["function"] for f in frames][:1], ["main"], "the outermost first")
    check(frames[-1]["function"].startswith("close_") and frames[-1]["lineno"] == 20 and frames[-1]["in_app"])


class Stub(http.server.HTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), StubHandler)
        self.got, self.keys = [], []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class StubHandler(http.server.BaseHTTPRequestHandler):
    """Refuses as Sentry does what has no key, or is no envelope."""

    def do_POST(self):  # pylint: disable=invalid-name
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.path = self.requestline.split()[1]  # http.server makes one of two slashes
        status, answer = 300 if self.path == "/api/300/envelope/" else 400, b"{}"
        if self.path == "/api/7/envelope/":
            self.server.keys.append(self.headers.get("X-Sentry-Auth", "").rpartition("sentry_key=")[2])
            if "sentry_key=abc" not in self.headers.get("X-Sentry-Auth", ""):
                status = 401
            elif self.headers["Content-Type"] == "application/x-sentry-envelope":
                self.server.got += envelopes(body)
                status, answer = 200, json.dumps({"id": self.server.got[-1][0]["event_id"]}).encode()
        elif self.path == "/v1/logs" and self.headers["Content-Type"] == "application/json":
            self.server.got.append(json.loads(body))
            status, answer = 200, b'{"partialSuccess":{}}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def sentry_takes_envelopes():
    stub = Stub()
    with filled() as s:
        text = s.command("export", "--as", "sentry").encode()
        equal(len(envelopes(text)), 2)
        for one in envelopes(text):
            check_event(*one)
        equal(sorted(one[2]["extra"]["count"] for one in envelopes(text)), [1, 2])
        equal(s.command("export", "--as", "sentry").encode(), text, "what is sent again has the same ids")
        where = f"127.0.0.1:{stub.server_port}"
        check("2 findings sent" in s.command("export", "--as", "sentry", "--to", f"http://abc@{where}/7"))
        equal(stub.got, envelopes(text))
        check(all(e[0]["event_id"][:16] != e[0]["event_id"][16:] for e in stub.got), "128 bits, not twice the same 64")
        s.command("export", "--as", "sentry", "--to", f"http://abc:secret@{where}/7")
        equal(set(stub.keys), {"abc"}, "the secret of an old DSN is not sent")
        check("status 300" in s.command("export", "--as", "sentry", "--to", f"http://abc@{where}/300", status=1))
        check("status 401" in s.command("export", "--as", "sentry", "--to", f"http://x@{where}/7", status=1))
        for dsn in ("", "http://", "abc", "http://abc@/7", "http://@h/7", "http://h/7", "ftp://abc@h/7",
                    "http://abc@h/"):
            check("use a DSN" in s.command("export", "--as", "sentry", "--to", dsn, status=2), dsn)
        for url in ("", "abc", "ftp://h", "h:4318"):
            check("as in http://" in s.command("export", "--as", "otlp", "--to", url, status=2), url)
        equal(len(envelopes(s.command("export", "--as", "sentry", "--env", "ci").encode())), 1)
    stub.shutdown()


def opentelemetry_takes_logs():
    stub = Stub()
    with filled() as s:
        root = json.loads(s.command("export", "--as", "otlp"))
        equal(len(root["resourceLogs"]), 2)
        for one in root["resourceLogs"]:
            resource = {a["key"]: a["value"] for a in one["resource"]["attributes"]}
            equal(resource["service.name"], {"stringValue": "app"})
            log = one["scopeLogs"][0]["logRecords"][0]
            attributes = {a["key"]: a["value"] for a in log["attributes"]}
            check(re.fullmatch(r"\d{19}", log["timeUnixNano"]), log["timeUnixNano"])
            check(abs(int(log["timeUnixNano"]) / 1e9 - time.time()) < 3600)
            equal((log["severityNumber"], attributes["exception.type"]), (17, {"stringValue": "heap-buffer-overflow"}))
            check(attributes["ringfence.count"]["intValue"] in ("1", "2"))
            check("allocated by" in attributes["exception.stacktrace"]["stringValue"])
        s.command("export", "--as", "otlp", "--to", f"http://127.0.0.1:{stub.server_port}/")
        equal([len(got["resourceLogs"]) for got in stub.got], [2])
        check("no server" in s.command("export", "--as", "otlp", "--to", "http://127.0.0.1:1", status=1))
    stub.shutdown()


def what_is_exported_is_all_that_is_known():
    """And nothing stands where nothing is known."""
    with Service(start=False) as s:
        freed = {"thread": 1, "frames": [service.frame("free_it", 50), service.frame("main", 30)]}
        append(s.directory, event("a", "id-1", f_released=freed, f_bug="heap-use-after-free", count=3, ago=100,
                                  build={"version": "", "commit": "c" * 40, "build_id": ""}, environment="live"),
               event("b", "id-2", count=4), event("c", "id-3", count=5),
               event("d", "id-4", host="", build={"version": "", "commit": "", "build_id": "ab"}))
        s.once()
        s.command("merge", "1", "2")
        s.command("merge", "1", "3")
        shown = {id: s.ask("show", str(id)) for id in (1, 4)}
        record = shown[1]["record"]
        for log in json.loads(s.command("export", "--as", "otlp"))["resourceLogs"]:
            resource = {a["key"]: a["value"]["stringValue"] for a in log["resource"]["attributes"]}
            one = log["scopeLogs"][0]["logRecords"][0]
            values = {a["key"]: list(a["value"].values())[0] for a in one["attributes"]}
            if values["ringfence.finding"] == "4":
                equal(resource, {"service.name": "app", "process.executable.path": "/srv/app", "host.name": "(unknown)",
                                 "deployment.environment.name": "development"})
                continue
            equal(resource, {"service.name": "app", "process.executable.path": "/srv/app", "host.name": "host-1",
                             "deployment.environment.name": "live", "vcs.ref.head.revision": "c" * 40})
            equal({name: values[name] for name in values if name.startswith(("ringfence", "log", "code"))},
                  {"ringfence.finding": "1", "ringfence.count": "12", "ringfence.key": shown[1]["key"],
                   "ringfence.state": "open", "ringfence.mode": "guard", "log.record.uid": "id-1",
                   "code.function.name": "open_a", "code.file.path": "src/app.c", "code.line.number": "10"})
            equal(values["exception.message"], shown[1]["title"])
            equal(one["body"]["stringValue"], f"heap-use-after-free: {shown[1]['title']} at {shown[1]['place']}")
            check(re.fullmatch(r"\d{19}", one["observedTimeUnixNano"]), one)
            check(abs(int(one["observedTimeUnixNano"]) / 1e9 - time.time()) < 100, one)
            equal(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(int(one["timeUnixNano"]) // 10**9)),
                  record["time"][:19])
        for _, _, body in envelopes(s.command("export", "--as", "sentry").encode()):
            if body["extra"]["finding"] == 4:
                check("release" not in body or body["release"] is None, body)
                continue
            equal([body[name] for name in ("server_name", "release", "environment", "culprit", "timestamp", "logger")],
                  ["host-1", "c" * 40, "live", shown[1]["place"], record["time"], "ringfence"])
            equal(body["fingerprint"], [shown[1]["key"]])
            equal(body["extra"],
                  {"finding": 1, "count": 12, "state": "open", "program": "/srv/app", "commit": "c" * 40})
            equal(body["tags"], {"bug": "heap-use-after-free", "mode": "guard", "allocator": "malloc"})
            got = body["exception"]["values"]
            equal([(v["type"], v["mechanism"]["handled"],
                    [f["function"] for f in v["stacktrace"]["frames"]]) for v in got],
                  [("freed here", False, ["main", "free_it"]), ("allocated here", False, ["main", "open_a"]),
                   ("heap-use-after-free", False, ["main", "close_a"])])
        # The id of an event is that of the record, whatever else changes.
        ids = [e[0]["event_id"] for e in envelopes(s.command("export", "--as", "sentry").encode())]
        equal(len(set(ids)), 2)


def the_time_of_a_clock_that_was_never_set_is_not_exported():
    """Nor one in the future: Sentry refuses such events."""
    with Service(start=False) as s:
        begin = time.time()
        append(s.directory, event("a", "id-1", time="1970-01-01T00:00:05Z"), event("b", "id-2", ago=-864000),
               event("c", "id-3", time="yesterday"))
        s.once()
        ends = begin - 1, time.time() + 1
        for _, _, body in envelopes(s.command("export", "--as", "sentry").encode()):
            check(service.timestamp_at(ends[0]) <= body["timestamp"] <= service.timestamp_at(ends[1]), body)
        for one in json.loads(s.command("export", "--as", "otlp"))["resourceLogs"]:
            told = int(one["scopeLogs"][0]["logRecords"][0]["timeUnixNano"]) / 1e9
            check(ends[0] <= told <= ends[1], told, ends)


def other_forms_are_those_of_report():
    with filled() as s:
        sarif = json.loads(s.command("export", "--as", "sarif"))
        equal((sarif["version"], len(sarif["runs"][0]["results"])), ("2.1.0", 2))
        equal(sorted(r["occurrenceCount"] for r in sarif["runs"][0]["results"]), [1, 2])
        path = os.path.join(s.root, "found.xml")
        s.command("export", "--as", "junit", "--output", path)
        with open(path, encoding="utf-8") as file:
            check("<testsuite" in file.read())
        for words in ((), ("--as", "pprof"), ("--as", "x"), ("--as", "sarif", "--to", "http://x")):
            s.command("export", *words, status=2)


def an_export_is_of_what_was_chosen():
    with Service(start=False) as s:
        old, new = ({"version": version, "commit": "", "build_id": ""} for version in ("1.0", "2.0"))
        append(s.directory, event("a", "id-1", ago=90, build=old), event("b", "id-2", ago=60, build=old),
               event("a", "id-3", build=new), event("c", "id-4", ago=30, build=new, environment="ci"))
        s.once()
        s.command("ignore", "1", "--because", "known")
        for words, ids in (((), [2, 3]), (("--state", "all"), [1, 2, 3]), (("--state", "ignored"), [1]),
                           (("--state", "all", "--build", "2.0"), [1, 3]), (("--state", "all", "--new-in", "2.0"), [3]),
                           (("--state", "all", "--new-in", "1.0"), [1, 2]), (("--build", "1.0"), [2]),
                           (("--env", "ci"), [3])):
            found = envelopes(s.command("export", "--as", "sentry", *words).encode())
            equal(sorted(e[2]["extra"]["finding"] for e in found), ids, words)


def exports_are_whole():
    """No page of a list bounds them, as that of `findings` is bound."""
    stub = Stub()
    with Service(start=False) as s:
        append(s.directory, *[event(f"n{i}", f"id-{i}") for i in range(1203)])
        s.once()
        equal(len(s.findings("--limit", "9999")), 1000)
        for words, count in (((), 1203), (("--limit", "1100"), 1100), (("--limit", "2000"), 1203),
                             (("--limit", "7"), 7)):
            found = envelopes(s.command("export", "--as", "sentry", *words).encode())
            equal((len(found), len({e[2]["extra"]["finding"] for e in found})), (count, count), words)
            equal(len(json.loads(s.command("export", "--as", "sarif", *words))["runs"][0]["results"]), count, words)
            equal(len(json.loads(s.command("export", "--as", "otlp", *words))["resourceLogs"]), count, words)
        last = {e[2]["extra"]["finding"] for e in found}
        equal(last, {row["id"] for row in s.findings("--limit", "7")})
        said = s.command("export", "--as", "otlp", "--to", f"http://127.0.0.1:{stub.server_port}")
        check("1203 findings sent" in said, said)
        equal([len(got["resourceLogs"]) for got in stub.got], [500, 500, 203])
    stub.shutdown()


# ---- pprof ----

def fields(data):
    """The fields of a protobuf message, as (number, value)."""
    at, out = 0, []

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            out.append((tag >> 3, varint()))
        else:
            equal(tag & 7, 2)
            size = varint()
            check(at + size <= len(data), "a length goes beyond the end")
            out.append((tag >> 3, data[at:at + size]))
            at += size
    return out


def packed(data):
    out, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            out.append(value - (1 << 64) if value >> 63 else value)
            value = shift = 0
    return out


def profile_of(path):
    """{stack, innermost first: values}, the types, and what pprof's CheckValid asks for."""
    with open(path, "rb") as file:
        top = fields(gzip.decompress(file.read()))
    strings = [value.decode() for number, value in top if number == 6]
    equal(strings[0], "")
    types = [tuple(strings[v] for _, v in sorted(fields(value))) for number, value in top if number == 1]
    functions, locations = {}, {}
    for number, value in top:
        if number == 5:
            f = dict(fields(value))
            check(f[1] not in functions and f[1] != 0)
            functions[f[1]] = (strings[f[2]], strings[f[4]])
    mappings = {dict(fields(value))[1] for number, value in top if number == 3}
    for number, value in top:
        if number == 4:
            f = dict(fields(value))
            line = dict(fields(f[4]))
            check(f[1] not in locations and (f[2] == 0 or f[2] in mappings) and line[1] in functions)
            locations[f[1]] = functions[line[1]] + (line[2],)
    samples = {}
    for number, value in top:
        if number == 2:
            f = dict(fields(value))
            equal(len(packed(f[2])), len(types))
            samples[tuple(locations[id] for id in packed(f[1]))] = packed(f[2])
    return types, samples


def snapshot(name, time_ns, *sites):
    return {"type": "snapshot", "version": 1, "pid": 7, "time_ns": time_ns, "name": name, "allocator": "malloc",
            "blocks": sum(s[1] for s in sites), "bytes": sum(s[2] for s in sites), "omitted_blocks": 0,
            "sites": [{"blocks": blocks, "bytes": size,
                       "allocated": {"thread": 1, "frames": [service.frame(f, 10 + i)
                                                             for i, f in enumerate(functions)]}}
                      for functions, blocks, size in sites]}


def go_takes(path, *words):
    """pprof's own reader, where it is installed."""
    done = subprocess.run(["go", "tool", "pprof", "-raw", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False, env=dict(os.environ, HOME=os.path.dirname(path))) if has_go() else None
    check(done is None or (done.returncode == 0 and all(w in done.stdout.decode() for w in words)), done)


def has_go():
    return any(os.access(os.path.join(p, "go"), os.X_OK) for p in os.environ.get("PATH", "").split(":"))


def run(*words, status=0):
    done = subprocess.run([RINGFENCE, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    equal(done.returncode, status, words, done.stderr)
    return done.stdout


def snapshots_are_profiles():
    with Service(start=False) as s:
        lines = os.path.join(s.root, "s.jsonl")
        path = os.path.join(s.root, "s.pb.gz")
        many = [((f"f{i}", "main"), 1, 2**40 + i) for i in range(3000)]
        with open(lines, "w", encoding="utf-8") as file:
            for value in (snapshot("one", 1, (("make", "main"), 3, 300)),
                          snapshot("two", 2, (("make", "main"), 5, 500), (("other", "main"), 1, 7), *many)):
                file.write(json.dumps(value) + "\n")
        run("report", "--no-symbols", "--output", path, lines)
        types, samples = profile_of(path)
        equal(types, [("inuse_objects", "count"), ("inuse_space", "bytes")])
        by_name = {tuple(f[0] for f in stack): values for stack, values in samples.items()}
        equal((len(samples), by_name[("make", "main")], by_name[("f2999", "main")]),
              (3002, [5, 500], [1, 2**40 + 2999]), "the last snapshot, whole")
        check(("make", "src/app.c", 10) in [stack[0] for stack in samples])
        go_takes(path, "inuse_space/bytes", "f2999")
        with open(lines, "w", encoding="utf-8") as file:
            for pid, function in ((7, "make"), (8, "other")):
                file.write(json.dumps(dict(snapshot("end", 1, ((function, "main"), 1, pid)), pid=pid)) + "\n")
        run("report", "--no-symbols", "--output", path, lines)
        equal(sorted(profile_of(path)[1].values()), [[1, 7], [1, 8]], "the last snapshot of each process")
        run("report", "--no-symbols", "--format", "pprof", "--output", path, os.devnull)
        equal(profile_of(path)[1], {})
        go_takes(path)


def snapshots_of_a_log_are_taken_in():
    with Service(start=False) as s:
        lines = os.path.join(s.root, "s.jsonl")
        with open(lines, "w", encoding="utf-8") as file:
            file.write("text that is no JSON\n")
            start = {"type": "start", "version": 1, "pid": 7, "program": "/srv/log", "mode": "page"}
            file.write(json.dumps(start) + "\n")
            for value in (snapshot("one", 1, (("make", "main"), 3, 300)),
                          {**snapshot("two", 2, (("make", "main"), 5, 500)), "since": "one"},
                          snapshot("two", 2, (("make", "main"), 5, 500), (("other", "main"), 1, 7)),
                          {**snapshot("three", 3, (("make", "main"), 1, 1)), "pid": 8, "allocator": "tlsf"}):
                file.write(json.dumps(value) + "\n")
        for _ in range(2):
            run("import", "--collector", s.directory, "--environment", "ci", lines)
        s.once()
        rows = sorted(s.ask("processes")["processes"], key=lambda row: row["pid"])
        equal([(r["pid"], r["program"], r["mode"], r["environment"], r["snapshot_count"], r["bytes"]) for r in rows],
              [(7, "/srv/log", "page", "ci", 2, 507), (8, "(unknown)", "page", "ci", 1, 1)], "again is once")
        names = [x["name"] for x in s.ask("processes", str(rows[0]["id"]))["snapshots"]]
        equal(names, ["one", "two"], "differences are made anew")
        shown = s.ask("processes", str(rows[0]["id"]))["snapshot"]
        calls = shown["calls"]
        equal([(x["bytes"], x["blocks"], [(calls[i]["function"], calls[i]["file"], calls[i]["line"])
                                          for i in x["stack"]]) for x in shown["sites"]],
              [(500, 5, [("make", "src/app.c", 10), ("main", "src/app.c", 11)]),
               (7, 1, [("other", "src/app.c", 10), ("main", "src/app.c", 11)])])
        with open(lines, "w", encoding="utf-8") as file:
            file.write("{}\n")
        run("import", "--collector", s.directory, lines, status=2)


def traces_are_profiles():
    source = "#include <stdlib.h>\n__attribute__((noinline)) void *make(size_t n) { return malloc(n); }\n" \
             "int main(void) { void *p[9]; for (int i = 0; i < 9; i++) { p[i] = make(100); }\n" \
             "for (int i = 0; i < 7; i++) { free(p[i]); } return 0; }\n"
    if service.with_sanitizer():
        print("     (no traces where programs have a sanitizer: left out)")
        return
    with Service(start=False) as s:
        program, trace, path = (os.path.join(s.root, name) for name in ("p", "t.rft", "t.pb.gz"))
        with open(program + ".c", "w", encoding="utf-8") as file:
            file.write(source)
        subprocess.run(["cc", "-g", "-O0", "-o", program, program + ".c"], check=True)
        run("check", "-e", "0", "--trace", trace, "--", program)
        run("replay", "--pprof", path, trace)
        types, samples = profile_of(path)
        equal([t[0] for t in types], ["alloc_objects", "alloc_space", "inuse_objects", "inuse_space"])
        mine = [values for stack, values in samples.items() if "make" in [f[0] for f in stack]]
        equal(mine, [[9, 900, 2, 200]])
        go_takes(path, "alloc_space/bytes", "make")


service.main([
    exports_are_whole, an_export_is_of_what_was_chosen, sentry_takes_envelopes, opentelemetry_takes_logs,
    what_is_exported_is_all_that_is_known,
    the_time_of_a_clock_that_was_never_set_is_not_exported, other_forms_are_those_of_report, snapshots_are_profiles,
    snapshots_of_a_log_are_taken_in, traces_are_profiles])
