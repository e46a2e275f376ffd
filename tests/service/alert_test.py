#!/usr/bin/env python3
"""Alerts, webhooks and watching: told once, told again after a failure, and to nobody else."""

import contextlib
import http.server
import itertools
import json
import os
import re
import resource
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import service
from service import Service, append, build, check, database, equal, event, take


def alerts_come_once_for_each_environment():
    with Service(start=False) as s:
        log = s.root + "/alerts"
        s.options += ["--alert-command", f"cat >> {log}; echo >> {log}"]
        s.start()
        begin = time.time()
        append(s.directory,
               *[event("a", f"{i}", environment=e) for i, e in enumerate(("ci", "ci", "production", "ci"))])

        def told():
            """Whole lines: the command writes the line feed later."""
            if not os.path.exists(log):
                return []
            with open(log, encoding="utf-8") as file:
                return [json.loads(line) for line in file.read().split("\n")[:-1]]

        s.wait(lambda: len(told()) >= 1)
        check(time.time() - begin > 2.5, "names that come in may show that a finding is not new")
        s.wait(lambda: len(told()) >= 2)
        equal([(t["kind"], t["environment"], t["finding"]) for t in told()],
              [("new", "ci", 1), ("new", "production", 1)])
        check("close_a" in told()[0]["text"] or "open_a" in told()[0]["text"])
        s.command("fix", "1")
        append(s.directory, *[event("a", f"n{i}", environment="ci", build=build("z")) for i in range(3)])
        s.wait(lambda: len(told()) >= 3)
        equal(told()[2]["kind"], "reopened")
        s.wait(lambda: s.ask("status")["alerts_waiting"] == 0)


def a_collector_that_runs_once_tells_as_well():
    """All that is new before it ends; one that fails is left for the next time, and its exit status says so."""
    with Service(start=False) as s:
        log = s.root + "/alerts"
        tells = ("serve", "--once", "--alert-command", f"cat >> {log}; echo >> {log}")
        append(s.directory, event("a", "1", environment="ci"), event("b", "2"))
        check("an alert failed: the command" in s.command("serve", "--once", "--alert-command", "exit 3", status=1))
        begin = time.time()
        s.command(*tells)
        check(time.time() - begin > 1, "one each second")
        append(s.directory, event("a", "3", environment="ci"), event("c", "4"))
        s.command(*tells)
        s.command(*tells)
        with open(log, encoding="utf-8") as file:
            told = [json.loads(line) for line in file]
        equal([(t["finding"], t["environment"]) for t in told], [(1, "ci"), (2, "development"), (3, "development")])


def an_alert_that_was_told_and_could_not_be_noted_is_a_failure():
    """It will be told again. The command lets none of those that began it write to a file."""
    with Service(start=False) as s:
        script = s.root + "/limit.py"
        with open(script, "w", encoding="utf-8") as file:
            file.write("import os, resource\n"
                       "pid = os.getppid()\n"
                       "while not os.path.samefile(f'/proc/{pid}/exe', '/proc/self/exe'):\n"
                       "    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))\n"
                       "    with open(f'/proc/{pid}/stat', encoding='utf-8') as file:\n"
                       "        pid = int(file.read().rpartition(')')[2].split()[1])\n")
        append(s.directory, event("a", "1"))
        s.command("serve", "--once", "--alert-command", f"{sys.executable} {script}", status=1)
        equal(s.ask("status")["alerts_waiting"], 1)
        s.command("serve", "--once", "--alert-command", "true")
        equal(s.ask("status")["alerts_waiting"], 0)


def an_alert_that_failed_is_told_later_whole_and_once():
    with Service(start=False) as s:
        log = s.root + "/alerts"
        take(s, event("a", "1", environment="ci"), event("b", "2"), event("c", "3", environment="qa"))
        database = sqlite3.connect(s.directory + "/ringfence.db")
        database.execute("UPDATE activity SET alert = 1, time = time - 10000")
        database.commit()
        s.options = ["--alert-command", f"tee -a {log} | grep -qv '\"finding\":1,'; said=$?; echo >> {log}; exit $said"]
        s.start()
        s.wait(lambda: "an alert failed: the command" in s.log())
        s.wait(lambda: s.ask("status")["alerts_waiting"] == 1)
        time.sleep(1.2)
        equal(s.log().count("an alert failed"), 1, "it is tried again a minute later")
        equal(len(open(log, encoding="utf-8").readlines()), 3, "and holds no other up")
        s.stop()
        s.options[1] = f"cat >> {log}; echo >> {log}"
        s.start()
        s.wait(lambda: s.ask("status")["alerts_waiting"] == 0)
        equal(sorted(database.execute("SELECT alert, count(*) FROM activity WHERE kind = 'new' GROUP BY 1").fetchall()),
              [(2, 3)])
        database.close()
        with open(log, encoding="utf-8") as file:
            told = [json.loads(line) for line in file]
        equal([t["finding"] for t in told], [1, 2, 3, 1])
        shown = s.ask("show", "1")
        wanted = {"kind": "new", "environment": "ci", **{name: shown[name] for name in ("bug", "title", "place")}}
        equal({name: told[3][name] for name in wanted}, wanted)
        equal(told[3]["url"], f"http://127.0.0.1:{s.port}/finding/1")
        for word in ("new in ci", shown["bug"], shown["title"], shown["place"]):
            check(word in told[3]["text"], told[3])


