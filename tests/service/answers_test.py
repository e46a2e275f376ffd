#!/usr/bin/env python3
"""Each command's output and each page, to the letter, for a few stores whose records are made below.

answers/NAME.txt has sessions: "$ WORDS" is a command of ringfence-serve for that store, unless variables stand before
it, "GET PATH" a page as anybody sees it, and "GET+ PATH" as one who has signed in; "| PATTERN" chooses lines. Behind it
stands the answer: lines of standard error begin with "! ", an exit status that is not 0 with "? ". The clock stands
still at 12:00 UTC on 5 March 2026; "clock SECONDS" moves it on; "more" sends further records.

    ./bazelw run //tests/service:update_answers      writes the answers of now into the sessions
"""

import difflib
import json
import os
import platform
import re
import shlex
import sqlite3
import struct
import subprocess
import sys
import time

import service
from service import Nesting, Service, append, check, event, frame, record

CLOCK = os.path.abspath(sys.argv[2])
UPDATE = "--update" in sys.argv
SOURCES = os.environ.get("BUILD_WORKSPACE_DIRECTORY") if UPDATE else None
FOLDER = os.path.join(SOURCES + "/tests/service" if SOURCES else os.path.dirname(__file__), "answers")
NOW = 1772712000  # 12:00 UTC on 5 March 2026
DAY, HOUR = 86400, 3600


def at(ago, fraction=".250"):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(NOW - ago)) + fraction + "Z"


def build(version="", commit="", build_id=""):
    return {"version": version, "commit": commit, "build_id": build_id}


OLD, NEW = build("1.0", "0123456789abcdef" * 2 + "01234567", "aa" * 20), build("1.1", "feedc0de" * 5, "bb" * 20)
ODD = build("<rel> \"1\"&'2'")


def stack(line, *functions):
    return {"thread": 1, "frames": [frame(name, line + i) for i, name in enumerate(functions)]}


def unnamed(*offsets):
    return {"thread": 1, "frames": [{"pc": hex(0x7f0000001000 + o), "module": "/usr/lib/libodd.so.1",
                                     "build_id": "cc" * 20, "offset": hex(o)} for o in offsets]}


def window(damage):
    """Bytes behind a block of 13; {offset behind it: value}."""
    values = [0xFD if i not in damage else damage[i] for i in range(16)]
    return {"address": "0x105d", "bytes": "".join(f"{v:02x}" for v in values), "expected": "fd" * 16,
            "classes": "".join("!" if i in damage else "g" for i in range(16))}


