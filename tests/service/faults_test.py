#!/usr/bin/env python3
"""Full disks, damaged databases, folders of others, a collector that hangs: nothing is lost, messages are clear."""

import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import time

import service
from service import SERVE, Service, append, check, equal, event, record


def limit_files(most):
    """In a process that begins, as on a disk that is full beyond so many bytes of each file."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a sanitizer's start writes a file, too
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def once_with_limit(s, limit):
    done = subprocess.run([SERVE, "serve", "--no-shared", "--dir", s.directory, "--once"], stderr=subprocess.PIPE,
                          check=False, preexec_fn=lambda: limit_files(limit))
    return done.returncode, done.stderr.decode()


def a_full_disk_loses_nothing_and_is_named():
    for count, limit in ((50, 300000), (8, 100000)):  # several transactions, and one
        with Service(start=False) as s:
            append(s.directory, event("a", "1"))
            s.once()
            append(s.directory, *[event(f"p{i}", f"n-{i}", f_pad=20000) for i in range(count)])
            status, said = once_with_limit(s, limit)
            equal(status, 1, said)
            check("full" in said or "no space left" in said, said)
            check("wait in the spool" in said, said)
            check(s.ask("status")["waiting_bytes"] > count * 20000)
            s.once()
            equal(s.ask("status")["events"], count + 1)
            check("integrity    ok" in s.command("serve", "--check"))


def a_server_goes_on_when_the_disk_has_room_again():
    with Service() as s:
        append(s.directory, event("a", "1"))
        s.wait(lambda: s.findings() != [])
        soft, hard = resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (200000, hard))
        append(s.directory, *[event("b", f"n-{i}", f_pad=20000) for i in range(50)])
        s.wait(lambda: "findings wait in the spool" in s.log())
        equal(s.http("GET", "/").status, 200)
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
        s.wait(lambda: s.ask("status")["events"] == 51)
        s.wait(lambda: "can be written again" in s.log())
        append(s.directory, event("c", "last"))
        s.wait(lambda: s.ask("status")["events"] == 52)
        equal(s.stop(), 0)
        equal(s.log().count("can be written again"), 1)
        with sqlite3.connect(s.directory + "/ringfence.db") as db:
            check(db.execute("SELECT count(*) FROM segment").fetchone()[0] <= 1, "of segments that are gone")


def few_descriptors_are_as_many_as_may_be_or_are_named():
    with Service(start=False) as s:
        s.before = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (16, 200))
        s.start()
        equal(resource.prlimit(s.process.pid, resource.RLIMIT_NOFILE), (200, 200))
        silent = [socket.create_connection(("127.0.0.1", s.port)) for _ in range(250)]
        for connection in silent:
            connection.sendall(b"GET / HTTP/1.1\r\n")
        equal(s.http("GET", "/").status, 200)
        for connection in silent:
            connection.close()
        equal(s.stop(), 0)
        done = subprocess.run([SERVE, "serve", "--no-shared", "--dir", s.directory, "--listen", "127.0.0.1:0"],
                              stderr=subprocess.PIPE, check=False, text=True, timeout=60,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (129, 129)))
        equal(done.returncode, 1, done.stderr)
        check("at least 130 files must be allowed to be open (ulimit -n)" in done.stderr, done.stderr)


def names_of_a_transaction_that_failed_are_none():
    """They are found again, or made anew, when its records are taken in at last."""
    with Service() as s:
        append(s.directory, event("a", "1"))
        s.wait(lambda: s.findings() != [])
        soft, hard = resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (200000, hard))
        append(s.directory, *[event("b", f"n-{i}", f_pad=20000, environment="staging", labels={"team": "core"}, pid=i,
                                    build={"version": "2.0", "commit": "2" * 40}) for i in range(50)])
        s.wait(lambda: "findings wait in the spool" in s.log())
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
        s.wait(lambda: s.ask("status")["events"] == 51)
        found = s.findings("--env", "staging")
        equal([f["count"] for f in found], [50])
        counts = s.ask("show", str(found[0]["id"]))
        equal([(b["name"], b["count"]) for b in counts["builds"]], [("2" * 40, 50)])
        check('"staging"' in str(counts).replace("'", '"') and "team=core" in str(counts), counts)
        equal([loop["processes"] for loop in counts["crash_loops"]], [50], "each counts once")
        equal([a["kind"] for a in counts["activity"]], ["crash loop", "new"], "and it is told")


def repeats_that_a_transaction_took_which_failed_wait_on():
    """They count for their finding when it is taken in at last."""
    with Service() as s:
        append(s.directory, record("repeat", "n-99", of="n-0", count=4))
        s.wait(lambda: s.ask("status")["repeats_waiting"] == 4)
        soft, hard = resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (200000, hard))
        append(s.directory, *[event("a", f"n-{i}", f_pad=20000) for i in range(50)])
        s.wait(lambda: "findings wait in the spool" in s.log())
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
        s.wait(lambda: s.findings() != [])
        equal([f["count"] for f in s.findings()], [54])
        equal(s.ask("status")["repeats_waiting"], 0)


def an_upload_to_a_full_disk_says_so():
    """With another status than a file that is too large: it may be sent again later."""
    with Service() as s:
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (200000, resource.RLIM_INFINITY))
        reply = s.http("POST", "/api/v1/symbols?name=x", body=b"x" * 500000,
                       Authorization="Bearer " + s.token())
        equal(reply.status, 507)
        check("disk is full" in reply.text, reply.text)
        s.wait(lambda: os.listdir(s.directory + "/symbols") == [])


def a_file_of_a_backup_s_name_is_a_whole_backup():
    with Service(start=False) as s:
        append(s.directory, *[event(f"p{i}", f"{i}") for i in range(100)])
        s.once()
        folder = os.path.join(s.root, "copies")
        os.mkdir(folder)

        def back_up(name, limit):
            return subprocess.run([SERVE, "serve", "--dir", s.directory, "--backup", name], stderr=subprocess.PIPE,
                                  check=False, cwd=folder,
                                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))

        done = back_up("full", 100000)
        equal(done.returncode, 1)
        check(b"--backup full: its disk is full" in done.stderr, done.stderr)
        done = back_up("nowhere/full", 1 << 30)
        equal(done.returncode, 1)
        check(b"--backup nowhere/full: No such file or directory" in done.stderr, done.stderr)
        equal(os.listdir(folder), [], "nothing is left that looks like one")
        equal(back_up("", 1 << 30).returncode, 2)
        for name in ("full", "file:x?mode=memory", os.path.join(folder, "whole")):
            equal(back_up(name, 1 << 30).returncode, 0, name)
            with sqlite3.connect(os.path.join(folder, name)) as db:
                equal(db.execute("SELECT count(*) FROM finding").fetchone()[0], 100, name)
        equal(len(os.listdir(folder)), 3)


def a_damaged_database_is_named():
    with Service(start=False) as s:
        append(s.directory, *[event(f"p{i}", f"{i}") for i in range(300)])
        s.once()
        path = s.directory + "/ringfence.db"
        size = os.path.getsize(path)
        with open(path, "r+b") as file:
            for at in range(8192, size - 4096, 12288):
                file.seek(at)
                file.write(b"\xa5" * 2048)
        output = s.command("serve", "--check", status=1)
        check("damaged" in output.lower(), output)
        with open(path, "wb") as file:
            file.write(b"not a database, whatever its name says" * 300)
        for words in (("findings",), ("serve", "--once"), ("serve", "--listen", "127.0.0.1:0"), ("serve", "--check")):
            output = s.command(*words, status=1)
            check("damaged" in output, words, output)
        equal(open(path, "rb").read(14), b"not a database", "it is left as it is")


def damage_that_no_question_meets_is_told_by_a_check():
    with Service(start=False) as s:
        append(s.directory, event("a", "1"))
        s.once()
        check("integrity    ok" in s.command("serve", "--check"))
        schema = "UPDATE sqlite_master SET sql = replace(sql, 'text TEXT%s', 'text TEXT%s') WHERE name = 'words'"
        for change in (schema % (" NOT NULL", ""), "UPDATE words SET text = NULL", schema % ("", " NOT NULL")):
            with sqlite3.connect(s.directory + "/ringfence.db") as db:
                db.execute("PRAGMA writable_schema = 1")
                db.execute(change)
            db.close()
        said = s.command("serve", "--check", status=1)
        check("integrity    DAMAGED" in said and "findings     1" in said, said)


def folders_of_others_are_not_used():
    with Service(start=False) as s:
        os.chmod(s.directory, 0o777)
        check("open to others" in s.command("serve", "--once", status=1))
        os.chmod(s.directory, 0o700)
        os.symlink("/tmp", s.directory + "/spool")
        check("cannot use the spool" in s.command("serve", "--once", status=1))
        os.unlink(s.directory + "/spool")
        os.mkdir(s.directory + "/spool", 0o700)
        os.chmod(s.directory + "/spool", 0o770)
        check("/spool belongs to another user or is open to others" in s.command("serve", "--once", status=1))
        os.chmod(s.directory + "/spool", 0o700)
        os.symlink("/etc/passwd", s.directory + "/spool/taken-1")
        os.symlink("/etc/passwd", s.directory + "/spool/segment-2")
        append(s.directory, event("a", "1"))
        s.once()
        equal(s.ask("status")["events"], 1)
        s.directory = os.path.join(s.root, "a", "b", "c")
        s.once()
        equal([os.stat(os.path.join(s.root, part)).st_mode & 0o777 for part in ("a", "a/b", "a/b/c", "a/b/c/spool")],
              [0o700] * 4)


def a_server_that_hangs_or_is_dead_costs_writers_nothing():
    with Service() as s:
        os.kill(s.process.pid, signal.SIGSTOP)
        begin = time.process_time()  # that of the wall has others' turns in it
        append(s.directory, *[event("a", f"{i}") for i in range(200)])
        check(time.process_time() - begin < 2)
        os.kill(s.process.pid, signal.SIGCONT)
        s.wait(lambda: s.ask("status")["events"] == 200)


def a_database_that_another_program_holds_stalls_no_page():
    """Requests that wait for nobody take their time on a busy machine as well: others may take that in addition."""
    def pages():
        for path in ("/", "/finding/1", "/steering", "/api/v1/status"):
            equal(s.http("GET", path).status, 200)

    def fix_often():
        for _ in range(20):
            equal(s.http("POST", "/api/v1/findings/1/fix", body=b"", Authorization="Bearer " + s.token()).status, 503)

    with Service() as s:
        append(s.directory, event("a", "1"))
        s.wait(lambda: s.findings() != [])
        beside = 10 * service.seconds_of(pages)
        other = sqlite3.connect(s.directory + "/ringfence.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        append(s.directory, event("b", "2"))
        begin = time.monotonic()
        for _ in range(10):
            pages()
            time.sleep(0.05)
        for path, body in (("/api/v1/records", service.line_of(event("c", "3"))), ("/api/v1/findings/1/fix", b"")):
            reply = s.http("POST", path, body=body, Authorization="Bearer " + s.token())
            equal(reply.status, 503)
            check("another program holds" in reply.text, reply.text)
        took = time.monotonic() - begin
        check(took < 5 + 2 * max(beside, 10 * service.seconds_of(pages)), took, "s; before", beside, "s")
        took = service.seconds_of(fix_often)
        check(took < 2.5 + 10 * service.seconds_of(pages), "many wait no longer than one:", took, "s")
        s.wait(lambda: "another program holds the database's lock; findings wait in the spool" in s.log())
        equal(s.http("GET", "/").status, 200)
        other.execute("ROLLBACK")
        other.close()
        s.wait(lambda: s.ask("status")["events"] == 2)
        s.wait(lambda: "can be written again" in s.log())
        equal(s.http("POST", "/api/v1/records", body=service.line_of(event("c", "3"))).status, 200)


def a_server_whose_store_is_taken_away_says_so_and_ends():
    for what, words in (("all", "removed"), ("database", "removed"), ("other", "replaced")):
        with Service() as s:
            append(s.directory, event("a", "1"))
            s.wait(lambda: s.findings() != [])
            path = os.path.join(s.directory, "ringfence.db")
            if what == "all":
                shutil.rmtree(s.directory, ignore_errors=True)
            else:
                os.rename(path, path + ".old")
            if what == "other":
                shutil.copy(path + ".old", path)
            equal(s.process.wait(20), 1, what)
            check(f"was {words} while serve ran" in s.log(), s.log())


def a_server_whose_log_is_taken_away_loses_nothing():
    for end in ("-wal", "-shm"):
        with Service() as s:
            append(s.directory, *(event("a", f"{i}") for i in range(20)))
            s.wait(lambda: s.findings() != [] and s.findings()[0]["count"] == 20)
            os.unlink(os.path.join(s.directory, "ringfence.db" + end))
            append(s.directory, *(event("a", f"late-{i}") for i in range(20)))
            equal(s.process.wait(20), 1, end)
            check(f"ringfence.db{end} was removed while serve ran" in s.log(), s.log())
            s.start()
            s.wait(lambda: s.findings()[0]["count"] == 40)
            check("integrity    ok" in s.command("serve", "--check"))


def a_store_that_cannot_be_written_is_read():
    with Service() as s:
        append(s.directory, event("a", "1"))
        s.wait(lambda: s.findings() != [])
        copy = os.path.join(s.root, "a 50%41 copy?#")
        os.mkdir(copy, 0o700)
        s.command("serve", "--backup", os.path.join(copy, "ringfence.db"))
        database = sqlite3.connect(os.path.join(copy, "ringfence.db"))
        database.execute("PRAGMA journal_mode=WAL")
        database.close()
        shared = os.path.join(copy, "ringfence.db-shm")

        def ask(*words):
            return subprocess.run([SERVE, *words, "--dir", copy], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  check=False)

        # As on a disk that is mounted to be read, and on one without room: SQLite tells them apart.
        for make in (lambda: os.mkdir(shared), lambda: os.symlink("/nonexistent/x", shared)):
            make()
            for words in (("findings",), ("show", "1"), ("serve", "--check")):
                done = ask(*words)
                check(done.returncode == 0 and b"open_a" in done.stdout or words[0] == "serve", words, done)
            backup = os.path.join(s.root, "backup")
            equal(ask("serve", "--backup", backup).returncode, 0, "what is on such a disk is to be saved from it")
            database = sqlite3.connect(backup)
            equal(database.execute("SELECT count(*) FROM finding").fetchone(), (1,))
            database.close()
            os.unlink(backup)
            if os.path.isdir(shared):
                os.rmdir(shared)
        equal(ask("fix", "1").returncode, 1)
        with open(os.path.join(copy, "ringfence.db-wal"), "wb") as file:
            file.write(b"x" * 5000)
        equal(ask("findings").returncode, 1, "commits in the log would be missed")


def a_store_on_a_full_disk_is_read():
    """A file for its index can be made there, but has no room: nobody has the database open."""
    with Service(start=False) as s:
        append(s.directory, event("a", "1"))
        s.once()

        def ask(*words):
            return subprocess.run([SERVE, *words, "--dir", s.directory], check=False, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, preexec_fn=lambda: limit_files(0))

        for words in (("findings",), ("show", "1"), ("serve", "--check"), ("export", "--as", "text")):
            done = ask(*words)
            check(done.returncode == 0 and (b"open_a" in done.stdout or words[0] == "serve"), words, done)
        equal(ask("fix", "1").returncode, 1)


def a_server_that_finds_its_disk_full_does_not_start_and_says_so():
    """Before its database is made, while it is made, and when it is there; with room it starts, and has all of it."""
    with Service(start=False) as s:
        append(s.directory, event("a", "1"))
        for limit in (0, 5000, 100000):
            status, said = once_with_limit(s, limit)
            equal(status, 1, limit, said)
            check("ringfence.db: " in said and "full" in said, limit, said)
        s.start()
        s.wait(lambda: len(s.findings()) == 1)
        equal(s.stop(), 0)
        done = subprocess.run([SERVE, "serve", "--no-shared", "--dir", s.directory, "--listen", "127.0.0.1:0"],
                              stderr=subprocess.PIPE, check=False, text=True, timeout=60,
                              preexec_fn=lambda: limit_files(0))
        equal(done.returncode, 1, done.stderr)
        check("ringfence.db: " in done.stderr and "full" in done.stderr, done.stderr)
        s.start()
        equal(len(s.findings()), 1)


def commands_without_a_store_say_what_to_do():
    with Service(start=False) as s:
        for words in (("findings",), ("gate",), ("fix", "1"), ("serve", "--check")):
            check("start `ringfence serve`" in s.command(*words, status=1), words)
        done = subprocess.run([SERVE, "findings", "--dir", "/nonexistent/x"], stderr=subprocess.PIPE, check=False)
        equal(done.returncode, 1)


def an_answer_that_cannot_be_written_is_a_failure():
    """Of the kind of other failures: 2 is a wrong command line. The gate's own verdict stays."""
    with Service(start=False) as s:
        append(s.directory, event("a", "1"))
        s.once()
        dir_is = ["--dir", s.directory]
        for words, status in ((["findings", *dir_is], 1), (["status", "--json", *dir_is], 1), (["--help"], 1),
                              (["export", "--as", "json", *dir_is], 1), (["gate", *dir_is], 99)):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([SERVE, *words], stdout=full, stderr=subprocess.PIPE, check=False)
            equal(done.returncode, status, words)
            check(status == 99 or b"cannot write all" in done.stderr, words, done.stderr)


