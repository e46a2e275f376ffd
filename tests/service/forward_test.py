#!/usr/bin/env python3
"""Records of a spool on their way to another collector: none is lost, none counts twice, whatever fails."""

import fcntl
import http.server
import itertools
import os
import random
import resource
import signal
import socket
import subprocess
import threading
import time

import service
from forwarding import Flaky, forward, total
from service import Service, append, check, children_of, equal, event, has_ended, line_of, record


def a_tree_of_collectors_has_all_once():
    """Through a proxy that fails half of the time, killed over and over while processes write."""
    fates = itertools.cycle(["answer lost", "passed", "refused", "passed", "lost", "passed"])
    with Service() as upstream, Service(start=False) as s:
        proxy = Flaky(upstream.port, lambda: next(fates))
        written = 0
        process = None
        for turn in range(12):
            append(s.directory, *[event(f"p{i % 7}", f"{turn}-{i}", pad=500) for i in range(50)])
            written += 50
            asked = len(proxy.fates)
            process = forward("--to", proxy.url, "--no-shared", s.directory, wait=False)
            time.sleep(random.random() * 0.4)
            if turn % 2 == 0:  # on a busy machine it might send nothing in any turn
                proxy.wait_for_more_than(asked)
            process.send_signal(signal.SIGKILL)
            process.wait()
        proxy.chance = lambda: "passed"
        status, said = forward("--to", proxy.url + "/", "--once", "--no-shared", s.directory)
        equal(status, 0, said)
        upstream.wait(lambda: total(upstream) >= written)
        equal(total(upstream), written)
        equal(os.listdir(os.path.join(s.directory, "spool")), [])
        check("answer lost" in proxy.fates, proxy.fates)
        proxy.shutdown()


def what_it_sends_by_ends_with_it():
    """A collector that takes the connection and is silent; who sends to it is killed."""
    with Service(start=False) as s, socket.create_server(("127.0.0.1", 0)) as silent:
        append(s.directory, event("a", "1"))
        process = forward("--to", f"http://127.0.0.1:{silent.getsockname()[1]}", "--no-shared", s.directory, wait=False)
        with silent.accept()[0]:
            curl, = children_of(process.pid)
            process.send_signal(signal.SIGKILL)
            process.wait()
            deadline = time.time() + 20
            while not has_ended(curl):
                check(time.time() < deadline, "it goes on to send")
                time.sleep(0.01)


