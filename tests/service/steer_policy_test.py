#!/usr/bin/env python3
"""The file and the segment by which rules reach processes: who is believed, and collectors that end and begin."""

import os
import struct
import time

import service
from service import Service, check, equal
from steered import Segment, Steered, policy, rule, rule_unseen


def a_collector_that_died_goes_on():
    """Or ended, with rules and without; also in the middle of a change: the generation is odd then."""
    with Service() as s:
        process = Steered(s, options="mode=sample")
        before = policy(s)
        for sig in (15, 9, 15):
            s.stop(sig)
            if sig == 9:
                live = Segment(before["live"], write=True)
                live.words[4] += 1
                time.sleep(0.3)
                live.leave()
            s.start()
            equal((policy(s)["live"], policy(s)["nonce"]), (before["live"], before["nonce"]))
            number = rule(s, "set", "--options", f"sample_rate={1000 + sig}")
            s.wait(lambda: f"policy rule {number}: sample_rate={1000 + sig}" in process.said())
        equal(process.end(), 0)


def a_collector_makes_the_segment_anew():
    """A user who logs out may take the shared memory along."""
    with Service() as s:
        before = policy(s)["live"]
        Segment(before).remove()
        s.wait(lambda: policy(s)["live"] != before)
        process = Steered(s, options="mode=sample")
        number = rule(s, "set", "--options", "sample_rate=99")
        s.wait(lambda: f"policy rule {number}: sample_rate=99" in process.said())
        equal(process.end(), 0)


def a_policy_that_cannot_be_written_is_complained_of_each_time():
    """Once, until it can be written again."""
    with Service() as s:
        new = os.path.join(s.directory, "policy.new")
        said = "new processes do not get the rules"
        for times in (1, 2):
            os.mkdir(new)
            for rate in (100, 200):
                rule_unseen(s, "set", "--options", f"sample_rate={times * 1000 + rate}")
                s.wait(lambda: s.log().count(said) >= times)
            time.sleep(0.5)
            equal(s.log().count(said), times)
            os.rmdir(new)
            s.wait(lambda: f"sample_rate={times * 1000 + 200}" in written(s))


def written(s):
    with open(os.path.join(s.directory, "policy"), "rb") as file:
        return file.read().decode("latin-1")


def nothing_is_left_where_nobody_is_steered():
    with Service() as s:
        live = policy(s)["live"]
        check(Segment.exists(live))
        equal(s.stop(), 0)
        check(not Segment.exists(live))
        check(not os.path.exists(os.path.join(s.directory, "policy")))


def only_ones_own_whole_files_are_believed():
    with Service() as s:
        rule(s, "set", "--options", "mode=sample:sample_rate=55")
        path = os.path.join(s.directory, "policy")
        equal(s.stop(), 0)
        with open(path, "rb") as file:
            good = file.read()

        def steered():
            process = Steered(s)
            equal(process.end(), 0)
            return "sample_rate 55" in process.begins()

        def write(data, mode=0o600):
            if os.path.lexists(path):
                os.unlink(path)
            with open(path, "wb") as file:
                file.write(data)
            os.chmod(path, mode)

        check(steered(), "the good one")
        for what, data in (("cut", good[:-1]), ("empty", b""), ("longer", good + b"\0"), ("head alone", good[:48]),
                           ("a byte is wrong", good[:60] + b"\x7f" + good[61:]),
                           ("another version", good[:8] + b"\2" + good[9:]), ("zeros", b"\0" * len(good))):
            write(data)
            check(not steered(), what)
        write(good, 0o620)
        check(not steered(), "others may write it")
        write(good)
        os.chmod(s.directory, 0o770)
        check(not steered(), "others may write the folder")
        os.chmod(s.directory, 0o700)
        os.rename(path, path + ".real")
        os.symlink("policy.real", path)
        check(not steered(), "a link")
        os.unlink(path)
        os.mkfifo(path)
        check(not steered(), "a pipe")
        os.unlink(path)
        write(good)
        if give_away(path):
            check(not steered(), "another user's")
        os.unlink(path)
        os.rename(path + ".real", path)
        check(steered(), "the good one again")
        Segment(struct.unpack_from("=i", good, 32)[0]).remove()


def give_away(path):
    try:
        os.chown(path, 65534, 65534)
        return True
    except OSError:  # not root, or no such user in this namespace
        return False


def a_file_that_is_cut_while_it_is_in_use_harms_nobody():
    with Service() as s:
        process = Steered(s, options="mode=sample")
        os.truncate(os.path.join(s.directory, "policy"), 0)
        time.sleep(0.3)
        number = rule_unseen(s, "set", "--options", "sample_rate=66")
        s.wait(lambda: f"policy rule {number}: sample_rate=66" in process.said())
        equal(process.end(), 0)
        equal(policy(s)["rules"], 1)


def a_damaged_segment_changes_nothing():
    with Service() as s:
        process = Steered(s, options="mode=sample")
        live = Segment(policy(s)["live"], write=True)
        live.words[20] ^= 1  # of the first rule's program
        live.words[10] = 32  # rules
        live.words[4] += 2   # a new generation
        time.sleep(0.5)
        live.leave()
        equal(process.process.poll(), None)
        equal(process.end(), 0)
        check("policy rule" not in process.text, process.text)


def children_are_steered_too():
    with Service() as s:
        process = Steered(s, "fork", options="mode=sample")
        number = rule(s, "set", "--options", "sample_rate=44")
        s.wait(lambda: process.said().count(f"policy rule {number}: sample_rate=44") == 2)
        equal(process.end(), 0)


def a_damaged_policy_file_is_not_gone_on_with():
    """Of another writer's segment, or with a byte that is wrong: a new segment has another number."""
    for damage in (lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:], lambda data: data[:-1],
                   lambda data: b"X" + data[1:]):
        with Service() as s:
            rule(s, "set", "--options", "sample_rate=50")
            before = policy(s)
            s.stop()
            path = os.path.join(s.directory, "policy")
            with open(path, "rb") as file:
                data = file.read()
            with open(path, "wb") as file:
                file.write(damage(data))
            s.start()
            after = policy(s)
            check(after["nonce"] != before["nonce"] and after["live"] != before["live"], before, after)
            equal((after["rules"], os.stat(path).st_mode & 0o777), (1, 0o600))
            Segment(before["live"]).remove()


service.main([
    a_collector_that_died_goes_on, a_collector_makes_the_segment_anew, nothing_is_left_where_nobody_is_steered,
    only_ones_own_whole_files_are_believed, a_file_that_is_cut_while_it_is_in_use_harms_nobody,
    a_damaged_segment_changes_nothing, children_are_steered_too, a_damaged_policy_file_is_not_gone_on_with,
    a_policy_that_cannot_be_written_is_complained_of_each_time,
])
