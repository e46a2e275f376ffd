#!/usr/bin/env python3
"""Cost and speed of the collector: figures of docs/service/README.md.

    bench.py RINGFENCE_SERVE [intake | burst | history ...]      default: all

intake    distinct findings of 4 KiB per second, durable; beside it the fsyncs per second of the same disk
burst     rows of the database that 1,000 processes make that fail at once with one bug, and milliseconds until the last
          one is counted
history   milliseconds for the list, a search, a finding, a process and pages over a million events and 10,000 findings,
          made anew and answered once more; resident memory with these, and the time until the page answers
"""

import os
import sqlite3
import sys
import time

import service

WANTED = 20000


def fsyncs_per_second(directory):
    path = os.path.join(directory, "fsync")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    begin, count = time.time(), 0
    while time.time() - begin < 1:
        os.pwrite(fd, b"x" * 4096, count * 4096)
        os.fdatasync(fd)
        count += 1
    os.close(fd)
    os.unlink(path)
    return count / (time.time() - begin)


def write_segment(directory, lines):
    os.makedirs(directory + "/spool", mode=0o700, exist_ok=True)
    with open(directory + "/spool/current", "ab") as file:
        for line in lines:
            file.write(service.line_of(line))


def intake():
    with service.Service(start=False) as s:
        sample = service.line_of(service.event("p0", "b-1-1-0"))
        pad = max(4096 - len(sample), 1)
        write_segment(s.directory, (service.event(f"p{i}", f"b-1-1-{i}", pid=i, f_pad=pad) for i in range(WANTED)))
        size = os.path.getsize(s.directory + "/spool/current")
        begin = time.time()
        s.start()
        path = s.directory + "/ringfence.db"
        db = s.wait(lambda: os.path.exists(path) and sqlite3.connect(path))
        counted = "SELECT coalesce(sum(count), 0) FROM counter WHERE finding = 0 AND kind = 1"
        s.wait(lambda: db.execute(counted).fetchone()[0] == WANTED, 120)
        seconds = time.time() - begin
        db.close()
        service.equal(s.ask("status")["findings"], WANTED)
        print(f"intake: {WANTED / seconds:.0f} distinct findings/s durable, {size / WANTED:.0f} bytes each; "
              f"the disk does {fsyncs_per_second(s.directory):.0f} fsyncs/s")


def rows_of(directory):
    db = sqlite3.connect(directory + "/ringfence.db")
    tables = [name for name, in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return sum(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)


def burst():
    with service.Service() as s:
        service.append(s.directory, service.event("one", "b-0-1-0", pid=1))
        s.wait(lambda: s.ask("status")["events"] == 1)
        before, begin = rows_of(s.directory), time.time()
        children = []
        for number in range(1000):
            child = os.fork()
            if child == 0:
                service.append(s.directory, service.event("one", f"b-{number}-2-1", pid=number + 10))
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
        ended = time.time()
        s.wait(lambda: s.http("GET", "/api/v1/status").json()["events"] == 1001)
        counted = time.time()
        rows = rows_of(s.directory) - before
        loops = s.ask("status")["crash_loops"]
        print(f"burst: 1000 processes in {ended - begin:.1f} s made {rows} rows; the last one counted "
              f"{(counted - ended) * 1000:.0f} ms after its end; crash loops named: {loops}")


def million(directory):
    """10,000 findings, and events until there are a million: counts of one record each, over 30 days and 5 builds."""
    for place in range(10000):
        for part in range(10):
            yield service.event(f"p{place}", f"b-{place}-1-{part}", ago=(place * 7 + part * 83) % 2592000, pid=place,
                                count=10, build={"version": f"1.{part % 5}", "commit": f"{part % 5:040x}"})


def snapshot(number):
    """1,000 call sites of 12 frames: some 100 KiB."""
    names = [f"function_number_{i}" for i in range(700)]
    seen = {}

    def frame(i):
        if i not in seen:
            seen[i] = len(seen)
            module = {"path": "/srv/app", "build_id": "ab"} if len(seen) == 1 else 0
            return [module, hex(0x1000 + 16 * i), names[i], "src/app.c", i]
        return seen[i]

    sites = [[100000 - i * 90 + number * (i % 3), 1 + i % 50, [frame((i * 31 // 2 ** d) % 700) for d in range(12)]]
             for i in range(1000)]
    return service.record("snapshot", f"s-1-1-{number}", ago=10 - number, seconds=60.0, snapshot={
        "name": f"number {number}", "allocator": "malloc", "blocks": sum(s[1] for s in sites), "peak": 2 ** 30,
        "bytes": sum(s[0] for s in sites), "resident": 2 ** 30,
        "sizes": [[2 ** i, 100, 2 ** i * 100] for i in range(20)],
        "map": {"cell": 65536, "parts": [["0x7f0000000000", [i * 60 for i in range(1000)]]]}, "sites": sites,
        "omitted_blocks": 0, "omitted_bytes": 0})


def timed(function):
    begin = time.perf_counter()
    function()
    return (time.perf_counter() - begin) * 1000


def answer_times(s, path):
    """Least milliseconds of five answers after a commit each, which are made anew, and of five that were kept."""
    anew, kept = [], []
    for _ in range(5):
        events = s.ask("status")["events"]
        service.append(s.directory, service.event("p77", f"b-77-2-{events}"))
        s.wait(lambda: s.ask("status")["events"] > events)
        anew.append(timed(lambda: service.equal(s.http("GET", path).status, 200, path)))
        kept.append(timed(lambda: service.equal(s.http("GET", path).status, 200, path)))
    return min(anew), min(kept)


def history():
    with service.Service(start=False) as s:
        write_segment(s.directory, million(s.directory))
        write_segment(s.directory, [snapshot(1), snapshot(2)])
        s.once()
        begin = time.time()
        s.start()
        s.http("GET", "/")
        ready = time.time() - begin
        service.equal(s.ask("status")["events"], 1000000)
        for name, path in [("list and trend", "/api/v1/findings"),
                           ("all by count", "/api/v1/findings?state=all&order=count"),
                           ("search", "/api/v1/findings?search=close_p77"), ("finding", "/api/v1/findings/77"),
                           ("by build", "/api/v1/findings?build=1.3"), ("builds", "/api/v1/builds"),
                           ("status", "/api/v1/status"), ("page: list", "/"), ("page: finding", "/finding/77"),
                           ("page: processes", "/processes"), ("page: process", "/process/1"),
                           ("page: difference of two snapshots", "/process/1?against=1")]:
            anew, kept = answer_times(s, path)
            print(f"history: {name}: {anew:.1f} ms, {kept:.1f} ms once more")
        with open(f"/proc/{s.process.pid}/status", encoding="ascii") as file:
            resident = [line.split()[1] for line in file if line.startswith("VmRSS")][0]
        print(f"size: ready in {ready * 1000:.0f} ms, {int(resident) / 1024:.1f} MiB resident, database "
              f"{s.ask('status')['database_bytes'] / 1048576:.0f} MiB")


for name in sys.argv[2:] or ["intake", "burst", "history"]:
    {"intake": intake, "burst": burst, "history": history}[name]()
