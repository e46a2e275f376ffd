#!/usr/bin/env python3
"""Folders of logs in JSON on their way to a collector."""

import json
import os
import signal
import time

import service
from forwarding import Flaky, forward, total
from service import Service, check, equal, event, finding


def folders_of_json_lines_are_sent_once():
    with Service() as upstream, Service(start=False) as s:
        url = f"http://127.0.0.1:{upstream.port}"
        folder = os.path.join(s.root, "logs")
        os.mkdir(folder)
        log = os.path.join(folder, "a.jsonl")

        def lines(*values, mode="ab", end=b"\n"):
            with open(log, mode) as file:
                file.write(b"\n".join(json.dumps(v).encode() for v in values) + end)

        lines(finding("a"), finding("b"), {"type": "summary"}, event("c", "id-1"), end=b"\n{\"type\":\"finding\",")
        equal(forward("--to", url, "--once", folder, RINGFENCE_ENVIRONMENT="nightly")[0], 0)
        equal(total(upstream), 3)
        equal(sorted(e["name"] for e in upstream.ask("show", "1")["environments"]), ["nightly"])
        status, said = forward("--to", url, "--once", folder)
        check("0 records forwarded" in said, said)
        with open(log, "rb+") as file:  # the half line is completed
            file.seek(-len(b'{"type":"finding",'), os.SEEK_END)
            file.write(service.line_of(finding("d")))
        equal(forward("--to", url, "--once", folder)[0], 0)
        equal(total(upstream), 4)
        os.unlink(os.path.join(folder, ".ringfence-forwarded"))
        status, said = forward("--to", url, "--once", folder)
        check("had 4 of them" in said, said)
        equal(total(upstream), 4, "lines that are sent again count once")


def a_log_that_was_emptied_is_read_from_its_beginning():
    with Service() as upstream, Service(start=False) as s:
        folder = os.path.join(s.root, "logs")
        os.mkdir(folder)
        # Shorter than before, longer, and of the same length.
        for places, said_of_them in (("abc", "3 records"), ("d", "1 record "), ("efghi", "5 records"),
                                     ("klmno", "5 records")):
            with open(os.path.join(folder, "a.jsonl"), "wb") as file:
                file.write(b"\r\n".join(json.dumps(finding(place)).encode() for place in places) + b"\r\n\r\n")
            status, said = forward("--to", f"http://127.0.0.1:{upstream.port}", "--once", folder)
            equal((status, said_of_them in said, "left out" in said), (0, True, False), said)
        equal(total(upstream), 14)
        with open(os.path.join(folder, "a.jsonl"), "ab") as file:
            file.write(service.line_of(finding("p")))
        with open(os.path.join(folder, ".ringfence-forwarded"), "r+", encoding="ascii") as file:
            inode, offset, _ = file.read().split()
            file.seek(0)
            file.truncate()
            file.write(f"{inode} {offset}\n")  # as earlier versions left it
        said = forward("--to", f"http://127.0.0.1:{upstream.port}", "--once", folder)[1]
        check("1 record forwarded; the collector had 0" in said, said)
        with open(os.path.join(folder, ".ringfence-forwarded"), "w", encoding="ascii") as file:
            file.write(f"{inode} {offset}\n")
        with open(os.path.join(folder, "a.jsonl"), "wb") as file:
            file.write(service.line_of(finding("q")))
        said = forward("--to", f"http://127.0.0.1:{upstream.port}", "--once", folder)[1]
        check("1 record forwarded; the collector had 0" in said, "shorter than what earlier versions noted", said)


def lines_of_json_tell_who_found_what():
    with Service() as upstream, Service(start=False) as s:
        folder = os.path.join(s.root, "logs")
        os.mkdir(folder)
        frames = [dict(service.frame(name, 7), module="/srv/" + name) for name in ("deep", "main", "start")]
        found = finding("a", mode="page", pid=77, times=5, found={"thread": 1, "frames": frames})
        bare = finding("b", found={"thread": 1, "frames": frames[:1]})
        del bare["mode"]
        same = json.dumps(found) + "\n"
        for name, text in (("a.jsonl", same * 2), ("b.json", "no json\n" + json.dumps(bare) + "\n"), (".c.jsonl", same),
                           ("d.txt", same), ("e.jsonl", "\n\n" + json.dumps({**found, "detail": "x" * 300000}) + "\n" +
                                             json.dumps(finding("e")) + "\n"))[::-1]:  # numbers of files that fall
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        os.symlink(os.path.join(folder, "d.txt"), os.path.join(folder, "f.jsonl"))
        os.mkfifo(os.path.join(folder, "g.jsonl"))
        os.utime(os.path.join(folder, "a.jsonl"), (time.time() - 5000, time.time() - 5000))
        words = ("--to", f"http://127.0.0.1:{upstream.port}", "--once", folder)
        status, said = forward(*words, RINGFENCE_VERSION="1.5", RINGFENCE_COMMIT="")
        check(status == 0 and "4 records forwarded" in said and " 2 half-written" in said, said)
        rows = {row["place"].split()[0]: upstream.ask("show", str(row["id"])) for row in upstream.findings()}
        shown = rows["open_a"]
        equal([shown["count"], [e["pid"] for e in shown["events"]], shown["modes"][0]["name"],
               shown["programs"][0]["name"],
               shown["builds"][0]["name"]], [10, [77, 77], "page", "/srv/main", "1.5"])
        check(service.timestamp(5100) < shown["last_seen"] < service.timestamp(4900), shown["last_seen"])
        equal([rows["open_b"]["modes"][0]["name"], rows["open_b"]["programs"][0]["name"], rows["open_b"]["count"]],
              ["guard", "/srv/deep", 1])
        with open(os.path.join(folder, "b.json"), "a", encoding="utf-8") as file:
            file.write(json.dumps(bare) + "\n")
        check("1 record forwarded; the collector had 0" in forward(*words)[1])
        check("0 records forwarded; the collector had 0" in forward(*words)[1])


