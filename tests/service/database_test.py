#!/usr/bin/env python3
"""The database: older and newer ones, damaged ones, backups."""

import ctypes
import os
import sqlite3
import subprocess

import service
from service import Service, append, check, database, equal, event, record

# Statements that undo each step of the schema, from version 1 on.
STEPS = [
    ["DROP TABLE symbol"],
    ["DROP TABLE symbol_file", "DROP TABLE nameless", "DROP INDEX finding_split"] +
    ["ALTER TABLE finding DROP COLUMN " + column for column in ("split_by", "split_stay", "split_from")],
    ["DROP TABLE process", "DROP TABLE snapshot", "DROP TABLE snapshot_body", "ALTER TABLE usage DROP COLUMN peak",
     "ALTER TABLE finding DROP COLUMN split_left", "ALTER TABLE finding DROP COLUMN split_wanted"],
    ["DROP TABLE steer", "DROP TABLE steer_step", "DROP TABLE steer_site"],
    ["DROP TABLE module", "DROP TABLE module_usage", "DROP TABLE site", "DROP TABLE site_watched"],
    ["DROP TABLE outgoing"],
    ["DROP INDEX finding_waits"],
    ["DROP TABLE serial_file"], ["ALTER TABLE serial_file DROP COLUMN generation"],
    ["DROP TABLE orphan"], ["DROP TABLE ended"], ["ALTER TABLE finding DROP COLUMN fixed_after"],
]


def contents_of(s):
    with open(s.directory + "/ringfence.db", "rb") as file:
        return file.read()


def an_older_database_is_migrated_and_a_newer_one_refused():
    for version in range(1, len(STEPS) + 1):
        with Service(start=False) as s:
            append(s.directory, event("a", "1"), record("summary", "b-1-1-1", seconds=36, peak=5, exit="status 0"))
            s.once()
            db = database(s)
            newest = db.execute("PRAGMA user_version").fetchone()[0]
            equal(newest, len(STEPS) + 1, "add what the new step made to STEPS")
            for step in reversed(STEPS[version - 1:]):
                for change in step:
                    db.execute(change)
            db.execute(f"PRAGMA user_version = {version}")
            said = s.command("findings", status=1)
            check("to migrate it" in said and "end the older `ringfence serve`" in said, said)
            check(f"schema       {version} of {newest}" in s.command("serve", "--check"))
            s.command("serve", "--backup", s.root + "/before")
            equal(sqlite3.connect(s.root + "/before").execute("PRAGMA user_version").fetchone()[0], version)
            equal(db.execute("PRAGMA user_version").fetchone()[0], version)
            s.once()
            equal((len(s.findings()), s.ask("status")["processes"]), (1, 1), "from version", version)
            equal(db.execute("PRAGMA user_version").fetchone()[0], newest)
            append(s.directory, record("summary", "b-1-1-2", seconds=36, peak=7, exit="status 0"))
            s.once()
            equal([p["peak"] for p in s.ask("processes")["programs"]], [7])
            equal((s.ask("coverage")["modules"], len(s.ask("coverage")["coverage"])), ([], 1))
            equal([db.execute("PRAGMA " + name).fetchone()[0] for name in ("auto_vacuum", "journal_mode")], [2, "wal"])
            db.execute(f"PRAGMA user_version = {newest + 1}")
            db.close()
            before = contents_of(s)
            for words in (("serve", "--once"), ("findings",)):
                check("newer Ringfence" in s.command(*words, status=1), words)
            check(contents_of(s) == before, "a database that is refused was written to")


