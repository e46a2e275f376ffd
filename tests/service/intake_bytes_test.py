#!/usr/bin/env python3
"""Bytes of a program's memory in records: which are kept, and which are damage."""

import json

import service
from service import Service, append, check, database, equal, event, losses


def bytes_are_kept_as_the_rules_say():
    cases = [
        ([], "guard", "development", "696a6b6c6d00fdfd", "uuuuu!gg"),
        ([], "sample", "development", "000000000000fdfd", "?????!gg"),
        (["--bytes", "production=none"], "guard", "production", "0000000000000000", "????????"),
        (["--bytes", "production=none"], "guard", "ci", "696a6b6c6d00fdfd", "uuuuu!gg"),
        (["--bytes", "*=guards"], "guard", "ci", "000000000000fdfd", "?????!gg"),
    ]
    for options, mode, environment, data, classes in cases:
        with Service(start=False) as s:
            append(s.directory, event("a", "1", mode=mode, environment=environment, f_mode=mode))
            s.command("serve", "--once", *options)
            window = s.ask("show", "1")["record"]["finding"]["window"]
            equal((window["bytes"], window["classes"]), (data, classes), options, mode)


def a_window_that_is_not_whole_has_no_bytes_left():
    secret = {"bytes": "736563726574", "expected": "736563726574", "classes": "uuuuuu"}
    with Service(start=False) as s:
        for number, missing in enumerate(secret):
            window = {name: value for name, value in secret.items() if name != missing}
            append(s.directory, event("a", str(number), f_window=window))
        s.command("serve", "--once", "--bytes", "*=none")
        equal(s.findings()[0]["count"], 3)
        check("736563" not in "".join(row[0] for row in database(s).execute("SELECT text FROM body")))


def bytes_are_hidden_whatever_the_line_looks_like():
    secret = "5ec2e75ec2e7"

    def line(number, window, **more):
        return event(f"place{number}", f"{number}", mode="sample", **{"f_window": window, **more})

    whole = {"address": "0x1", "bytes": secret, "expected": secret, "classes": "uuuuuu"}
    labels = {"window": "a", "bytes": "00", "expected": "00", "classes": "u", "finding": "{"}
    text = json.dumps(line(4, whole))
    lines = [service.line_of(line(0, whole, labels=labels)), (json.dumps(line(1, whole)) + "\n").encode(),
             (json.dumps(line(2, whole)).replace(": ", "\t: \t").replace(", ", " , ") + "\n").encode(),
             service.line_of(line(3, {"window": whole, "finding": whole, "x": ["}", "]", "\\"], **whole})),
             text.replace('"window"', '"w\\u0069ndow"').replace('"bytes"', '"b\\u0079tes"').encode() + b"\n",
             service.line_of(line(5, {**whole, "classes": "uuuuu"})), service.line_of(line(6, secret)),
             service.line_of(line(7, {**whole, "bytes": [secret, 1]})), service.line_of(line(8, [secret])),
             text.replace('"bytes"', '"bytes": "%s", "bytes"' % secret).replace('"4"', '"9"').encode() + b"\n",
             service.line_of(line(10, whole, f_bug="heap-of-trouble")), service.line_of(line(11, whole, version=9))]
    with Service(start=False) as s:
        append(s.directory, *lines)
        s.once()
        kept = [text for table in ("body", "other") for text, in database(s).execute(f"SELECT text FROM {table}")]
        equal(len(kept), len(lines))
        for text in kept:
            seen = json.loads(text)["finding"]["window"]
            if not (isinstance(seen, dict) and "window" in seen):
                check(secret not in text, text)
            check(not isinstance(seen, dict) or seen.get("bytes") in (None, "0" * 12), text)
        equal(losses(s).get("lines that are no records"), None)


def written_bytes_and_single_bits_are_counted_over_all_events():
    with Service(start=False) as s:
        append(s.directory, *[event("nul", f"n-{i}") for i in range(7)],
               *[event("bit", f"b-{i}", f_value=0xFC, host="host-bad") for i in range(3)],
               event("bit", "b-9", f_value=0x41))
        s.once()
        shown = {row["place"].split()[0]: s.ask("show", str(row["id"])) for row in s.findings()}
        equal(shown["open_nul"]["written"], [{"offset": 0, "expected": 0xFD, "value": 0, "count": 7}])
        equal((shown["open_nul"]["one_bit"], shown["open_bit"]["one_bit"], shown["open_bit"]["damaged"]), (0, 3, 4))
        equal([(h["name"], h["count"]) for h in shown["open_bit"]["one_bit_hosts"]], [("host-bad", 3)])


def written_bytes_that_no_rule_keeps_are_nowhere():
    """Nor in what is counted for ever; that there was damage is no secret."""
    secret = 0x53
    for rule, kept in (("none", []), ("guards", [{"offset": 0, "expected": 0xFD, "value": secret, "count": 1}])):
        with Service(start=False) as s:
            append(s.directory, event("nul", "1", f_value=secret))
            s.command("serve", "--once", "--bytes", f"*={rule}")
            shown = s.ask("show", "1")
            equal((shown["written"], shown["damaged"]), (kept, 1), rule)


def bytes_that_were_left_out_are_not_shown():
    with Service(start=False) as s:
        append(s.directory, event("nul", "1"))
        s.command("serve", "--once", "--bytes", "*=none")
        check("Bytes as found" not in s.command("show", "1"))
    with Service(start=False) as s:
        append(s.directory, event("nul", "1"))
        s.command("serve", "--once", "--bytes", "*=guards")
        text = s.command("show", "1")
        check("? left out" in text and " -- --" in text, text)


def only_bytes_that_differ_are_damage():
    """Three bits are more than a fault of the memory; a block that is whole is none."""
    window = {"address": "0x1058", "bytes": "696a6b6c6dfdfdfd", "expected": "696a6b6c6dfdfdfd", "classes": "uuuuuggg"}
    with Service(start=False) as s:
        append(s.directory, event("a", "1", f_window=window, count=3), event("b", "2", f_value=0xFD ^ 3),
               event("c", "3", f_value=0xFD ^ 0x80), event("d", "4", f_value=0xFD ^ 1))
        s.once()
        equal([(row["damaged"], row["one_bit"]) for row in sorted(s.findings(), key=lambda row: row["id"])],
              [(0, 0), (1, 0), (1, 1), (1, 1)])
        s.command("merge", "3", "4")
        shown = [s.ask("show", id) for id in "123"]
        equal([(one["damaged"], one["one_bit"], one["new"]) for one in shown],
              [(0, 0, True), (1, 0, True), (2, 2, True)])


service.main([
    bytes_are_kept_as_the_rules_say, a_window_that_is_not_whole_has_no_bytes_left,
    bytes_are_hidden_whatever_the_line_looks_like, written_bytes_and_single_bits_are_counted_over_all_events,
    only_bytes_that_differ_are_damage, written_bytes_that_no_rule_keeps_are_nowhere,
    bytes_that_were_left_out_are_not_shown,
])