def requests_are_of_a_mebibyte_and_lines_that_are_too_long_hold_no_others_up():
    """A line of a quarter of that is taken; one that is longer, also than all that is read at once, is passed over."""
    with Service() as upstream, Service(start=False) as s:
        proxy = Flaky(upstream.port, lambda: "passed")
        folder = os.path.join(s.root, "logs")
        os.mkdir(folder)
        lines = [service.line_of(event(f"p{i}", f"id-{i}")) for i in range(24)]
        lines = [line[:-2] + b" " * (100 * 1024 - len(line)) + line[-2:] for line in lines]
        for at, length in ((3, 3 << 20), (9, (256 << 10) + 1), (15, 1 << 20), (21, (1 << 20) - 1)):
            lines.insert(at, b"x" * length + b"\n")
        lines.insert(12, b"a\0b\n")
        with open(os.path.join(folder, "a.jsonl"), "wb") as file:
            file.write(b"".join(lines))
        status, said = forward("--to", proxy.url, "--once", folder)
        equal((status, "24 records forwarded" in said, "5 half-written or unreadable lines left out" in said),
              (0, True, True), said)
        equal((total(upstream), proxy.fates), (24, ["passed"] * 3))
        proxy.shutdown()
        proxy.server_close()


def lines_wait_for_a_collector_that_is_away():
    with Service() as upstream, Service(start=False) as s:
        folder = os.path.join(s.root, "logs")
        os.mkdir(folder)
        for name in "ab":
            with open(os.path.join(folder, name + ".jsonl"), "w", encoding="utf-8") as file:
                file.write(json.dumps(finding(name)) + "\n")
        process = forward("--to", "http://127.0.0.1:1", folder, wait=False)
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate()
        said = forward("--to", f"http://127.0.0.1:{upstream.port}", "--once", folder)[1]
        check("2 records forwarded" in said, said)


def lines_of_a_folder_that_cannot_be_written_are_sent_once():
    with Service() as upstream, Service(start=False) as s:
        folder = os.path.join(s.root, "logs")
        os.makedirs(os.path.join(folder, ".ringfence-forwarded.new"))

        def write(*places):
            with open(os.path.join(folder, "a.jsonl"), "ab") as file:
                file.write(b"".join(service.line_of(finding(place)) for place in places))

        write("a", "b")
        process = forward("--to", f"http://127.0.0.1:{upstream.port}", folder, wait=False)
        upstream.wait(lambda: total(upstream) == 2)
        write("c")
        upstream.wait(lambda: total(upstream) == 3)
        time.sleep(2.5)  # it looks each second
        process.send_signal(signal.SIGTERM)
        said = process.communicate()[0].decode()
        check("3 records forwarded; the collector had 0 of them" in said, said)
        equal(said.count("cannot be noted in their folder (.ringfence-forwarded): Is a directory"), 1, said)
        process = forward("--to", f"http://127.0.0.1:{upstream.port}", folder, wait=False)
        process.stdout.readline()
        os.rmdir(os.path.join(folder, ".ringfence-forwarded.new"))
        upstream.wait(lambda: os.path.isfile(os.path.join(folder, ".ringfence-forwarded")))
        process.send_signal(signal.SIGTERM)
        check("the collector had 3 of them" in process.communicate()[0].decode())
        said = forward("--to", f"http://127.0.0.1:{upstream.port}", "--once", folder)[1]
        check("0 records forwarded" in said, said)


service.main([
    folders_of_json_lines_are_sent_once, a_log_that_was_emptied_is_read_from_its_beginning,
    lines_of_json_tell_who_found_what, lines_wait_for_a_collector_that_is_away,
    lines_of_a_folder_that_cannot_be_written_are_sent_once,
    requests_are_of_a_mebibyte_and_lines_that_are_too_long_hold_no_others_up,
])