def findings_of_a_fleet():
    yield event("parse", "a-1-1-1", time=at(40 * DAY), build=OLD)
    yield event("parse", "a-2-2-1", time=at(9 * DAY), build=OLD, count=4, environment="ci",
                labels={"bazel_target": "//a:b_test", "attempt": "2"})
    yield event("parse", "a-3-3-1", time=at(3 * DAY), build=NEW, mode="sample", host="host-2", pid=41,
                program="/srv/other tool", labels={"attempt": "2"})
    yield record("repeat", "a-3-3-2", of="a-3-3-1", time=at(3 * DAY - 60), build=NEW, mode="sample", host="host-2",
                 pid=41, program="/srv/other tool", count=1234567)
    for i, ago in enumerate((26 * HOUR, 2 * HOUR, 119, 9)):
        yield event("lookup", f"b-{i}-9-1", time=at(ago), build=NEW, environment="production",
                    f_bug="heap-use-after-free", f_cwe=416, f_freed=True, f_relation="inside",
                    f_released=stack(50, "drop_entry", "main"),
                    f_found=stack(60, "read_entry", "main"), mode="page")
    yield event("lookup", "c-1-9-1", time=at(8 * DAY), build=NEW, f_bug="double-free", f_cwe=415, f_access="free",
                f_freed=True, f_released=stack(50, "drop_entry", "main"), f_found=stack(70, "drop_again", "main"))
    for i, host in enumerate(("host-3", "host-3", "host-4")):
        yield event("cosmic", f"d-{i}-9-1", time=at(10 * DAY - i), build=OLD, f_value=0xFC, host=host)
    for i, value in enumerate((1, 2, 2, 3, 3, 3, 3)):
        yield event("fill", f"e-{i}-9-1", time=at(20 * DAY - i), build=OLD,
                    f_window=window({0: value, 3: 7, 15: i} if i < 6 else {0: 3}))
    yield event("leaky", "f-1-9-1", time=at(6 * DAY), build=OLD, f_bug="memory-leak", f_cwe=401, f_blocks=3,
                f_size=4096, f_relation="inside", f_window=None)
    yield event("odd", "g-1-9-1", time=at(30), build=ODD, environment="<e>&'\"", host="h\x1b[1m\u202e\u00e9",
                program="/srv/<b>bold</b>", mode="m&m", labels={"<l>": "a b"}, f_detail="<i>\x07",
                f_allocator="tlsf<1>", f_found=stack(80, "f<int>&", "main"))
    yield event("strip", "h-1-9-1", time=at(500), build=NEW, f_found=unnamed(0x10, 0x20), f_allocated=unnamed(0x30))
    for pid in range(25):
        yield event("loop", f"i-{pid}-{pid}-1", time=at(5 * HOUR - pid), pid=100 + pid, build=NEW)
    yield record("summary", "s-1-1-1", time=at(41 * DAY), build=OLD, seconds=360000, allocations=1234567, findings=1,
                 peak=5 << 20, exit="status 0")
    yield record("summary", "s-2-1-1", time=at(DAY), build=NEW, seconds=18.5, allocations=12, findings=2, dropped=3,
                 peak=70000, exit="signal 11", mode="page", environment="production")
    yield b"no JSON\n"
    yield record("sonnet", "z-1", time=at(5), lines=14)


def steps_of_age():
    """An age on each side of each step of the words for it, as builds were last seen."""
    for age in (0, 9, 10, 59, 60, 119, 120, 3599, 3600, 7199, 7200, 86399, 86400, 172799, 172800, 9 * DAY, 29 * DAY,
                30 * DAY, 90 * DAY, 1000 * DAY):
        yield event("aged", f"age-{age}", time=at(age, ""), build=build(f"age-{age}"))


def fields_of_damage():
    """Values and places that were written: one value, one place, neither; and more than a table has room for."""
    for number, (place, damages) in enumerate({
            "one_value": [{0: 7}, {1: 7, 2: 7}], "many_values": [{0: i} for i in range(1, 16)],
            "other_end": [{0: 0}, {0: 0}], "scattered": [{0: 1, 5: 2}, {5: 2}]}.items()):
        for i, damage in enumerate(damages):
            yield event(place, f"w{number}-{i}-9-1", time=at(DAY - i), build=OLD, f_window=window(damage),
                        f_allocated=stack(90 + 9 * number, "malloc", "open_" + place, "main", "__libc_start_main"))


def elf(path, build_id, kind):
    """An ELF file with a build-id and one section more: 1 code, 2 symbols (SHT_PROGBITS, SHT_SYMTAB)."""
    note = struct.pack("<III4s", 4, len(build_id), 3, b"GNU") + build_id
    names = b"\0.note.gnu.build-id\0.more\0.shstrtab\0"
    data = [(b"", 0, 0, 0), (note, 1, 7, 0), (b"\x90" * 24, 20, kind, 4 if kind == 1 else 0), (names, 26, 3, 0)]
    at, body, heads = 120, b"", b""
    for part, name, what, flags in data:
        heads += struct.pack("<IIQQQQIIQQ", name, what, flags, 0, at + len(body), len(part), 0, 0, 4, 24)
        body += part + b"\0" * (-len(part) % 8)
    machine = {"x86_64": 62, "aarch64": 183}.get(platform.machine(), 62)
    with open(path, "wb") as file:
        file.write(b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, at + len(body), 0,
                                                             64, 56, 1, 64, 4, 3) +
                   struct.pack("<IIQQQQQQ", 4, 4, at, 0, 0, len(note), len(note), 4) + body + heads)


