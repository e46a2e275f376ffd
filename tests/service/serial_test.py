#!/usr/bin/env python3
"""Findings of boards, by serial lines that lose and garble: they end in the right finding, or say what is missing."""

import contextlib
import os
import random
import re
import resource
import sqlite3
import struct
import subprocess
import termios
import time
import zlib

import service
from service import Service, check, equal, losses

LINE = 25  # bytes of data
BUFFER = 4096  # bytes of a line that the collector keeps
SOURCE = """
void *make(void) { return (void *)1; }
void spoil(char *p) { *(volatile char *)p = 1; }
int main(void) { spoil(make()); return 0; }
"""


def frame(kind, record, index, data, last):
    body = struct.pack("<BBHH", 1, kind, record, index | (0x8000 if last else 0)) + data
    return b"#RF:" + (body + struct.pack("<I", zlib.crc32(body))).hex().encode() + b"\r\n"


def lines_of(kind, record, fields):
    """Fields are whole in their lines."""
    lines = [b""]
    for tag, value in fields:
        field = bytes([tag, len(value)]) + value
        if len(lines[-1]) + len(field) > LINE:
            lines.append(b"")
        lines[-1] += field
    return [frame(kind, record, i, data, i + 1 == len(lines)) for i, data in enumerate(lines)]


def number(value):
    return value.to_bytes(8, "little").rstrip(b"\0")