def an_older_database_that_is_damaged_is_named_and_left():
    """Cut short, with a page of zeros, with the wrong version, and one of another program: nothing waits in vain."""
    def cut(path):
        os.truncate(path, os.path.getsize(path) // 2)

    def clear(path):
        with open(path, "r+b") as file:
            file.seek(4096)
            file.write(bytes(os.path.getsize(path) - 4096))

    def set_version(path):
        db = sqlite3.connect(path)
        db.execute("PRAGMA user_version = 2")
        db.close()

    def replace(path):
        os.unlink(path)
        db = sqlite3.connect(path)
        db.execute("CREATE TABLE meta(x)")
        db.close()

    for damage in (cut, clear, set_version, replace):
        with Service(start=False) as s:
            append(s.directory, *[event(f"p{i}", str(i)) for i in range(50)])
            s.once()
            db = database(s)
            version = len(STEPS) if damage in (cut, clear) else len(STEPS) + 1
            for change in [change for step in reversed(STEPS[version - 1:]) for change in step]:
                db.execute(change)
            db.execute(f"PRAGMA user_version = {version}")
            db.close()
            path = s.directory + "/ringfence.db"
            damage(path)
            append(s.directory, event("late", "late"))
            with open(path, "rb") as file:
                before = file.read()
            for words in (("serve", "--once"), ("serve", "--listen", "127.0.0.1:0")):
                said = s.command(*words, status=1)
                check("damaged" in said and "restore a backup" in said, damage.__name__, words, said)
            with open(path, "rb") as file:
                check(file.read()[100:] == before[100:], damage.__name__, "it is left as it is")
            check(os.path.getsize(s.directory + "/spool/current") > 0, "and so is the spool")


def a_database_of_a_version_that_there_is_not_is_left_as_it_is():
    for version in (-1, -2**31, 2**31 - 1):
        with Service(start=False) as s:
            s.once()
            path = s.directory + "/ringfence.db"
            with sqlite3.connect(path) as db:
                db.execute(f"PRAGMA user_version = {version}")
            db.close()
            said = s.command("serve", "--once", status=1)
            check(f"of a newer Ringfence (schema {version}," in said, said)
            equal(sqlite3.connect(path).execute("PRAGMA user_version").fetchone()[0], version)


def a_database_of_another_program_is_no_older_one():
    with Service(start=False) as s:
        with sqlite3.connect(s.directory + "/ringfence.db") as db:
            db.execute("CREATE TABLE meta(x)")
        for words in (("serve", "--check"), ("serve", "--backup", s.root + "/copy")):
            check("migrates" not in s.command(*words, status=1), words)
        check(not os.path.exists(s.root + "/copy"))


def a_backup_can_be_made_while_it_runs():
    with Service() as s:
        append(s.directory, event("a", "1"))
        s.wait(lambda: s.findings() != [])
        s.command("serve", "--backup", s.root + "/copy")
        equal(os.stat(s.root + "/copy").st_mode & 0o777, 0o600)
        equal(sqlite3.connect(s.root + "/copy").execute("SELECT count(*) FROM finding").fetchone()[0], 1)
        check("there already" in s.command("serve", "--backup", s.root + "/copy", status=1))


def forgo_rights_of_root():
    """Permissions of files hold for root, too, in the program that comes next."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE


def all_questions_are_answered_where_nobody_can_write():
    def run(*words):
        done = subprocess.run([service.SERVE, *words, "--dir", s.directory], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, preexec_fn=forgo_rights_of_root)
        return done.returncode, done.stdout.decode()

    with Service(start=False) as s:
        append(s.directory, event("a", "1"), event("b", "2"))
        s.once()
        os.chmod(os.path.join(s.directory, "ringfence.db"), 0o400)
        os.chmod(s.directory, 0o500)
        for words in (("findings",), ("show", "1"), ("why", "1", "2"), ("status",), ("gate",), ("builds",),
                      ("coverage",), ("processes",), ("steer", "list"), ("steer", "log"), ("symbols", "list"),
                      ("symbols", "missing"), ("export", "--as", "json"), ("serve", "--check")):
            status, said = run(*words)
            equal(status, 99 if words[0] == "gate" else 0, words, said)
        for words in (("fix", "1"), ("builds", "--add", "a" * 40), ("steer", "sweep", "--because", "x")):
            status, said = run(*words)
            check(status == 1 and "cannot be opened or written" in said, words, said)
            check("(attempt to write a readonly database)" in said or "(unable to open database file)" in said, said)
        os.chmod(s.directory, 0o700)


service.main([
    an_older_database_is_migrated_and_a_newer_one_refused, an_older_database_that_is_damaged_is_named_and_left,
    a_database_of_another_program_is_no_older_one, a_database_of_a_version_that_there_is_not_is_left_as_it_is,
    a_backup_can_be_made_while_it_runs,
    all_questions_are_answered_where_nobody_can_write,
])