def a_finding_is_back():
    """In a build after its fix, in two environments."""
    for i, environment in enumerate(("ci", "production")):
        yield event("parse", f"m-{i}-9-1", time=at(1), build=build("2.0", "abcdef1234567890"), environment=environment)


def processes_take_steps():
    for i, rule in enumerate((1, 1, 2, 3)):
        yield record("step", f"t-{i}-9-1", time=at(300 - i), rule=rule,
                     done="sample_rate=1000" if rule < 3 else "no sweep: this mode has no snapshots")


# Records that "more" sends.
LATER = {"findings": a_finding_is_back, "processes": processes_take_steps}


def call(name, line, module=0):
    return [module, hex(0x1000 + line), name, "src/app.c", line]


MODULE = {"path": "/srv/app", "build_id": "aa" * 20}
DEEP = [3 << 20, 100, [call("buffer_new", 10, MODULE), call("parse_all", 20), 1, call("main", 30)]]


def snapshot(name, sites, **more):
    body = {"name": name, "allocator": "malloc", "blocks": sum(s[1] for s in sites), "bytes": sum(s[0] for s in sites),
            "peak": 9 << 20, "resident": 16 << 20, "sizes": [[1, 3, 3], [64, 30, 3000], [1 << 20, 5, 5 << 20]],
            "map": {"cell": 65536, "parts": [["0x7f0000010000", [65536, 0, 16384, 32768, 49152, 9]],
                                             ["0x7f0000990000", [100] * 56], ["0x7f0001000000", [7]]]},
            "sites": sites, "omitted_blocks": 7, "omitted_bytes": 1536}
    body.update(more)
    return body


def processes_of_a_fleet():
    small = [1000, 5, [[0, "0x44", "", "", 0], 3]]
    gone = [4096, 1, [call("once", 40), 3]]
    first = snapshot("first", [DEEP, small, gone])
    grown = snapshot("later <b>", [[5 << 20, 160, [call("buffer_new", 10, MODULE), call("parse_all", 20), 1,
                                                   call("main", 30)]], small,
                                   [2048, 2, [call("list_new", 50), 3]]], omitted_bytes=0)
    yield record("snapshot", "p-7-99-1", time=at(600), seconds=60.5, snapshot=first, build=NEW)
    yield record("snapshot", "p-7-99-2", time=at(300), seconds=360.5, snapshot=grown, build=NEW)
    yield record("snapshot", "p-8-99-1", time=at(3 * DAY), seconds=9.5, pid=8, host="host-2", environment="ci",
                 snapshot=snapshot("only", [small], resident=0, peak=0, sizes=[], map={"cell": 0, "parts": []},
                                   omitted_bytes=0), program="/srv/tool", build=OLD)
    yield record("snapshot", "p-9-99-1", time=at(2 * DAY), seconds=40000, pid=9,
                 snapshot=snapshot("nothing", [], resident=0, map={"cell": 4096, "parts": [["0x1000", [0, 0]]]}),
                 program="/srv/idle", build=OLD)
    for i, name in enumerate(("one", "two", "three")):  # of one moment, as a file has them
        yield record("snapshot", f"p-11-99-{i + 1}", time=at(5 * DAY), seconds=119.6, pid=11, program="/srv/still",
                     snapshot=snapshot(name, [small] * (i + 1), resident=0, omitted_bytes=0, map={
                         "cell": 64, "parts": [["0x1000", [1, 2, 64, 48, 47, 32, 31, 16, 15]], ["0x9000", [0, 1]]]}),
                     build=OLD)
    yield record("snapshot", "p-12-99-1", time=at(6 * DAY), seconds=120, pid=12, program="/srv/tiny", build=OLD,
                 snapshot=snapshot("byte", [[1, 1, [call("main", 1)]]], peak=1, resident=0, sizes=[[1, 1, 1]],
                                   omitted_bytes=0, map={"cell": 4096, "parts": [["0x1000", [1]]]}))
    yield from steps_of_age()
    yield from fields_of_damage()
    yield record("summary", "p-9-99-2", time=at(2 * DAY - 5), seconds=40005, pid=9, program="/srv/idle", peak=777,
                 exit="signal 9", build=OLD, allocations=1)
    wide = [[1000 - i, 1, [call(f"site_{i}", i + 1), call("main", 900)]] for i in range(52)]
    yield record("snapshot", "p-10-99-1", time=at(4 * DAY), seconds=7199, pid=10, snapshot=snapshot("wide", wide),
                 program="/srv/wide", build=ODD)
    sites = [{"path": "/srv/lib/libone.so", "build_id": "dd" * 20, "sites": 5, "watched": [[16, 3], [32, 1]],
              "unwatched": [48, 64, 80]},
             {"path": "/srv/<two>", "build_id": "", "sites": 1, "watched": [], "unwatched": [1]},
             {"path": "/srv/whole", "build_id": "ee" * 20, "sites": 2, "watched": [[1, 1], [2, 1]], "unwatched": []}]
    for i, mode in enumerate(("guard", "page")):
        yield record("summary", f"q-{i}-1-1", time=at(DAY * (i + 1)), seconds=7200 * (i + 1) * 60, mode=mode,
                     allocations=5000, exit="status 0", peak=1 << 20, build=(OLD, NEW)[i],
                     sites=sites if i == 0 else [dict(sites[0], watched=[[48, 9]], unwatched=[16, 64])])


