#!/usr/bin/env python3
"""Many senders, slow ones and large bodies hold up neither pages nor intake."""

import os
import re
import resource
import signal
import socket
import time

import service
from service import Service, append, check, equal, event, with_finding


def hold(s, count, address="127.0.0.1"):
    """Connections that are silent, stop in a header or in a body, or do not read their answer."""
    held = []
    page = f"GET /?state=all HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\n\r\n".encode()
    post = f"POST /api/v1/records HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\nContent-Length: 99\r\n\r\nabc".encode()
    for i in range(count):
        connection = socket.create_connection(("127.0.0.1", s.port), 20, (address, 0))
        connection.sendall([b"", b"GET / HT", post, page][i % 4])
        held.append(connection)
    return held


def is_answered_soon(s, what):
    """Within a second, or what a second is on a machine that is busy; below the time after which silence ends a
    connection."""
    begin = time.time()
    equal(s.http("GET", "/").status, 200)
    seconds = time.time() - begin
    check(seconds < 1 or seconds < min(service.slowness(), 8), what, seconds)


def thousands_of_silent_connections_hold_nobody_up():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    share = min(1000, (hard - 100) // 3)
    with with_finding() as s:
        held = []
        for address in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
            held += hold(s, share, address)
            is_answered_soon(s, f"beside {len(held)}")
        append(s.directory, event("b", "2"))
        s.wait(lambda: len(s.findings()) == 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connections_that_send_a_byte_now_and_then_hold_nobody_up():
    with with_finding() as s:
        slow = hold(s, 900)
        for _ in range(3):
            for connection in slow:
                try:
                    connection.sendall(b"x")
                except OSError:
                    pass  # it has been closed
            is_answered_soon(s, "beside slow ones")


def many_lists_at_once_hold_up_neither_intake_nor_pages():
    """Those who ask read nothing, and their answers are all different, or all the same."""
    with Service(start=False) as s:
        append(s.directory, *(event(f"p{i}", f"b-1-1-{i}", pid=i) for i in range(2000)))
        s.once()
        s.start()
        path = "/api/v1/findings?limit=1000&state=all&order=count&search=open&offset=%d"
        begin = time.time()
        for i in range(5):
            equal(s.http("GET", path % i).status, 200)
        alone = (time.time() - begin) / 5
        before = resident_kib(s)
        for kind in (path, path.replace("/api/v1/findings", "/"), "/api/v1/findings?limit=1000&state=all&offset=7"):
            held = []
            for i in range(300):
                line = f"GET {kind % i if '%' in kind else kind} HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\n\r\n"
                held.append(socket.create_connection(("127.0.0.1", s.port), 20))
                held[-1].sendall(line.encode())
            begin = time.time()
            count = s.ask("status")["events"]
            append(s.directory, event("new", f"new-{count}"))
            for where in ("/finding/1", "/", "/status", "/api/v1/findings"):
                equal(s.http("GET", where).status, 200)
            s.wait(lambda wanted=count + 1: s.ask("status")["events"] == wanted)
            seconds = time.time() - begin
            most = (2 + 60 * alone) * max(1, min(service.slowness(), 8))
            check(seconds < most, f"{seconds} s; a list alone takes {alone} s")
            for connection in held:
                connection.close()
            is_answered_soon(s, kind)
        held = []
        count = s.ask("status")["events"]
        os.kill(s.process.pid, signal.SIGSTOP)  # all of it is there when the first is looked at
        for i in range(200):
            body = service.line_of(event("posted", f"posted-{i}"))
            head = f"POST /api/v1/records HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\nContent-Length: {len(body)}\r\n\r\n"
            held.append(socket.create_connection(("127.0.0.1", s.port), 20))
            held[-1].sendall(head.encode() + body)
            if i % 2:
                held[-1].shutdown(socket.SHUT_WR)
        os.kill(s.process.pid, signal.SIGCONT)
        is_answered_soon(s, "records")
        s.wait(lambda: s.ask("status")["events"] == count + 200)
        for connection in held:
            check(connection.recv(4096).startswith(b"HTTP/1.1 200"), "records are answered")
            connection.close()
        check(service.with_sanitizer() or resident_kib(s) < before + 100000, before, resident_kib(s))


def a_list_that_was_asked_for_just_now_is_as_new_as_the_store():
    with with_finding() as s:
        def titles(**headers):
            return [f["id"] for f in s.http("GET", "/api/v1/findings?state=all", **headers).json()["findings"]]

        equal((titles(), titles()), ([1], [1]))
        equal(s.http("POST", "/api/v1/records", body=service.line_of(event("b", "b-1"))).json()["taken"], 1)
        equal(sorted(titles()), [1, 2], "what this process wrote")
        check("fixed" not in s.http("GET", "/api/v1/findings?state=all").text)
        s.command("fix", "1")
        check("fixed" in s.http("GET", "/api/v1/findings?state=all").text, "what another process wrote")
        token = {"Authorization": "Bearer " + s.token()}
        guest, owner = s.http("GET", "/steering"), s.http("GET", "/steering", **token)
        check("<form" in owner.text and "<form" not in guest.text.replace('class="search"', ""), "of others' rights")
        for path in ("/?state=all", "/?state=all&environment=", "/?environment=&state=all", "/?search=a", "/?search=b"):
            check(s.http("GET", path).text == s.http("GET", path).text)
        check("open_a" in s.http("GET", "/?search=open_a&state=all").text)
        check("open_a" not in s.http("GET", "/?search=open_b&state=all").text.split("<main")[1])
        equal(s.http("HEAD", "/").status, 200)


def an_answer_is_of_the_question_that_was_asked():
    """Names and values that are the same text, one behind the other, are two questions."""
    with with_finding() as s:
        count = lambda query: s.http("GET", "/api/v1/findings?" + query).json()["total"]
        equal((count("search=open_a&state=all"), count("search=open_astateall")), (1, 0))


def an_upload_that_goes_on_outlives_silent_connections():
    with with_finding() as s:
        lines = b"".join(service.line_of(event("u", f"u{i}", f_pad=3000)) for i in range(600))
        upload = socket.create_connection(("127.0.0.1", s.port), 20)
        upload.sendall(f"POST /api/v1/records HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\nContent-Length: {len(lines)}"
                       "\r\n\r\n".encode())
        held = []
        for at in range(0, len(lines), len(lines) // 8 + 1):
            upload.sendall(lines[at:at + len(lines) // 8 + 1])
            time.sleep(0.05)
            held += hold(s, 100)
        equal(upload.recv(12), b"HTTP/1.1 200")
        equal(len(held), 800)


def a_page_that_is_open_outlives_silent_connections():
    """It waits by design."""
    with with_finding() as s:
        with socket.create_connection(("127.0.0.1", s.port), 20) as page:
            page.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\n\r\n".encode())
            lines = page.makefile("rb")
            while lines.readline() != b"event: hello\n":
                pass
            held = hold(s, 600)
            equal(s.http("GET", "/style.css").status, 200)
            append(s.directory, event("b", "2"))
            for line in lines:
                if line == b"event: change\n":
                    break
            else:
                raise AssertionError("the page was closed")
            equal(len(held), 600)


def resident_kib(s):
    with open(f"/proc/{s.process.pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])


def post_partly(s, path, size, sent):
    connection = socket.create_connection(("127.0.0.1", s.port), 20)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\nContent-Length: {size}\r\n\r\n"
    connection.sendall(head.encode() + sent)
    return connection


def status_once_finished(connection):
    """b"" where it was ended: it held memory and was silent for two seconds."""
    try:
        connection.sendall(b"\n")
        return connection.recv(12)[9:]
    except OSError:
        return b""


def bodies_that_are_not_finished_take_bounded_memory():
    with with_finding() as s:
        before = resident_kib(s)
        begin = time.time()
        held = [post_partly(s, "/api/v1/records", 3 << 20, b"x" * ((3 << 20) - 1)) for _ in range(20)]
        is_answered_soon(s, "beside unfinished bodies")
        grown = resident_kib(s) - before
        check(service.with_sanitizer() or grown < 30 << 10, grown, "KiB for bodies")
        told = [status_once_finished(connection) for connection in held]
        check(set(told) <= {b"200", b"503", b""} and told.count(b"200") <= 5, told)
        check(told[-1] == b"503" or time.time() - begin > 2, told)


def a_body_that_paused_does_not_end_itself():
    """Where there is no room for the rest of it, it is told so: what was silent gives way to others alone."""
    with with_finding() as s:
        kib = 1 << 10
        paused = post_partly(s, "/api/v1/records", 3900 * kib, b"x" * (3000 * kib))
        time.sleep(2.1)
        held = [post_partly(s, "/api/v1/records", 3900 * kib, b"x" * (3344 * kib)) for _ in range(4)]
        time.sleep(0.5)
        paused.sendall(b"x" * (9 * kib))  # eight have room
        time.sleep(0.1)
        paused.sendall(b"x" * (891 * kib - 1))
        told = status_once_finished(paused)
        check(told in (b"503", b"200"), told, "200 where the others were silent for two seconds, too")
        equal(len(held), 4)


def a_body_that_trickles_makes_no_progress():
    """However much of it came before: it gives way to others."""
    with with_finding() as s:
        kib = 1 << 10
        slow = post_partly(s, "/api/v1/records", 3900 * kib, b"x" * (3000 * kib))
        for _ in range(12):
            time.sleep(0.2)
            slow.sendall(b"x")
        begin = time.time()
        held = [post_partly(s, "/api/v1/records", 3400 * kib, b"\n" * (3400 * kib - 1)) for _ in range(4)]
        time.sleep(0.5)
        told = [status_once_finished(connection) for connection in held]
        check(told == [b"200"] * 4 or time.time() - begin > 2, told)


def bodies_that_were_answered_take_no_room():
    with with_finding() as s:
        equal([s.http("POST", "/api/v1/records", body="\n" * (3 << 20)).status for _ in range(7)], [200] * 7)


def uploads_at_once_are_few():
    with with_finding() as s:
        begin = time.time()
        held = [post_partly(s, "/api/v1/symbols", 99, b"x") for _ in range(8)]
        folder = s.directory + "/symbols"
        s.wait(lambda: os.path.isdir(folder) and len(os.listdir(folder)) == 8)
        refused = s.http("POST", "/api/v1/symbols", body="x" * 20000)
        answer = (refused.status, refused.json()["error"])
        check(answer == (503, "too much is being sent at once: try again") or time.time() - begin > 2, answer)
        held[0].close()
        s.wait(lambda: s.http("POST", "/api/v1/symbols", body="x").status == 400)
        held[0] = post_partly(s, "/api/v1/symbols", 99, b"x")
        s.wait(lambda: len(os.listdir(folder)) == 8)
        time.sleep(2.1)  # all have stopped
        equal([s.http("POST", "/api/v1/symbols", body="x" * 20000).status for _ in range(3)], [400] * 3)


def uploads_that_were_cut_short_stop_no_others():
    """In a container each server has the same number, and may meet the files of one that was killed."""
    program = os.path.realpath("/proc/self/exe")
    with open(program, "rb") as file:
        head = file.read(64)
    with Service() as s:
        folder = s.directory + "/symbols"
        equal(s.http("POST", "/api/v1/symbols", body=head).status, 400, "it makes the folder")
        for i in range(9):
            open(f"{folder}/new-{s.process.pid}-{i}", "x", encoding="ascii").close()
        equal([s.http("POST", "/api/v1/symbols", body=head).status for _ in range(3)], [400] * 3)


service.main([
    thousands_of_silent_connections_hold_nobody_up, connections_that_send_a_byte_now_and_then_hold_nobody_up,
    many_lists_at_once_hold_up_neither_intake_nor_pages, a_list_that_was_asked_for_just_now_is_as_new_as_the_store,
    an_answer_is_of_the_question_that_was_asked,
    an_upload_that_goes_on_outlives_silent_connections, a_page_that_is_open_outlives_silent_connections,
    bodies_that_are_not_finished_take_bounded_memory, a_body_that_paused_does_not_end_itself,
    a_body_that_trickles_makes_no_progress,
    bodies_that_were_answered_take_no_room, uploads_at_once_are_few, uploads_that_were_cut_short_stop_no_others],
    alone=[thousands_of_silent_connections_hold_nobody_up, many_lists_at_once_hold_up_neither_intake_nor_pages,
           connections_that_send_a_byte_now_and_then_hold_nobody_up, bodies_that_are_not_finished_take_bounded_memory,
           a_body_that_paused_does_not_end_itself, a_body_that_trickles_makes_no_progress])
