#!/usr/bin/env python3
"""What the collector does after minutes, hours and days, by a clock that the test moves."""

import http.server
import os
import re
import resource
import signal
import socket
import sys
import tempfile
import threading
import time

import service
from programs import Program
from service import Service, append, check, equal, event

CLOCK = os.path.abspath(sys.argv[2])


class Moved(Service):
    """A collector whose clock is ahead. Each request makes it look at the clock; steps of a second are due then."""

    def __init__(self, *options, start=True, **environment):
        super().__init__(*options, start=False)
        self.file = os.path.join(self.root, "moved")
        self.ahead = 0
        self.environment = dict(environment, LD_PRELOAD=CLOCK, RF_MOVED=self.file)
        self.move(0)
        if start:
            self.start()

    def move(self, seconds):
        self.ahead += seconds
        self.say_time(str(self.ahead))

    def say_time(self, text):
        with open(self.file + ".new", "w", encoding="ascii") as file:
            file.write(text)
        os.replace(self.file + ".new", self.file)

    def look(self):
        """The second answer comes after all that was due at the first."""
        for _ in range(3):
            equal(self.http("GET", "/style.css").status, 200)
        return True

    def settle(self):
        """Waits until the answers of all that it started have been taken in."""
        self.wait(lambda: self.look() and not service.children_of(self.process.pid))
        self.look()

    def after(self, seconds, count, wanted):
        """That count() rises to `wanted` when so many seconds have passed, and not ten seconds before."""
        self.settle()
        self.move(seconds - 10)
        self.look()
        time.sleep(0.1)
        equal(count(), wanted - 1, f"within {seconds} seconds")
        self.move(11)
        self.wait(lambda: self.look() and count() == wanted)


class Refusing:
    """A server that has nothing, or what is no file of symbols; `asked` counts the requests."""

    def __init__(self, body=None):
        self.body = body

    def __enter__(self):
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def refuse(self):
                server.asked += 1
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                if server.body is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(server.body)))
                self.end_headers()
                self.wfile.write(server.body)

            do_GET = do_POST = refuse

            def log_message(self, *_):
                pass

        self.asked = 0
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def nameless(id):
    """Of a program that is nowhere."""
    found = {"pc": "0x1010", "module": "/srv/gone", "build_id": "abcdef02", "offset": "0x1010"}
    return event("a", id, f_found={"thread": 1, "frames": [found]})


def an_alert_that_fails_is_tried_five_times_in_longer_and_longer_pauses():
    with Moved("--alert-command", "exit 1") as s:
        def failures():
            return s.log().count("an alert failed")

        append(s.directory, event("a", "1"))
        s.wait(lambda: s.findings() != [])
        s.move(4)
        s.wait(lambda: s.look() and failures() == 1)
        for tries, minutes in enumerate((1, 2, 4, 8), 2):
            equal(s.ask("status")["alerts_waiting"], 1)
            s.after(60 * minutes, failures, tries)
        s.wait(lambda: s.ask("status")["alerts_waiting"] == 0)
        equal(s.log().count("for the last time"), 1)
        append(s.directory, event("b", "2"))
        s.wait(lambda: len(s.findings()) == 2)
        s.after(60 * 4, failures, 6)  # five failed in a row: a receiver that is down is asked now and then
        equal(s.log().count("for the last time"), 1, "the next one has as many tries")


def a_code_signs_in_for_two_minutes():
    folder = tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR"))
    with open(folder + "/xdg-open", "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n")  # else a browser of this machine takes the code
    os.chmod(folder + "/xdg-open", 0o700)
    for seconds, status in ((110, 303), (121, 401)):
        with Moved("--open", PATH=folder + ":" + os.environ["PATH"]) as s:
            path = s.wait(lambda s=s: re.search(r"(/sign-in\?code=[0-9a-f]{32})", s.log()))[1]
            s.move(seconds)
            equal(s.http("GET", path).status, status, seconds)


def symbols_that_a_server_does_not_have_are_asked_for_again_a_day_later():
    for body in (None, b"no ELF file"):
        with Refusing(body) as server, Moved(DEBUGINFOD_URLS=server.url) as s:
            append(s.directory, nameless("1"))
            s.wait(lambda s=s, server=server: s.look() and server.asked == 1)
            s.after(86400, lambda server=server: server.asked, 2)


def a_server_of_symbols_that_does_not_answer_is_asked_again_ten_minutes_later():
    with Moved(DEBUGINFOD_URLS="http://127.0.0.1:1") as s:
        def told():
            return s.log().count("no server of DEBUGINFOD_URLS answers: the next attempt is in 10 minutes")

        append(s.directory, nameless("1"))
        s.wait(lambda: s.look() and told() == 1)
        s.after(600, told, 2)