def name_sites(s):
    """As the service does where it has the module's symbols."""
    with sqlite3.connect(s.directory + "/ringfence.db") as db:
        for offset, sources in ((16, [{"function": "std::vector<int>::push_back", "file": "/usr/vector", "line": 1},
                                      {"function": "make_one<int>", "file": "src/one & two.c", "line": 7}]),
                                (48, [{"function": "only_a_name"}]), (64, [{"function": "malloc"}])):
            db.execute("INSERT OR REPLACE INTO symbol(build_id, offset, text) VALUES(?, ?, ?)",
                       ("dd" * 20, offset, json.dumps(sources)))
    db.close()


def store_of_findings():
    s = Service(start=False)
    elf(s.root + "/odd.so", b"\xcc" * 20, 1)
    elf(s.root + "/odd.debug", b"\xcc" * 20, 2)
    elf(s.root + "/other <b>", b"\x0f" * 8, 1)
    elf(s.root + "/nameless", b"", 1)
    os.mkdir(s.root + "/lines")
    with open(s.root + "/lines/found.jsonl", "wb") as file:
        file.write(service.line_of(service.finding("forwarded")) + b"no JSON\n")
    return s, findings_of_a_fleet()


def store_of_processes():
    return Service(start=False), processes_of_a_fleet()


def empty_store():
    return Service(start=False), [b"\n"]


def no_store():
    return Service(start=False), []


def fixed(s, text):
    for path, name in ((os.path.realpath(s.directory), "DIR"), (s.directory, "DIR"), (s.root, "ROOT")):
        text = text.replace(path, name)
    text = text.replace(f"127.0.0.1:{getattr(s, 'port', '-')}", "127.0.0.1:PORT")
    text = re.sub(r"^(  (?:database|waiting|disk free) +)\d.*", r"\1SIZE", text, flags=re.M)
    text = re.sub(r'"(database_bytes|waiting_bytes|free_bytes)":\d+', r'"\1":0', text)
    return re.sub(r"<b>[^<]*</b> (database|waiting in the spool|free on the disk)<", r"<b>SIZE</b> \1<", text)


WITH_FOLDER = ("serve findings show fix ignore reopen merge split why builds gate watch status symbols export processes"
               " steer coverage").split()