class Board:
    """A program, and what a board that runs it says."""

    def __init__(self, folder):
        self.image = os.path.join(folder, "fw.elf")
        source = os.path.join(folder, "fw.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write(SOURCE.lstrip())
        subprocess.run(["cc", "-g", "-O0", "-fno-pie", "-no-pie", "-Wl,--build-id", "-o", self.image, source],
                       check=True)
        symbols = subprocess.run(["nm", self.image], stdout=subprocess.PIPE, check=True).stdout.decode()
        self.addresses = {name: int(at, 16) for at, name in re.findall(r"^([0-9a-f]+) T (\w+)$", symbols, re.M)}

    def finding(self, sequence=1, size=13, block=0x20001000):
        def stack(base, function):
            return [(base + 4, bytes([i]) + number(self.addresses[name] + 8))
                    for i, name in enumerate((function, "main"))]

        fields = [(4, number(0x2000105D)), (5, number(block)), (6, number(size)), (3, b"\1"), (7, b"\1"),
                  (9, number(size)), (20, b"tlsf"), (21, b"guard")]
        return lines_of(1, sequence, fields + stack(64, "spoil") + stack(80, "make"))

    def text(self, record, text):
        data = text.encode()
        pieces = [data[i:i + LINE] for i in range(0, len(data), LINE)]
        return [frame(0, record, i, piece, i + 1 == len(pieces)) for i, piece in enumerate(pieces)]


def a_pipe_tells_of_findings_and_of_the_board():
    with Service(start=False) as s:
        board = Board(s.root)
        pipe = os.path.join(s.root, "uart")
        os.mkfifo(pipe)
        s.options = ["--serial", pipe, "--image", board.image]
        s.start()
        with open(pipe, "wb", buffering=0) as uart:
            for line in board.text(1, '{"type":"device","device":"ab-12","boot":7,"reset":"watchdog"}'):
                uart.write(line)
            uart.write(b"booting\r\nok #RF: no digits\r\n")
            for line in board.finding():
                uart.write(line)
        s.wait(lambda: s.findings() and "make" in s.findings()[0]["place"])
        shown = s.ask("show", "1")
        check("fw.c:1" in shown["place"], shown["place"])
        equal(([h["name"] for h in shown["hosts"]], [p["name"] for p in shown["programs"]]),
              (["ab-12"], [os.path.realpath(board.image)]))
        equal(sorted(label["name"] for label in shown["labels"]), ["boot=7", "device=ab-12", "reset=watchdog"])
        with open(pipe, "wb", buffering=0) as uart:  # another writer; the board began anew
            for line in board.finding():
                uart.write(line)
        s.wait(lambda: s.ask("show", "1")["count"] == 2)
        equal(losses(s).get("damaged serial lines"), 1)


def garbled_lossy_lines_end_in_the_finding_or_say_what_is_missing():
    chance = random.Random(7)
    with Service(start=False) as s:
        board = Board(s.root)
        capture = os.path.join(s.root, "uart.log")
        whole = lost = 0
        with open(capture, "wb") as file:
            for sequence in range(1, 201):
                good = True
                for line in board.finding(sequence):
                    fate = chance.random()
                    file.write(bytes(chance.randrange(1, 256) for _ in range(chance.randrange(3))) + b"\n")
                    if fate < 0.02:  # a bit
                        at = chance.randrange(4, len(line) - 2)
                        line = line[:at] + bytes([line[at] ^ 1]) + line[at + 1:]
                    elif fate < 0.04:
                        line = b""
                    elif fate < 0.06:
                        line = line[:chance.randrange(len(line))]
                    elif fate < 0.08:
                        file.write(line)  # repeated
                    good = good and not fate < 0.06
                    file.write(line)
                whole += good
                lost += not good
        s.options = []
        s.command("serve", "--once", "--serial", capture, "--image", board.image)
        rows = s.findings("--limit", "1000")
        check(whole > 100 and lost > 20, whole, lost)
        right = [row for row in rows if "make" in row["place"] and row["bug"] == "heap-buffer-overflow"]
        check(max(row["count"] for row in right) >= whole, rows)
        told = losses(s)
        gone = told.get("findings of a serial line that did not arrive at all", 0)
        equal(sum(row["count"] for row in rows) + gone, 200, "each arrived, or is counted as missing")
        equal(told["findings of which serial lines did not arrive"] + gone, lost)
        partly = [row for row in rows if row not in right]
        for row in partly:
            check("did not arrive" in s.command("show", str(row["id"])), row)
        s.command("serve", "--once", "--serial", capture, "--image", board.image)
        equal(sum(row["count"] for row in s.findings("--limit", "1000")) + gone, 200, "a file that is read again")
        equal(losses(s), told)


def losses_of_a_file_that_is_read_again_count_once():
    """By --once and by a collector that begins anew; those of lines that came since, or of another file, do count."""
    with Service(start=False) as s:
        board = Board(s.root)
        capture = os.path.join(s.root, "uart.log")
        half, end = board.finding(1)[:-1], board.finding(1)[-1]
        damaged = b"#RF:00\r\n"

        def write(*lines, mode="ab"):
            with open(capture, mode) as file:
                file.writelines(lines)

        def told(lines, findings):
            return {"damaged serial lines": lines, "findings of which serial lines did not arrive": findings}

        write(damaged * 3, *half)
        for _ in range(2):
            s.command("serve", "--once", "--serial", capture)
            equal(losses(s), told(3, 1))
        s.options = ["--serial", capture]
        s.start()
        write(damaged)
        s.wait(lambda: losses(s) == told(4, 1))
        s.stop()
        s.start()
        write(end, damaged, *board.finding(2)[:-1])  # one has arrived after all, another has not
        s.wait(lambda: losses(s) == told(5, 1))
        s.stop()
        s.command("serve", "--once", "--serial", capture)
        equal(losses(s), told(5, 1))
        write(b"a console without findings\r\n" * 9, damaged * 2, mode="wb")  # the file's number stays
        for _ in range(2):
            s.command("serve", "--once", "--serial", capture)
            equal(losses(s), told(7, 1))


def a_file_that_does_not_grow_is_noted_once():
    """Not each second: pages would hear of a change, and the disk would have one."""
    with Service(start=False) as s:
        log = os.path.join(s.root, "uart.log")
        with open(log, "wb") as file:
            file.write(b"boot\n")
        s.options = ["--serial", log]
        s.start()
        with contextlib.closing(service.database(s)) as db:
            version = lambda: db.execute("PRAGMA data_version").fetchone()
            s.wait(lambda: db.execute("SELECT count(*) FROM serial_file").fetchone() == (1,))
            time.sleep(1.2)
            for _ in range(5):  # on a busy machine the first note may come later
                before = version()
                time.sleep(2.2)
                if version() == before:
                    break
            equal(version(), before)


def a_file_that_is_rotated_is_read_on():
    """By its name, to the end of the old file first; nothing counts twice, when it is read again neither."""
    with Service(start=False) as s:
        board = Board(s.root)
        log = os.path.join(s.root, "uart.log")

        def write(*parts, mode="ab", path=log):
            with open(path, mode) as file:
                file.write(b"".join(parts))

        def counted(count):
            s.wait(lambda: sum(row["count"] for row in s.findings()) == count)

        one = b"".join(board.finding(1))
        identity = b"".join(board.text(1, '{"type":"device","device":"ab-12","build_id":"9f3c"}'))
        write(identity, one)
        s.options = ["--serial", log, "--image", board.image]
        s.start()
        counted(1)
        write(one, mode="wb")  # truncated in place: as long as before, less the first line
        counted(2)
        write(b"a longer console\r\n" * 40, one, b"#RF:00\r\n", mode="wb")
        counted(3)
        s.wait(lambda: losses(s) == {"damaged serial lines": 1})
        old = open(log, "ab")
        os.rename(log, log + ".1")
        write(path=log)
        time.sleep(1.5)
        with old:  # whoever writes does not know yet
            old.write(b"".join(board.finding(2)[:-1]))
        counted(3)
        write(board.finding(2)[-1], one)  # in the new file
        counted(5)
        equal(losses(s), {"damaged serial lines": 1}, "the old one was read as long as the new one was empty")
        os.rename(log, log + ".2")
        write(one)
        counted(6)
        s.stop()
        s.start()
        write(b"".join(board.finding(7)))
        counted(7)
        s.stop()
        equal(sum(row["count"] for row in s.findings()), 7, "what was read before the restart")
        for path in (log, log + ".1"):
            s.command("serve", "--once", "--serial", path, "--image", board.image)
        counts = sum(row["count"] for row in s.findings())
        write(one, mode="wb")  # while nobody looks
        for _ in range(2):
            s.command("serve", "--once", "--serial", log, "--image", board.image)
            equal(sum(row["count"] for row in s.findings()), counts + 1)
        equal(losses(s)["damaged serial lines"], 1)


def losses_of_the_last_files_are_remembered():
    with Service(start=False) as s:
        for turn in range(270):
            with open(os.path.join(s.root, f"{turn}.log"), "wb") as file:
                file.write(b"#RF:00\r\n" * (turn + 1))
        files = [os.path.join(s.root, f"{turn}.log") for turn in range(270)]
        for first in range(0, 270, 8):
            s.command("serve", "--once", *[word for path in files[first:first + 8] for word in ("--serial", path)])
        before = losses(s)["damaged serial lines"]
        equal(before, sum(range(271)))
        s.command("serve", "--once", "--serial", files[-1], "--serial", files[20])
        equal(losses(s)["damaged serial lines"], before)
        db = sqlite3.connect(s.directory + "/ringfence.db")
        equal(db.execute("SELECT count(*) FROM serial_file").fetchone()[0], 256)
        db.close()


def a_board_that_began_anew_counts_from_one_again():
    with Service(start=False) as s:
        board = Board(s.root)
        capture = os.path.join(s.root, "uart.log")
        with open(capture, "wb") as file:
            for _ in range(3):
                file.writelines(board.finding(1) + board.finding(2))
        for _ in range(2):
            s.command("serve", "--once", "--serial", capture, "--image", board.image)
            equal([f["count"] for f in s.findings()], [6], "also if it is read again")
        with open(capture, "wb") as file:
            for _ in range(3):
                file.writelines(board.finding(1, size=14))
        s.command("serve", "--once", "--serial", capture, "--image", board.image)
        equal(sum(f["count"] for f in s.findings()), 9, "one finding in each run, the same")


def a_board_that_fails_at_each_start_counts_each():
    """A bad free of guard_small's is one line: the same each time."""
    with Service(start=False) as s:
        capture = os.path.join(s.root, "uart.log")
        line, = lines_of(5, 1, [(4, number(0x20001000)), (68, number(0x08001234))])
        with open(capture, "wb") as file:
            file.write((b"booting\r\n" + line + line) * 5)
        s.command("serve", "--once", "--serial", capture)
        equal([(row["bug"], row["count"]) for row in s.findings()], [("bad-free", 5)])


def a_finding_whose_end_is_lost_is_told_after_a_silence():
    with Service(start=False) as s:
        board = Board(s.root)
        log = os.path.join(s.root, "uart.log")
        with open(log, "wb") as file:
            file.write(b"".join(board.finding()[:-1]))
        s.options = ["--serial", log]
        s.start()
        s.wait(s.findings)
        check("did not arrive" in s.command("show", "1"))
        with open(log, "ab") as file:
            file.write(b"".join(board.finding(2)))
        s.wait(lambda: sum(row["count"] for row in s.findings()) == 2)


def a_finding_that_is_under_way_when_the_collector_ends_is_told():
    """No file has what came by a line: the next collector cannot read it again."""
    with Service(start=False) as s:
        board = Board(s.root)
        pipe = os.path.join(s.root, "uart")
        os.mkfifo(pipe)
        s.options = ["--serial", pipe]
        s.start()
        with open(pipe, "wb", buffering=0) as uart:
            damaged = bytearray(board.finding(1)[-1])
            damaged[-6] ^= 1
            uart.write(b"".join(board.finding(1)[:-1]) + bytes(damaged))
            equal(s.stop(), 0)
        s.once()
        equal([row["count"] for row in s.findings()], [1], s.log())
        check("did not arrive" in s.command("show", "1"))
        equal(losses(s), {"damaged serial lines": 1, "findings of which serial lines did not arrive": 1})


def a_finding_at_the_end_of_a_file_is_told_once():
    with Service(start=False) as s:
        board = Board(s.root)
        log = os.path.join(s.root, "uart.log")
        lines = board.finding()
        with open(log, "wb") as file:
            file.write(b"".join(lines[:-1]))
        s.options = ["--serial", log]
        s.start()
        equal(s.stop(), 0)
        with open(log, "ab") as file:
            file.write(lines[-1])
        s.start()
        s.wait(s.findings)
        s.stop()
        equal(([row["count"] for row in s.findings()], losses(s)), ([1], {}))


def lines_of_a_finding_may_come_slowly():
    with Service(start=False) as s:
        board = Board(s.root)
        pipe = os.path.join(s.root, "uart")
        os.mkfifo(pipe)
        s.options = ["--serial", pipe]
        s.start()
        with open(pipe, "wb", buffering=0) as uart:
            for line in board.finding():
                uart.write(line)
                time.sleep(1.3)  # the collector looks for silence each second
        s.wait(s.findings)
        shown = s.command("show", "1")
        equal(([row["count"] for row in s.findings()], "did not arrive" in shown, losses(s)), ([1], False, {}), shown)


def a_terminal_is_read_raw_and_waited_for():
    master, slave = os.openpty()
    with Service(start=False) as s:
        board = Board(s.root)
        device = os.path.join(s.root, "tty")
        os.symlink(os.ttyname(slave), device)
        s.options = ["--serial", device, "--baud", "9600"]
        s.start()
        os.write(master, b"\x03\x04\x1a" + b"".join(board.finding()))
        s.wait(s.findings)
        os.unlink(device)
        os.close(slave)
        os.close(master)
        s.wait(lambda: "was disconnected" in s.log())
        master, slave = os.openpty()
        os.symlink(os.ttyname(slave), device)
        s.wait(lambda: "connected again" in s.log())
        os.write(master, b"".join(board.finding(2)))
        s.wait(lambda: s.ask("show", "1")["count"] == 2)


def a_terminal_gets_the_speed_that_was_asked_for():
    master, slave = os.openpty()
    with Service(start=False) as s:
        for baud in (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1000000):
            s.command("serve", "--once", "--serial", os.ttyname(slave), "--baud", str(baud))
            equal(termios.tcgetattr(slave)[4:6], [getattr(termios, f"B{baud}")] * 2, baud)
    os.close(slave)
    os.close(master)


def a_line_begins_anywhere_behind_noise_without_an_end():
    with Service(start=False) as s:
        board = Board(s.root)
        capture = os.path.join(s.root, "uart.log")
        lengths = range(BUFFER - 90, BUFFER + 10, 9)
        with open(capture, "wb") as file:
            for sequence, length in enumerate(lengths, 1):
                file.writelines(b"." * length + line for line in board.finding(sequence))
        s.command("serve", "--once", "--serial", capture, "--image", board.image)
        equal(([f["count"] for f in s.findings()], losses(s)), ([len(lengths)], {}))


def a_line_ends_anywhere_before_noise_without_an_end():
    """One that lost its end is read where noise follows; one that has too many digits is damaged, and counted."""
    with Service(start=False) as s:
        board = Board(s.root)
        capture = os.path.join(s.root, "uart.log")
        begins = [*range(0, 2 * BUFFER, 61), *range(BUFFER - 5, BUFFER + 2)]
        with open(capture, "wb") as file:
            for sequence, begin in enumerate(begins, 1):
                file.writelines(b"." * begin + line.strip() + b"." * 2 * BUFFER + b"\n"
                                for line in board.finding(sequence))
            for begin in begins:
                file.write(b"." * begin + b"#RF:" + b"0" * 3 * BUFFER + b"\n")
        s.command("serve", "--once", "--serial", capture, "--image", board.image)
        equal(([f["count"] for f in s.findings()], losses(s)), ([len(begins)], {"damaged serial lines": len(begins)}))


def noise_costs_nothing():
    with Service(start=False) as s:
        pipe = os.path.join(s.root, "uart")
        os.mkfifo(pipe)
        s.options = ["--serial", pipe]
        s.start()
        chance = random.Random(1)
        with open(pipe, "wb", buffering=0) as uart:
            for i in range(3000):
                uart.write(bytes(chance.randrange(256) for _ in range(400)))
                uart.write(b"".join(lines_of(1, i, [(20, b"x")] * 20)[:-1]))
        began = time.time()
        s.wait(lambda: s.ask("status")["findings"] >= 1)
        with open(f"/proc/{s.process.pid}/status", encoding="ascii") as file:
            kib = int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])
        check(kib < (400000 if service.with_sanitizer() else 100000), kib, "KiB")
        check(time.time() - began < 20)