def an_alert_that_was_told_is_not_told_again_while_the_disk_is_full():
    """Nor forgotten once there is room."""
    with Service(start=False) as s:
        log, full = s.root + "/alerts", s.root + "/full"
        s.options += ["--alert-command", f"until test -e {full}; do sleep 0.1; done; echo told >> {log}"]
        s.start()
        append(s.directory, event("a", "1"))
        s.wait(lambda: s.findings() != [])
        s.wait(lambda: service.children_of(s.process.pid))
        soft, hard = resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE)
        size = os.path.getsize(s.directory + "/ringfence.db-wal")
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (size, hard))
        open(full, "x", encoding="ascii").close()
        s.wait(lambda: os.path.exists(log))
        time.sleep(4)
        equal((s.ask("status")["alerts_waiting"], len(open(log, encoding="ascii").readlines())), (1, 1))
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
        s.wait(lambda: s.ask("status")["alerts_waiting"] == 0)
        equal(len(open(log, encoding="ascii").readlines()), 1)


def a_receiver_that_is_down_is_not_asked_for_each_alert():
    with Service(start=False) as s:
        take(s, *[event(f"n{i}", f"{i}") for i in range(12)])
        database = sqlite3.connect(s.directory + "/ringfence.db")
        database.execute("UPDATE activity SET alert = 1, time = time - 10000")
        database.commit()
        database.close()
        s.options = ["--alert-command", "exit 1"]
        s.start()
        s.wait(lambda: s.log().count("an alert failed") == 3)
        s.command("merge", "1", "2")
        time.sleep(3)
        equal(s.log().count("an alert failed"), 3)
        s.stop()
        s.options[1] = "exit 0"
        s.start()
        s.wait(lambda: s.ask("status")["alerts_waiting"] == 0)
        database = sqlite3.connect(s.directory + "/ringfence.db")
        equal(sorted(database.execute("SELECT alert, count(*) FROM activity WHERE kind = 'new' GROUP BY 1").fetchall()),
              [(0, 1), (2, 11)], "what was merged is not told")
        database.close()


def failures_with_others_between_them_are_none_in_a_row():
    with Service(start=False) as s:
        take(s, *[event(f"n{i}", f"{i}") for i in range(8)])
        with contextlib.closing(database(s)) as db:
            db.execute("UPDATE activity SET alert = 1, time = time - 10000")
        s.options = ["--alert-command", "grep -q '\"finding\":[1357],'"]
        s.start()
        s.wait(lambda: s.ask("status")["alerts_waiting"] == 4)
        s.wait(lambda: s.log().count("an alert failed") == 4)


def a_webhook_is_posted_to_and_tried_again():
    if shutil.which("curl") is None:
        print("     (no curl: left out)")
        return
    got = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):  # pylint: disable=invalid-name
            got.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"]))),
                        self.headers.get_all("Content-Type")))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):  # pylint: disable=arguments-differ
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Service("--webhook", f"http://127.0.0.1:{server.server_port}/hook?secret=1&tags[]=a&set={{1,2}}") as s:
            append(s.directory, event('quote"d', "1"))
            s.wait(lambda: got)
            equal((got[0][0], got[0][2]), ("/hook?secret=1&tags[]=a&set={1,2}", ["application/json"]))
            check('quote"d' in got[0][1]["text"] and got[0][1]["url"].endswith("/finding/1"), got)
        server.shutdown()
    with Service("--alert-command", "exit 1") as s:
        append(s.directory, event("a", "1"))
        s.wait(lambda: "an alert failed: the command" in s.log())
        equal(s.ask("status")["alerts_waiting"], 1)