def commanded(s, words, clock):
    words = shlex.split(words.replace("ROOT", s.root).replace("PORT", str(getattr(s, "port", ""))))
    given = {}
    while "=" in words[0]:
        name, _, given[name] = words.pop(0).partition("=")
    alone = ["--no-shared"] if words[:1] == ["serve"] else []
    folder = ["--dir", s.directory] if words[0] in WITH_FOLDER and "--dir" not in words and not given else []
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("RINGFENCE_") and name not in ("HOME", "XDG_STATE_HOME", "DEBUGINFOD_URLS")}
    environment.update(LD_PRELOAD=CLOCK, RF_CLOCK=str(NOW + clock), **given)
    done = subprocess.run([service.SERVE, *words[:1], *alone, *folder, *words[1:]], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False, cwd=s.root, timeout=60,
                          env=environment)
    log = s.directory + "/ringfence.db-wal"
    check(s.process is not None or not os.path.exists(log), words, "leaves the database open")
    said = "".join(f"! {line}\n" for line in done.stderr.decode().splitlines())
    return done.stdout.decode() + said + (f"? {done.returncode}\n" if done.returncode else "")


def page_of(s, path, signed_in):
    reply = s.http("GET", path, Accept="text/html", **({"Authorization": "Bearer " + s.token()} if signed_in else {}))
    text = reply.text
    check(path.startswith("/api/") or Nesting(text).wrong == [], path, Nesting(text).wrong)
    if path != "/" and "<main" in text:
        text = "<title>%s</title>\n%s" % (re.search("<title>(.*?)</title>", text)[1],
                                          text[text.index("<main"):text.index("</main>")])
    return text.rstrip("\n") + "\n" + (f"? {reply.status}\n" if reply.status != 200 else "")


def answered(s, step, clock, later):
    verb, _, rest = step.partition(" ")
    asked, _, pattern = rest.partition(" | ")
    if verb == "more":
        text = json.dumps(service.post(s, *later())) + "\n"
    elif verb == "$":
        text = commanded(s, asked, clock)
    else:
        if s.process is None:
            s.environment = {"LD_PRELOAD": CLOCK, "RF_CLOCK": str(NOW), "TZ": "UTC"}
            s.start()
        text = page_of(s, asked, verb == "GET+")
    return "".join(line for line in text.splitlines(keepends=True) if re.search(pattern, line))


def steps_of(text):
    """[step, answer] of a session."""
    found = []
    for line in text.splitlines(keepends=True):
        if re.match(r"(\$|GET\+?|clock|more) ", line):
            found.append([line.rstrip("\n"), ""])
        elif found:
            found[-1][1] += line
    return found


def session(name, made):
    s, records = made
    path = os.path.join(FOLDER, name + ".txt")
    with open(path, encoding="utf-8", newline="") as file:
        before = file.read()
    out, clock = before[:re.search(r"^(\$|GET)", before, re.M).start()], 0
    with s:
        records = list(records)
        append(s.directory, *records)
        if records:
            commanded(s, "serve --once", 0)
            name_sites(s)
        for step, _ in steps_of(before):
            if step.startswith("clock "):
                clock = int(step.split()[1])
                out += step + "\n"
                continue
            answer = fixed(s, answered(s, step, clock, LATER.get(name)))
            check(not re.search(r"^(\$|GET\+?|clock|more) ", answer, re.M), step, "its answer looks like a step")
            out += step + "\n" + answer
        log = fixed(s, s.log()) if s.process is not None else ""
        check(re.fullmatch(r"(ringfence: collecting findings in DIR, page at http://127.0.0.1:PORT\n)?", log), log)
    if UPDATE:
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(out)
    changes = list(difflib.unified_diff(before.split("\n"), out.split("\n"), "answers/" + name + ".txt", "now", n=1,
                                        lineterm=""))
    check(not changes or UPDATE, "\n" + "\n".join(changes[:60]))


def findings():
    session("findings", store_of_findings())


def processes():
    session("processes", store_of_processes())


def nothing_yet():
    session("empty", empty_store())


def no_folder():
    session("no_folder", no_store())


def places():
    session("places", no_store())


def usage():
    session("usage", store_of_findings())


service.main([findings, processes, nothing_yet, no_folder, places, usage])