def a_folder_that_its_last_user_is_leaving_is_waited_for():
    """One that was killed may have had a child that has its lock for some moments more."""
    with Service() as upstream, Service(start=False) as s:
        for number, words in enumerate((("forward", "--to", f"http://127.0.0.1:{upstream.port}", "--once", s.directory),
                                        ("serve", "--once", "--no-shared", "--dir", s.directory))):
            append(s.directory, event("a", str(number)))
            held = 1
            while held >= 1:  # it waits for a second: where the machine had no time for this test, once more
                folder = os.open(s.directory, os.O_RDONLY)
                fcntl.flock(folder, fcntl.LOCK_EX)
                begin = time.monotonic()
                process = subprocess.Popen([service.SERVE, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                time.sleep(0.3)
                runs = process.poll() is None
                os.close(folder)
                held = time.monotonic() - begin
                said = process.communicate(timeout=service.PATIENCE)[0]
            check(runs, words)
            equal(process.returncode, 0, said)
        equal((total(upstream), total(s)), (1, 1))


def it_waits_for_a_collector_that_is_not_there():
    with Service() as upstream, Service(start=False) as s:
        fates = iter(["refused", "lost"])
        proxy = Flaky(upstream.port, lambda: next(fates, "passed"))
        append(s.directory, event("a", "1"))
        process = forward("--to", proxy.url, "--no-shared", s.directory, wait=False)
        upstream.wait(lambda: total(upstream) == 1)
        append(s.directory, event("a", "2"), record("summary", "3", seconds=1.0, allocations=1, findings=0))
        upstream.wait(lambda: total(upstream) == 2)
        upstream.wait(lambda: not os.listdir(os.path.join(s.directory, "spool")))
        process.send_signal(signal.SIGTERM)
        said = process.communicate()[0].decode()
        equal(process.returncode, 0)
        check("3 records forwarded" in said, said)
        equal((said.count("records wait here"), said.count("accepts records again")), (1, 1), said)
        proxy.shutdown()


def an_end_on_request_is_no_failure():
    with Service(start=False) as s:
        append(s.directory, event("a", "1"))
        process = forward("--to", "http://127.0.0.1:1", "--no-shared", s.directory, wait=False)
        said = process.stdout.readline().decode()
        process.send_signal(signal.SIGTERM)
        said += process.communicate()[0].decode()
        equal((process.returncode, "records wait here" in said, "0 records forwarded" in said), (0, True, True), said)


def an_end_on_request_waits_for_no_collector_that_is_silent():
    with Service(start=False) as s, socket.create_server(("127.0.0.1", 0)) as silent:
        append(s.directory, event("a", "1"))
        process = forward("--to", f"http://127.0.0.1:{silent.getsockname()[1]}", "--no-shared", s.directory, wait=False)
        with silent.accept()[0]:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
        equal(process.returncode, 0)
        check(os.listdir(os.path.join(s.directory, "spool")), "the record waits on")


def a_large_spool_is_sent_in_pieces():
    """Larger than the buffer, with a line that does not fit into it."""
    with Service() as upstream, Service(start=False) as s:
        append(s.directory, *[event(f"p{i % 5}", f"e{i}", pad=4000) for i in range(900)], b"x" * (3 << 20) + b"\n",
               event("last", "e900"))
        status, said = forward("--to", f"http://127.0.0.1:{upstream.port}", "--once", "--no-shared", s.directory)
        equal(status, 0, said)
        check("901 records" in said and "1 half-written" in said, said)
        equal(total(upstream), 901)


def half_lines_are_left_out():
    with Service() as upstream, Service(start=False) as s:
        whole = service.line_of(event("a", "1"))
        append(s.directory, whole[:50] + service.line_of(event("a", "2")), whole, b'{"record":"finding","ver')
        status, said = forward("--to", f"http://127.0.0.1:{upstream.port}", "--once", "--no-shared", s.directory)
        equal(status, 0)
        check("2 records" in said and "2 half-written" in said, said)
        equal(total(upstream), 2)


def what_is_no_file_in_the_spool_holds_nobody_up():
    for make in (os.mkdir, os.mkfifo, lambda path: os.symlink("../../secret", path)):
        with Service() as upstream, Service(start=False) as s:
            os.mkdir(s.directory + "/spool", 0o700)
            with open(s.root + "/secret", "wb") as file:
                file.write(line_of(event("b", "2")))
            make(s.directory + "/spool/taken-1")
            append(s.directory, event("a", "1"))
            status, said = forward("--to", f"http://127.0.0.1:{upstream.port}", "--once", "--no-shared", s.directory)
            equal((status, total(upstream)), (0, 1), said)


def a_segment_that_a_writer_holds_is_sent_later():
    with Service() as upstream, Service(start=False) as s:
        words = ("--to", f"http://127.0.0.1:{upstream.port}", "--once", s.directory)
        append(s.directory, event("a", "1"))
        with open(s.directory + "/spool/current", "ab") as held:
            fcntl.flock(held, fcntl.LOCK_SH)
            check("0 records forwarded" in forward(*words)[1])
            append(s.directory, event("b", "2"))
            check("1 record forwarded" in forward(*words)[1], "those of others go")
            equal(total(upstream), 1)
            held.write(line_of(event("c", "3")))
        check("2 records forwarded" in forward(*words)[1])
        equal((total(upstream), os.listdir(s.directory + "/spool")), (3, []))


def what_does_not_work_is_said():
    with Service("--listen", "0.0.0.0:0") as upstream, Service(start=False) as s:
        url = f"http://127.0.0.1:{upstream.port}"
        append(s.directory, event("a", "1"))
        status, said = forward("--to", url, "--once", "--no-shared", s.directory)
        check(status == 1 and "status 401" in said and "token" in said, status, said)
        equal(len(os.listdir(os.path.join(s.directory, "spool"))), 1, "it waits")
        equal(forward("--to", url, "--once", s.directory, RINGFENCE_TOKEN=upstream.token())[0], 0)
        equal(total(upstream), 1)
        append(s.directory, event("b", "2"))
        begin = time.time()
        check("no collector answers" in forward("--to", "http://127.0.0.1:1", "--once", "--no-shared", s.directory)[1])
        check(time.time() - begin > 6.9, "1, 2 and 4 s between four tries")
        check("cannot open" in forward("--to", url, "--once", "/nowhere")[1])
        check("runs on" in forward("--to", url, "--once", upstream.directory)[1], "serve has the folder")
        equal(forward("--once")[0], 2)
        status, said = forward("--to", "ftp://127.0.0.1", s.directory)
        check(status == 2 and "--to ftp://127.0.0.1" in said, status, said)


def what_waits_for_another_collector_is_taken_in_whole_here():
    """serve remembers how far it took a segment in that is gone since, and forward made one of that name."""
    with Service(start=False) as s:
        append(s.directory, event("a", "1"), event("b", "2"))
        s.once()
        append(s.directory, event("c", "3"), event("d", "4"))
        equal(forward("--to", "http://127.0.0.1:1", "--once", "--no-shared", s.directory)[0], 1)
        s.once()
        equal((len(s.findings()), os.listdir(s.directory + "/spool")), (4, []))


def a_spool_goes_in_the_order_of_its_segments():
    moment = service.timestamp(100)  # of events of one time, those that come first and last are the first and the last
    with Service() as upstream, Service(start=False) as s:
        for number in (20, 3, 100):
            append(s.directory, event("a", f"{number}", pid=number, time=moment))
            os.rename(s.directory + "/spool/current", s.directory + f"/spool/taken-{number}")
        append(s.directory, event("a", "4", pid=4, time=moment))
        open(s.directory + "/spool/segment-empty", "wb").close()
        append(s.directory, b"\n", b'{"record":"fi{"record":"x{"record":"finding"}\n')
        os.rename(s.directory + "/spool/current", s.directory + "/spool/segment-5")
        append(s.directory, b'{"record":"summary","version":1,"id":"nul","seconds":1,"mode":"\0"}\n')
        status, said = forward("--to", f"http://127.0.0.1:{upstream.port}/", "--once", "--no-shared", s.directory)
        check(status == 0 and "5 records forwarded" in said and "2 half-written" in said, said)
        equal(os.listdir(s.directory + "/spool"), ["segment-empty"])
        equal([e["pid"] for e in upstream.ask("show", "1")["events"] if e["last"]], [4])
        equal([e["pid"] for e in upstream.ask("show", "1")["events"] if e["first"]], [3])


def what_comes_in_goes_behind_what_a_clock_that_was_ahead_numbered():
    moment = service.timestamp(100)
    with Service() as upstream, Service(start=False) as s:
        append(s.directory, event("a", "early", pid=9, time=moment))
        os.rename(s.directory + "/spool/current", s.directory + "/spool/taken-9999999999999")
        append(s.directory, event("a", "late", pid=4, time=moment))
        said = forward("--to", f"http://127.0.0.1:{upstream.port}", "--once", "--no-shared", s.directory)[1]
        check("2 records forwarded" in said, said)
        events = upstream.ask("show", "1")["events"]
        equal([[e["pid"] for e in events if e[role]] for role in ("first", "last")], [[9], [4]])


def records_follow_a_collector_that_has_moved():
    """Whatever the redirection's status: the request there has the records, too."""
    class Moved(http.server.BaseHTTPRequestHandler):
        def do_POST(self):  # pylint: disable=invalid-name
            self.rfile.read(int(self.headers["Content-Length"]))
            status, path = self.path[1:4], self.path[4:]
            self.send_response(int(status))
            self.send_header("Location", f"http://127.0.0.1:{upstream.port}{path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):  # pylint: disable=arguments-differ
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Moved) as server, Service() as upstream:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for count, status in enumerate((301, 302, 303, 307, 308), 1):
            url = f"http://127.0.0.1:{server.server_port}/{status}"
            with Service("--forward", url, start=False) as s:
                append(s.directory, event("a", f"{status}"))
                check("1 record forwarded" in forward("--to", url, "--once", "--no-shared", s.directory)[1], status)
                equal(total(upstream), 2 * count - 1, status)
                append(s.directory, event("a", f"serve {status}"))
                s.command("serve", "--once", "--forward", url)
                equal(total(upstream), 2 * count, status)
        server.shutdown()


def a_request_that_has_no_place_is_said():
    def no_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    with Service() as upstream, Service(start=False) as s:
        append(s.directory, event("a", "1"))
        url = f"http://127.0.0.1:{upstream.port}"
        for words in (("forward", "--to", url, "--once", "--no-shared", s.directory),
                      ("export", "--as", "otlp", "--to", url, "--dir", upstream.directory)):
            if words[0] == "export":
                append(upstream.directory, event("b", "2"))
                upstream.wait(lambda: upstream.findings() != [])
            done = subprocess.run([service.SERVE, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  stdin=subprocess.DEVNULL, check=False, preexec_fn=no_files)
            said = done.stdout.decode()
            equal((done.returncode, said.count("the request has no place: File too large"), "answers" in said),
                  (1, 1, False), said)
        equal(forward("--to", url, "--once", "--no-shared", s.directory)[0], 0)
        equal(total(upstream), 2, "it waited")


service.main([
    what_does_not_work_is_said, a_request_that_has_no_place_is_said, a_tree_of_collectors_has_all_once,
    what_comes_in_goes_behind_what_a_clock_that_was_ahead_numbered,
    what_it_sends_by_ends_with_it, records_follow_a_collector_that_has_moved,
    a_folder_that_its_last_user_is_leaving_is_waited_for, it_waits_for_a_collector_that_is_not_there,
    an_end_on_request_is_no_failure, an_end_on_request_waits_for_no_collector_that_is_silent,
    a_large_spool_is_sent_in_pieces, half_lines_are_left_out,
    what_is_no_file_in_the_spool_holds_nobody_up, a_segment_that_a_writer_holds_is_sent_later,
    a_spool_goes_in_the_order_of_its_segments,
    what_waits_for_another_collector_is_taken_in_whole_here,
])