def symbols_that_came_and_could_not_be_kept_are_asked_for_again_ten_minutes_later():
    """A day's wait is for what a server does not have."""
    with Service() as upstream, Moved(DEBUGINFOD_URLS=f"http://127.0.0.1:{upstream.port}") as s:
        program = Program(s.root)
        upstream.command("symbols", "upload", program.whole)
        place = os.path.join(s.directory, "symbols", program.build_id + "-debuginfo")
        os.makedirs(place)

        def told():
            return s.log().count("cannot be kept")

        append(s.directory, program.event("1"))
        s.wait(lambda: s.look() and told() == 1)
        s.after(600, told, 2)
        os.rmdir(place)
        s.settle()
        s.move(601)
        s.wait(lambda: s.look() and "make" in s.findings()[0]["place"])
        check(os.path.isfile(place))


def a_database_that_is_too_large_forgets_also_what_a_wrong_clock_put_ahead():
    with Moved("--max-size", "0") as s:
        s.move(30 * 86400)
        for i in range(30):
            append(s.directory, event("a", f"id-{i}", ago=30 - i - s.ahead, pid=i, f_pad=150000))
            s.wait(lambda i=i: s.look() and s.findings() != [] and s.ask("show", "1")["count"] == i + 1)
        before = len(s.ask("show", "1")["events"])
        s.stop()
        s.move(-30 * 86400)
        s.options[-1] = "1"
        s.start()
        s.wait(lambda: len(s.ask("show", "1")["events"]) < before)


def records_that_do_not_arrive_are_sent_again_after_a_minute_at_most():
    with Refusing() as server, Moved("--forward", server.url) as s:
        append(s.directory, event("a", "1"))
        s.wait(lambda: s.look() and server.asked == 1)
        for asked in range(2, 6):  # 1, 2, 4, 8 s
            s.settle()
            s.move(8)
            s.wait(lambda asked=asked: s.look() and server.asked == asked)
        for asked, seconds in ((6, 16), (7, 32), (8, 60), (9, 60)):
            s.after(seconds, lambda: server.asked, asked)
        equal(s.ask("status")["forward_waiting"], 1)


def tools(folder, names, text):
    """A folder of programs of these names, which are all the same script."""
    os.mkdir(folder)
    for name in names:
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + text)
        os.chmod(path, 0o700)
    return folder + ":" + os.environ["PATH"]


def number_in(path):
    """Once it is there."""
    if not os.path.exists(path):
        return None
    with open(path, encoding="ascii") as file:
        return int(file.read().strip() or 0)


def an_alert_has_thirty_seconds():
    """And so have its children. The signal has the child that watches over it look at the clock."""
    with Moved(start=False) as s:
        inner = s.root + "/inner"
        s.options = ["--alert-command", f"sh -c 'echo $$ > {inner}; exec sleep 600'; true"]
        s.start()
        append(s.directory, event("a", "1"))
        s.wait(lambda: s.findings() != [])
        s.move(4)
        command = s.wait(lambda: s.look() and number_in(inner))
        watcher = service.children_of(s.process.pid)[0]
        for seconds, ended in ((20, False), (11, True)):
            s.move(seconds)
            os.kill(watcher, signal.SIGCHLD)
            if ended:
                s.wait(lambda: service.has_ended(command))
            else:
                time.sleep(0.2)
                check(not service.has_ended(command), seconds)
        s.wait(lambda: s.look() and "an alert failed: the command" in s.log())


def a_symbolizer_that_hangs_is_ended_after_two_minutes():
    """What it was asked for goes without names, and the next is asked for."""
    with Moved(start=False) as s:
        begun = s.root + "/begun"
        s.environment["PATH"] = tools(s.root + "/tools", ("addr2line", "llvm-symbolizer", "eu-addr2line"),
                                      f"echo $$ > {begun}.new; mv {begun}.new {begun}; exec sleep 600\n")
        frame = {"pc": "0x1010", "module": service.SERVE, "offset": "0x1010"}
        s.start()
        append(s.directory, event("a", "1", f_found={"thread": 1, "frames": [frame]}))
        hanging = s.wait(lambda: s.look() and number_in(begun))
        os.unlink(begun)
        s.move(110)
        s.look()
        time.sleep(0.2)
        check(not service.has_ended(hanging))
        s.move(11)
        s.wait(lambda: s.look() and service.has_ended(hanging))
        append(s.directory, event("b", "2", f_found={"thread": 1, "frames": [dict(frame, offset="0x1020")]}))
        s.wait(lambda: s.look() and number_in(begun))


def a_connection_that_is_silent_is_closed_after_thirty_seconds():
    with Moved() as s:
        with socket.create_connection(("127.0.0.1", s.port), 20) as silent:
            silent.sendall(b"GET / HTTP/1.1\r\n")
            s.look()
            s.move(20)
            s.look()
            silent.settimeout(0.2)
            try:
                equal(silent.recv(1), None, "it may still go on")
            except TimeoutError:
                pass
            s.move(15)
            s.wait(lambda: s.look() and is_closed(silent))


def is_closed(connection):
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


