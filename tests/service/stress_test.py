#!/usr/bin/env python3
"""Kills the collector again and again while many processes write: no event is lost, none counts twice.

    stress_test.py RINGFENCE_SERVE [KILLS [PROCESSES [EVENTS]]]      defaults: 8 kills, 40 processes, 25 events each

`./bazelw run //tests/service:stress -- 200 1000 20` is the large run. Each process writes its events as a checked
process does; they are of ten findings. At the end the counts must be exact, in the findings and in the trend.
"""

import os
import random
import signal
import sys
import time

import service


def write(directory, number, events, pause):
    random.seed(number)
    for i in range(events):
        place = "place%d" % ((number + i) % 10)
        service.append(directory, service.event(place, f"b-{number}-1-{i}", pid=number))
        time.sleep(random.random() * 2 * pause)
    service.append(directory, service.record("summary", f"b-{number}-1-s", pid=number, seconds=1.0, allocations=1,
                                              findings=events, exit="status 0"))


def start_writers(directory, processes, events, pause):
    children = []
    for number in range(processes):
        child = os.fork()
        if child == 0:
            try:
                write(directory, number, events, pause)
                os._exit(0)
            except BaseException:  # pylint: disable=broad-except
                os._exit(1)
        children.append(child)
    return children


def main():
    kills, processes, events = (int(word) for word in (sys.argv[2:] + ["8", "40", "25"][len(sys.argv) - 2:]))
    with service.Service() as s:
        children = start_writers(s.directory, processes, events, kills * 0.16 / events)  # as long as the kills last
        for _ in range(kills):
            time.sleep(random.random() * 0.25)
            s.stop(signal.SIGKILL)
            s.start()
        for child in children:
            _, status = os.waitpid(child, 0)
            service.equal(status, 0, "a writer")
        wanted = processes * events
        s.wait(lambda: s.ask("status")["waiting_bytes"] == 0 and s.ask("status")["processes"] == processes, 120)
        rows = s.findings("--state", "all")
        status = s.ask("status")
        print(f"{kills} kills, {processes} processes, {wanted} events: {sum(r['count'] for r in rows)} counted in "
              f"{len(rows)} findings, {status['events']} in all, lost: {status['losses']}")
        service.equal(sum(r["count"] for r in rows), wanted, "events of findings")
        service.equal(status["events"], wanted, "events in all")
        service.equal(sum(sum(r["trend"]) for r in rows), wanted, "events of trends")
        service.equal(status["losses"], [], "losses")
        service.check("integrity    ok" in s.command("serve", "--check"), "integrity")


main()