def a_webhook_that_has_moved_is_said_and_not_taken_for_told():
    """A redirection is no receipt, whatever its status."""
    if shutil.which("curl") is None:
        print("     (no curl: left out)")
        return
    got = []

    class Moved(http.server.BaseHTTPRequestHandler):
        def do_POST(self):  # pylint: disable=invalid-name
            got.append(self.path)
            self.send_response(int(self.path[1:]))
            self.send_header("Location", "/200")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_):  # pylint: disable=arguments-differ
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Moved) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for status, why in ((301, "leads to another address"), (302, "leads to"), (307, "leads to"),
                            (404, "answers with an error"), (500, "answers with an error")):
            with Service(start=False) as s:
                take(s, event("a", "1"))
                with contextlib.closing(database(s)) as db:
                    db.execute("UPDATE activity SET alert = 1, time = time - 10000")
                s.options = ["--webhook", f"http://127.0.0.1:{server.server_port}/{status}"]
                s.start()
                s.wait(lambda s=s: "an alert failed: the webhook" in s.log())
                check(why in s.log(), status, s.log())
                equal(s.ask("status")["alerts_waiting"], 1, status)
        equal(got, ["/301", "/302", "/307", "/404", "/500"])
        server.shutdown()
    with Service("--webhook", "http://127.0.0.1:1/") as s:
        append(s.directory, event("a", "1"))
        s.wait(lambda: "an alert failed: the webhook does not answer" in s.log())


def links_of_alerts_lead_where_others_find_the_page():
    for hosts, page in [(["https://rf.example.org/"], "https://rf.example.org"), (["a.example"], "http://127.0.0.1"),
                        (["a.example", "http://b.example:8080", "https://c.example"], "http://b.example:8080")]:
        with Service(start=False) as s:
            log = s.root + "/alert"
            s.options += ["--alert-command", f"cat >{log}.part; mv {log}.part {log}"]
            s.options += [word for host in hosts for word in ("--host", host)]
            s.start()
            append(s.directory, event("a", "1"))
            s.wait(lambda: os.path.exists(log))
            with open(log, encoding="utf-8") as file:
                url = json.load(file)["url"]
            equal(url, (page if page != "http://127.0.0.1" else f"{page}:{s.port}") + "/finding/1")
            equal([s.http("GET", "/", host=host.split("//")[-1].rstrip("/")).status for host in hosts],
                  [200] * len(hosts))


def a_crash_loop_of_a_part_is_told_of_the_whole():
    with Service(start=False) as s:
        log = s.root + "/alerts"
        take(s, event("a", "1"), event("b", "2"))
        s.command("merge", "1", "2")
        s.options = ["--alert-command", f"cat >> {log}; echo >> {log}"]
        s.start()
        append(s.directory, *[event("b", f"l-{i}", pid=i) for i in range(25)])
        s.wait(lambda: os.path.exists(log) and s.ask("status")["alerts_waiting"] == 0)
        with open(log, encoding="utf-8") as file:
            equal([(told["kind"], told["finding"]) for told in map(json.loads, file)], [("crash loop", 1)])
        check("crash loop" in [a["kind"] for a in s.ask("show", "1")["activity"]])


def a_clock_that_was_set_back_holds_no_alert_up():
    with Service("--alert-command", "cat >> told", start=False) as s:
        append(s.directory, event("a", "1"))
        s.once()
        database = sqlite3.connect(s.directory + "/ringfence.db")
        equal(database.execute("UPDATE activity SET alert = 1, time = time + 86400000").rowcount, 1)
        database.commit()
        database.close()
        s.options[1] = "cat >> " + s.root + "/told"
        s.start()
        s.wait(lambda: os.path.exists(s.root + "/told"))


def signals_of(process):
    """Those that are blocked, and those that are ignored, in its process; without 32 and 33, which are glibc's own."""
    with open(f"/proc/{process}/status", encoding="ascii", errors="replace") as file:
        sets = re.findall(r"^(Sig(?:Blk|Ign)):\s+(\w+)$", file.read(), re.M)
    return [(name, int(mask, 16) & ~(1 << 31 | 1 << 32)) for name, mask in sets]


def an_alert_s_command_has_the_signals_that_programs_have():
    """What it starts ends by SIGTERM, and the left end of a pipe by SIGPIPE."""
    with Service(start=False) as s:
        told = s.root + "/pid"
        s.options += ["--alert-command", f"echo $$ > {told}; exec sleep 600"]
        s.start()
        append(s.directory, event("a", "1"))
        command = s.wait(lambda: os.path.exists(told) and open(told, encoding="ascii").read().strip())
        s.wait(lambda: service.name_of(command) == "sleep")
        beside = subprocess.Popen(["sleep", "600"])
        s.wait(lambda: service.name_of(beside.pid) == "sleep")
        equal(signals_of(command), signals_of(beside.pid))
        beside.kill()
        beside.wait()