def a_page_that_is_open_hears_that_it_is_still_heard():
    """Every twenty seconds, where nothing changes."""
    with Moved() as s:
        with socket.create_connection(("127.0.0.1", s.port), 20) as page:
            page.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\n\r\n".encode())
            lines = page.makefile("rb")
            while lines.readline() != b"event: hello\n":
                pass
            beats = []
            threading.Thread(target=lambda: beats.extend(line for line in lines if line == b":\n"),
                             daemon=True).start()
            for wanted in (1, 2):
                for _ in range(30):
                    s.move(1)
                    s.look()
                s.wait(lambda wanted=wanted: len(beats) >= wanted)


def symbols_above_their_limit_hold_nobody_up_while_the_disk_is_full():
    with Moved("--max-symbols", "1") as s:
        def left():
            return database.execute("SELECT count(*) FROM symbol_file").fetchone()[0]

        def half_a_minute():
            for _ in range(31):
                s.move(1)
                s.look()

        s.look()
        database = service.database(s)
        database.execute("INSERT INTO symbol_file(build_id, kind, name, bytes, time, looked)"
                         " VALUES('abcd', 'debuginfo', 'x', 2097152, 1, 1)")
        soft, hard = resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE)
        size = os.path.getsize(s.directory + "/ringfence.db-wal")
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (size, hard))
        half_a_minute()
        equal(left(), 1)
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
        half_a_minute()
        equal(left(), 0)
        database.close()


def an_upload_writes_to_no_file_that_is_there():
    """As a program that guesses the name, which has the time in it, might leave one. Time stands still for that."""
    with Moved() as s:
        folder = os.path.join(s.directory, "symbols")
        os.makedirs(folder, exist_ok=True)
        guess = os.path.join(s.root, "guess")
        with open(guess, "wb") as file:
            file.write(b"kept")
        second = int(time.monotonic()) + 2
        s.say_time(f"={second}")
        os.link(guess, os.path.join(folder, f"new-{s.process.pid}-{second}000-1"))
        equal(s.http("POST", "/api/v1/symbols", body=b"upload").status, 507)
        with open(guess, "rb") as file:
            equal((file.read(), os.fstat(file.fileno()).st_nlink), (b"kept", 2))
        equal(s.http("POST", "/api/v1/symbols", body=b"upload").status, 400, "the next name is free")


def what_uploads_left_goes_after_an_hour():
    """Looked for every thirty steps of a second."""
    with Moved(start=False) as s:
        folder = os.path.join(s.directory, "symbols")
        os.mkdir(folder, 0o700)
        for name, minutes in (("new-1-1-1", 59), ("new-1-1-2", 61), ("kept", 999)):
            with open(os.path.join(folder, name), "wb") as file:
                os.utime(file.fileno(), (time.time() - minutes * 60,) * 2)
        s.start()
        s.wait(lambda: s.look() and sorted(os.listdir(folder)) == ["kept", "new-1-1-1"])
        s.move(90)
        for _ in range(31):
            s.move(1)
            s.look()
        equal(os.listdir(folder), ["kept"])


def room_is_there_again_where_repeats_without_a_finding_have_waited_for_a_day():
    def repeats(first, count):
        return b"".join(service.line_of(service.record("repeat", f"b-{i}-1-2", of=f"b-{i}-1-1", count=1))
                        for i in range(first, first + count))

    def waiting():
        return service.database(s).execute("SELECT count(*) FROM orphan").fetchone()[0]

    with Moved() as s:
        append(s.directory, repeats(0, 10000))
        s.wait(lambda: s.look() and waiting() == 10000)
        s.move(25 * 3600)
        for _ in range(31):
            s.move(1)
            s.look()
        equal(waiting(), 0)
        append(s.directory, repeats(20000, 2))
        s.wait(lambda: s.look() and waiting() != 0)
        equal((waiting(), service.losses(s)), (2, {"repeats whose finding is not known": 10000}))


service.main([
    an_alert_that_fails_is_tried_five_times_in_longer_and_longer_pauses, a_code_signs_in_for_two_minutes,
    symbols_that_a_server_does_not_have_are_asked_for_again_a_day_later,
    a_server_of_symbols_that_does_not_answer_is_asked_again_ten_minutes_later,
    symbols_that_came_and_could_not_be_kept_are_asked_for_again_ten_minutes_later,
    a_database_that_is_too_large_forgets_also_what_a_wrong_clock_put_ahead,
    records_that_do_not_arrive_are_sent_again_after_a_minute_at_most, what_uploads_left_goes_after_an_hour,
    room_is_there_again_where_repeats_without_a_finding_have_waited_for_a_day, an_alert_has_thirty_seconds,
    a_symbolizer_that_hangs_is_ended_after_two_minutes, a_connection_that_is_silent_is_closed_after_thirty_seconds,
    a_page_that_is_open_hears_that_it_is_still_heard, an_upload_writes_to_no_file_that_is_there,
    symbols_above_their_limit_hold_nobody_up_while_the_disk_is_full])