def losses_are_counted_once_the_store_can_be_written():
    damaged = b"#RF:00\r\n" * 3
    with Service(start=False) as s:
        pipe, capture = os.path.join(s.root, "uart"), os.path.join(s.root, "uart.log")
        os.mkfifo(pipe)
        with open(capture, "wb") as file:
            file.write(damaged)
        s.options = ["--serial", pipe, "--serial", capture]
        s.start()
        s.wait(lambda: losses(s).get("damaged serial lines") == 3)
        _, hard = resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        with open(pipe, "wb", buffering=0) as uart:  # a full disk, over several looks
            uart.write(damaged)
            time.sleep(1.2)
            uart.write(damaged)
            equal(losses(s).get("damaged serial lines"), 3)
            resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
            s.wait(lambda: losses(s).get("damaged serial lines") == 9)
            uart.write(damaged)
            s.wait(lambda: losses(s).get("damaged serial lines") == 12)
        s.stop()
        words = ["serve", "--no-shared", "--dir", s.directory, "--once", "--serial", capture]
        done = subprocess.run([service.SERVE, *words],
                              stderr=subprocess.PIPE, check=False,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
        equal(done.returncode, 1, "it says that nothing was counted")
        check(b"full" in done.stderr or b"no space left" in done.stderr, done.stderr)


def what_cannot_be_read_is_said():
    with Service(start=False) as s:
        for words, said in ((("--serial", "/nowhere"), "/nowhere"),
                            (("--serial", s.root), "a device, a pipe or a file"),
                            (("--serial", __file__, "--baud", "1234"), "--baud 1234"),
                            (("--serial", __file__, "--image", __file__), "the ELF file")):
            check(said in s.command("serve", "--once", *words, status=1), words)


service.main([
    a_pipe_tells_of_findings_and_of_the_board, garbled_lossy_lines_end_in_the_finding_or_say_what_is_missing,
    a_file_that_is_rotated_is_read_on, losses_of_a_file_that_is_read_again_count_once,
    losses_of_the_last_files_are_remembered,
    a_board_that_began_anew_counts_from_one_again, a_board_that_fails_at_each_start_counts_each,
    a_finding_whose_end_is_lost_is_told_after_a_silence,
    a_finding_that_is_under_way_when_the_collector_ends_is_told, a_finding_at_the_end_of_a_file_is_told_once,
    lines_of_a_finding_may_come_slowly,
    a_terminal_is_read_raw_and_waited_for, a_terminal_gets_the_speed_that_was_asked_for,
    a_line_begins_anywhere_behind_noise_without_an_end,
    a_line_ends_anywhere_before_noise_without_an_end, noise_costs_nothing,
    losses_are_counted_once_the_store_can_be_written, what_cannot_be_read_is_said,
    a_file_that_does_not_grow_is_noted_once,
])
