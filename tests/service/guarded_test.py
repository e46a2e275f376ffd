#!/usr/bin/env python3
"""The collector under the library's own checks: it touches no memory of others, and frees all that it allocates."""

import os
import resource
import socket
import sys
import time

import service
from service import Service, append, check, equal, event, record

LIBRARY = os.path.abspath(sys.argv[2])
BODY = b"\n" * 4096


def guarded(mode="page", leaks="0"):
    """Ends at its first finding, with another status than 0."""
    return Service(environment={"LD_PRELOAD": LIBRARY, "RINGFENCE_OPTIONS": f"mode={mode}:leaks={leaks}"})


def ends_well(s):
    """Ends the server, which is checked, and has found nothing."""
    with open(f"/proc/{s.process.pid}/maps", encoding="utf-8") as file:
        check("libringfence.so" in file.read())
    equal(s.stop(), 0, s.log())


def post_in_pieces(s, *pieces):
    """Each piece is a part of the body that libmicrohttpd hands on by itself."""
    connection = socket.create_connection(("127.0.0.1", s.port), 20)
    size = sum(map(len, pieces))
    connection.sendall(f"POST /api/v1/records HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\n"
                       f"Content-Length: {size}\r\n\r\n".encode())
    for piece in pieces:
        time.sleep(0.05)
        connection.sendall(piece)
    answer = connection.recv(12)
    connection.close()
    return answer


def a_body_that_comes_in_pieces_fills_its_room():
    """Room is for twice the first piece and its end: the second piece and its end fill that, or need more."""
    with guarded() as s:
        for size in (7, 31, 127):
            for more in (1, 2, 3):
                equal(post_in_pieces(s, BODY[:size], BODY[:size + more]), b"HTTP/1.1 200", size, more)
        ends_well(s)


def an_upload_that_the_disk_refuses_leaves_no_file():
    with guarded() as s:
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (200000, resource.RLIM_INFINITY))
        reply = s.http("POST", "/api/v1/symbols?name=x", body=b"x" * 500000, Authorization="Bearer " + s.token())
        equal(reply.status, 507)
        s.wait(lambda: os.listdir(s.directory + "/symbols") == [])
        ends_well(s)


def use(s):
    """Has records taken and pages answered, then ends the server."""
    append(s.directory, record("start", "run"), *[event(f"p{i}", f"{i}", f_pad=i) for i in range(30)],
           b'{"record":"finding","half', record("summary", "end"))
    s.wait(lambda: s.findings() != [] and s.ask("status")["events"] == 30)
    number = s.findings()[0]["id"]
    for path in ("/", "/?search=open_p1", f"/findings/{number}", "/processes", "/steering", "/coverage", "/none",
                 f"/api/v1/findings/{number}", "/api/v1/findings?limit=3", "/api/v1/status"):
        check(s.http("GET", path).status in (200, 404), path)
    equal(s.http("POST", f"/findings/{number}", body="action=ignore&note=%zz%41+b&empty=").status // 100, 4)
    ends_well(s)


def records_and_pages_need_no_memory_of_others():
    with guarded() as s:
        use(s)


def records_and_pages_leave_no_memory_behind():
    with guarded("guard", "all") as s:
        use(s)


service.main([
    a_body_that_comes_in_pieces_fills_its_room,
    an_upload_that_the_disk_refuses_leaves_no_file,
    records_and_pages_leave_no_memory_behind,
    records_and_pages_need_no_memory_of_others])
