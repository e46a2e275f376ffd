#!/usr/bin/env python3
"""What is said to be done is on the disk, and what is not there is not said to be done."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys

import service
from programs import Program, nameless
from service import SERVE, Service, append, check, database, equal, event, line_of, state

SYNCS = os.path.abspath(sys.argv[2])
LOST = os.path.abspath(sys.argv[3])
ALONE = os.path.abspath(sys.argv[4])


def syncs(s):
    return os.path.getsize(s.root + "/syncs") if os.path.exists(s.root + "/syncs") else 0


def what_was_answered_has_reached_the_disk():
    with Service(start=False) as s:
        s.environment = {"LD_PRELOAD": SYNCS, "RF_SYNCS": s.root + "/syncs"}
        s.start()
        token = {"Authorization": "Bearer " + s.token()}
        for path, body in (("records", line_of(event("a", "1"))), ("findings/1/ignore", "text=known"),
                           ("steering", "action=sweep&because=x"), ("records", line_of(event("a", "2")))):
            before = syncs(s)
            equal(s.http("POST", "/api/v1/" + path, body, **token).status, 200, path)
            check(syncs(s) > before, path)


@contextlib.contextmanager
def full_disk(s):
    """The log of the database cannot grow."""
    soft, hard = resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE)
    size = os.path.getsize(s.directory + "/ringfence.db-wal")
    resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (size, hard))
    yield
    resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (soft, hard))


def what_cannot_be_written_is_not_said_to_be_done():
    with service.with_finding() as s:
        token = {"Authorization": "Bearer " + s.token()}
        posts = (("/api/v1/records", line_of(event("b", "2")), 200),
                 ("/api/v1/findings/1/ignore", "text=known", 200), ("/finding/1/fix", "text=", 303),
                 ("/api/v1/steering", "action=sweep&because=x", 200))
        with full_disk(s):
            for path, body, _ in posts:
                reply = s.http("POST", path, body, **token)
                check(reply.status >= 500 and "disk" in reply.json()["error"], path, reply.status, reply.text)
            equal((state(s), len(s.findings()), s.ask("steer")["rules"]), ("open", 1, []))
            equal(s.http("GET", "/api/v1/findings").json()["total"], 1)
        for path, body, taken in posts:
            equal(s.http("POST", path, body, **token).status, taken, path)
        equal((state(s), len(s.findings()), len(s.ask("steer")["rules"])), ("fixed", 1, 1))
        equal(s.ask("status")["events"], 2, "the records that were sent again are none that it had")


def a_lock_that_is_lost_on_the_way_is_no_fault_of_the_collector_s():
    """Another program takes it between the look for it and the transaction: the same request will do later."""
    with Service(start=False) as s:
        lost = s.root + "/lost"
        s.environment = {"LD_PRELOAD": LOST, "RF_LOST": lost}
        s.start()
        append(s.directory, event("a", "1"))
        s.wait(lambda: s.findings() != [])
        token = {"Authorization": "Bearer " + s.token()}
        with open(Program(s.root).whole, "rb") as file:
            elf = file.read()

        def refused(path, body):
            """As the transaction refuses it: a step of the collector's own may have taken the first lock. Nobody is
            served while one waits."""
            with open(lost, "wb"):
                reply = s.http("POST", path, body, **token)
            waited = os.path.getsize(lost)  # a step may have begun meanwhile
            os.unlink(lost)
            check(waited < 3000, path, waited, "ms of waiting for the lock")
            equal(reply.status, 503, path, reply.text)
            found = "the database is held by another process" in reply.json()["error"]
            check(not found or waited >= 300, path, waited, "ms: it may be free in a moment")
            return found

        posts = (("/api/v1/records", line_of(event("b", "2")), 200), ("/api/v1/findings/1/ignore", "text=known", 200),
                 ("/finding/1/fix", "text=", 303), ("/api/v1/steering", "action=sweep&because=x", 200),
                 ("/api/v1/symbols?name=app", elf, 200))
        for path, body, _ in posts:
            s.wait(lambda path=path, body=body: refused(path, body))
        equal((state(s), len(s.findings()), s.ask("steer")["rules"]), ("open", 1, []))
        for path, body, taken in posts:
            equal(s.http("POST", path, body, **token).status, taken, path)
        equal((state(s), len(s.findings()), len(s.ask("steer")["rules"])), ("fixed", 1, 1))
        equal(s.ask("status")["events"], 2)


def a_collector_that_runs_once_ends_on_request():
    """Also while it waits for another one that does not answer; what it took in stays."""
    for name, number in (("SIGINT", signal.SIGINT), ("SIGTERM", signal.SIGTERM)):
        with Service(start=False) as s, socket.create_server(("127.0.0.1", 0)) as silent:
            append(s.directory, event("a", "1"))
            process = subprocess.Popen([SERVE, "serve", "--once", "--no-shared", "--dir", s.directory, "--forward",
                                        f"http://127.0.0.1:{silent.getsockname()[1]}"])
            silent.accept()[0].close()
            silent.accept()
            process.send_signal(number)
            equal(process.wait(10), -number, name)
            equal((len(s.findings()), database(s).execute("SELECT count(*) FROM outgoing").fetchone()), (1, (1,)))


def commands_that_cannot_write_fail():
    with service.with_finding() as s:
        size = os.path.getsize(s.directory + "/ringfence.db-wal")
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        for words in (("fix", "1"), ("ignore", "1", "--because", "x"), ("builds", "--add", "c" * 40),
                      ("steer", "sweep", "--because", "x")):
            done = subprocess.run([SERVE, *words, "--dir", s.directory], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  check=False, preexec_fn=limit)
            equal((done.returncode, done.stdout), (1, b""), words)
            check(b"disk" in done.stderr, words, done.stderr)
        equal((state(s), len(s.ask("builds")["builds"]), s.ask("steer")["rules"]), ("open", 1, []))


def what_cannot_be_read_is_no_answer():
    """Each list without one of its tables: a part of an answer would look like all of it."""
    with service.with_finding() as s:
        for path, table, words in (("findings?search=a", "words", ("findings", "--search", "a")),
                                   (f"findings?build={'1' * 40}", "build", ("findings", "--build", "1" * 40)),
                                   ("findings?environment=development", "name", ("gate", "--env", "development")),
                                   ("findings/1", "crash_loop", ("show", "1")), ("builds", "usage", ("builds",)),
                                   ("processes", "process", ("processes",)), ("coverage", "usage", ("coverage",)),
                                   ("steering", "steer_site", ("steer",)), ("status", "orphan", ("status",)),
                                   ("symbols", "symbol_file", ("symbols", "list")), ("activity", "activity", None),
                                   ("why?a=1&b=1", "body", ("why", "1", "1"))):
            with contextlib.closing(database(s)) as db:
                db.execute(f"ALTER TABLE {table} RENAME TO gone")
                reply = s.http("GET", "/api/v1/" + path)
                equal(reply.status, 500, path, reply.text)
                check("no such table" in reply.json()["error"], path, reply.text)
                if words is not None:
                    s.command(*words, "--json", status=1)
                db.execute(f"ALTER TABLE gone RENAME TO {table}")
            equal(s.http("GET", "/api/v1/" + path).status, 200, path)
        with contextlib.closing(database(s)) as db:
            db.execute("ALTER TABLE words RENAME TO gone")
            equal(s.http("GET", "/", Accept="text/html").status, 500)


def names_that_no_process_can_look_up_hold_nobody_up():
    with Service(start=False) as s:
        append(s.directory, nameless("0x1010", "1"))
        words = [SERVE, "serve", "--once", "--no-shared", "--dir", s.directory]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60,
                              env=dict(os.environ, LD_PRELOAD=ALONE))
        said = done.stdout.decode()
        equal((done.returncode, said.count("no process can be started that looks up names")), (0, 1), said)
        equal(s.ask("symbols", "missing")["waiting"], 1)
        check("no process" not in s.command("serve", "--once"))
        equal(s.ask("symbols", "missing")["waiting"], 0)


service.main([
    what_was_answered_has_reached_the_disk, what_cannot_be_written_is_not_said_to_be_done,
    a_lock_that_is_lost_on_the_way_is_no_fault_of_the_collector_s, commands_that_cannot_write_fail,
    a_collector_that_runs_once_ends_on_request,
    what_cannot_be_read_is_no_answer, names_that_no_process_can_look_up_hold_nobody_up,
])