def the_command_line_is_checked():
    with Service(start=False) as s:
        for words, said in [(("--listen", "nowhere"), "--listen"), (("--listen", "1.2.3.4.5:80"), "use an address"),
                            (("--bytes", "sample"), "--bytes"), (("--bytes", "sample=some"), "--bytes"),
                            (("--keep-days", "-1"), "--keep-days"), (("word",), "options only"),
                            (("--what",), "unknown option"), (("--check", "--backup", "b"), "one of them"),
                            (("--once", "--check"), "one of them"), (("--backup", "b", "--once"), "one of them"),
                            (("--once", "--open"), "--open needs a server"),
                            (("--webhook", "http://x", "--alert-command", "y"), "not both"),
                            (("--webhook", ""), "--webhook"), (("--webhook", "ftp://x"), "--webhook"),
                            (("--webhook", "https://"), "--webhook"), (("--alert-command", ""), "is empty"),
                            (("--host", ""), "--host"), (("--host", "https://"), "--host"),
                            (("--host", "https://x/path"), "--host"), (("--host", "ftp://x"), "--host")]:
            output = s.command("serve", *words, status=2)
            check(said in output, words, output)
    for words in subprocess.check_output([SERVE, "help"]).decode().split("\n  ")[1:]:
        name = words.split()[0]
        usage = subprocess.check_output([SERVE, name, "--help"]).decode()
        check(usage.startswith("Usage: ringfence " + name) and "\n  -" in usage, name, usage)


service.main([
    # The longest come first.
    a_database_that_another_program_holds_stalls_no_page,
    a_full_disk_loses_nothing_and_is_named, a_server_goes_on_when_the_disk_has_room_again,
    few_descriptors_are_as_many_as_may_be_or_are_named,
    names_of_a_transaction_that_failed_are_none, repeats_that_a_transaction_took_which_failed_wait_on,
    an_upload_to_a_full_disk_says_so,
    a_file_of_a_backup_s_name_is_a_whole_backup, a_damaged_database_is_named, folders_of_others_are_not_used,
    a_server_that_hangs_or_is_dead_costs_writers_nothing, a_server_whose_store_is_taken_away_says_so_and_ends,
    damage_that_no_question_meets_is_told_by_a_check,
    a_server_whose_log_is_taken_away_loses_nothing, a_store_that_cannot_be_written_is_read,
    a_store_on_a_full_disk_is_read, a_server_that_finds_its_disk_full_does_not_start_and_says_so,
    commands_without_a_store_say_what_to_do, an_answer_that_cannot_be_written_is_a_failure,
    the_command_line_is_checked])