def a_collector_that_ends_leaves_no_alert_that_runs():
    """Nor a child of the alert's shell. The folder is free for the next collector at once."""
    for how in (signal.SIGKILL, signal.SIGTERM):
        with Service(start=False) as s:
            inner, beside = s.root + "/inner", s.root + "/beside"
            s.options += ["--alert-command", f"echo $$ > {beside}; sh -c 'echo $$ > {inner}; exec sleep 600'; true"]
            s.start()
            append(s.directory, event("a", "1"))
            pids = [s.wait(lambda path=path: os.path.exists(path) and open(path, encoding="ascii").read().strip())
                    for path in (inner, beside)]
            check(not any(map(service.has_ended, pids)), pids)
            s.stop(how)
            s.wait(lambda: all(map(service.has_ended, pids)))
            s.options = []
            s.start()


def what_an_alert_leaves_in_the_background_goes_on():
    with Service(start=False) as s:
        background = s.root + "/background"
        s.options += ["--alert-command", f"sh -c 'echo $$ > {background}; exec sleep 60' & :"]
        s.start()
        append(s.directory, event("a", "1"))
        pid = s.wait(lambda: os.path.exists(background) and open(background, encoding="ascii").read().strip())
        s.wait(lambda: s.ask("status")["alerts_waiting"] == 0)
        check(not service.has_ended(pid))
        os.kill(int(pid), signal.SIGKILL)


def wait_until_watching(s, watch):
    """Watch tells what comes after it has begun: finding 1 is ignored, and no longer, until it tells of that."""
    for words in itertools.cycle((("ignore", "1", "--because", "known"), ("reopen", "1"))):
        s.command(*words, status=None)
        if select.select([watch.stdout], [], [], 1)[0]:
            return


def told_of_others(watch):
    """The next line that is not of finding 1."""
    return next(line for line in map(bytes.decode, iter(watch.stdout.readline, b"")) if "  #1  " not in line)


def told_as_fixed(watch):
    """Those of the next line that tells of a fix."""
    for line in iter(watch.stdout.readline, b""):
        told = json.loads(line)["activity"]
        check(all(a["kind"] == "fixed" or (a["kind"] in ("ignored", "opened") and a["finding"] == 1) for a in told))
        fixed = [a["finding"] for a in told if a["kind"] == "fixed"]
        if fixed:
            return fixed
    raise AssertionError("watch has ended")


def watch_tells_what_happens():
    with Service() as s:
        append(s.directory, event("old", "1"))
        s.wait(lambda: s.findings() != [])
        watch = subprocess.Popen([service.SERVE, "watch", "--dir", s.directory], stdout=subprocess.PIPE)
        wait_until_watching(s, watch)
        append(s.directory, event("young", "2", environment="ci"))
        line = told_of_others(watch)
        s.command("ignore", "2", "--because", "known")
        when, bug = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", r"  heap-buffer-overflow at open_young src/app\.c:10\n"
        check(re.fullmatch(when + "  new        #2      ci" + bug, line), line)
        line = told_of_others(watch)
        check(re.fullmatch(when + "  ignored    #2      " + bug, line), line)
        watch.kill()
        watch.wait()
        watch.stdout.close()
        words = [service.SERVE, "watch", "--json", "--dir", s.directory]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as watch:
            wait_until_watching(s, watch)
            for id in "12":
                s.command("fix", id)
                equal(told_as_fixed(watch), [int(id)])
            watch.kill()


service.main([
    # The longest come first.
    links_of_alerts_lead_where_others_find_the_page, a_collector_that_runs_once_tells_as_well,
    alerts_come_once_for_each_environment,
    a_webhook_is_posted_to_and_tried_again,
    a_webhook_that_has_moved_is_said_and_not_taken_for_told, a_collector_that_ends_leaves_no_alert_that_runs,
    an_alert_that_was_told_is_not_told_again_while_the_disk_is_full,
    a_crash_loop_of_a_part_is_told_of_the_whole, what_an_alert_leaves_in_the_background_goes_on,
    an_alert_s_command_has_the_signals_that_programs_have,
    an_alert_that_failed_is_told_later_whole_and_once, an_alert_that_was_told_and_could_not_be_noted_is_a_failure,
    watch_tells_what_happens, a_clock_that_was_set_back_holds_no_alert_up,
    a_receiver_that_is_down_is_not_asked_for_each_alert,
    failures_with_others_between_them_are_none_in_a_row,
])
