#!/usr/bin/env python3
"""Looks at the pages in Chromium, light and dark, wide and narrow, over findings of every state.

    ./bazelw run //tests/service:page_check -- FOLDER      pictures go to FOLDER

Needs Chromium, node and npm, which fetches playwright-core and axe-core; so it is no part of `bazel test //...`.
"""

import os
import subprocess
import sys
import tempfile

import service
from service import Service, append, event, record

KINDS = ["heap-buffer-overflow", "heap-use-after-free", "double-free", "memory-leak", "heap-buffer-underflow"]


def records():
    number = 0
    for place in range(20):
        for i in range(1 + 60 // (place + 1)):
            number += 1
            ago = (number * 7919) % (28 * 86400)
            version = 3 - int(ago / 86400 / 7)
            released = {"f_released": {"thread": 1, "frames": [service.frame("release_all", 90)]}}
            more = released if place % 5 in (1, 2) else {}
            yield event(f"place{place}", f"e-{number}", ago=ago, pid=number, host=["ci-1", "ci-2", "web-03"][i % 3],
                        environment=["development", "ci", "production"][number % 3], labels={"attempt": str(i % 2)},
                        build={"version": f"1.{version}.0", "commit": f"{version + 10:x}" * 20},
                        f_bug=KINDS[place % 5], f_value=[0, 0, 0x41, 0xFC][(place + i * (place % 2)) % 4], **more)
    for i in range(60):
        yield record("summary", f"s-{i}", ago=i * 40000, pid=i, seconds=36000.0, allocations=10 ** i % 9999991,
                     build={"version": f"1.{3 - i // 16}.0", "commit": f"{13 - i // 16:x}" * 20})
    for i in range(30):
        yield event("loop", f"l-{i}", pid=9000 + i, environment="production", f_value=0xFC, host="web-09")


def covered():
    """Summaries of processes whose modules were watched in part."""
    for i in range(12):
        sites = [{"path": path, "build_id": build_id * 10, "sites": count,
                  "watched": [[4096 + 24 * k, 1 + k % 9] for k in range(count) if (k + i) % every == 0],
                  "unwatched": [4096 + 24 * k for k in range(count) if (k + i) % every]}
                 for path, build_id, count, every in (("/srv/bin/server", "ab12", 240, 16),
                                                      ("/srv/bin/worker", "cd34", 90, 13),
                                                      ("/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30", "ef56", 31, 12),
                                                      ("/usr/lib/x86_64-linux-gnu/libcodec-long-name.so.2", "9a78",
                                                       400, 400))]
        yield record("summary", f"c-{i}-1", ago=i * 9000, pid=i, seconds=7200.0 * (i + 1), allocations=10 ** 6,
                     sites=sites,
                     exit="status 0", mode=["guard", "sample", "page"][i % 3])


def hostile():
    """Names that are long, written from right to left, made of other signs, or no text at all."""
    template = "std::__cxx11::basic_string<char,std::char_traits<char>>::" + "very_long_name_of_a_template" * 12
    names = ["\u0634\u0631\u0643\u0629_\u0630\u0627\u0643\u0631\u0629", "\U0001f41e\U0001f4a5_bug", "a\u202egnirts",
             "x" * 4000, template, "<script>alert(1)</script>", "\u65e5\u672c\u8a9e"]
    for i, name in enumerate(names):
        yield event(name, f"h-{i}", ago=86400.0 * 27, host=name[:300], program="/srv/" + name, environment=name[:60],
                    build={"version": name[:200], "commit": f"{i:040x}", "build_id": "cd"},
                    labels={name[:99]: name[:99]}, f_detail=name)
    yield record("summary", "h-7-1-9", ago=86400.0 * 27, program="/srv/" + template, seconds=3600.0,
                 allocations=10 ** 15, peak=10 ** 14, environment=names[0],
                 sites=[{"path": "/srv/" + template, "build_id": "ab12", "sites": 3, "watched": [[4096, 3]],
                         "unwatched": [4120, 4144]}])
    yield record("summary", "h-8-1-9", ago=86400.0 * 27, program="/srv/" + template, mode="m" * 900,
                 environment="e" * 900, seconds=3600.0,
                 sites=[{"path": "/srv/long", "build_id": "cd34", "sites": 1, "watched": [[4096, 3]],
                         "unwatched": []}])


CALLS = {
    "main": ["run_server", "load_index", "parse_config"],
    "run_server": ["handle_request", "accept_client"],
    "handle_request": ["open_session", "fill_cache", "render_page", "parse_request"],
    "open_session": ["copy_name", "new_buffer", "session_alloc"],
    "render_page": ["template_expand", "buffer_append"],
    "template_expand": ["template_expand", "string_join", "map_insert"],
    "parse_request": ["header_add", "uri_decode"],
    "fill_cache": ["cache_grow", "cache_entry_new"],
    "load_index": ["index_read_block"],
}


def sites(round):
    """Every path from main to a function that calls none, with bytes that grow in some of them."""
    known = {}
    out = []

    def frame(name, line):
        key = (name, line)
        if key in known:
            return known[key]
        known[key] = len(known)
        module = {"path": "/srv/bin/server", "build_id": "ab12"} if len(known) == 1 else 0
        return [module, hex(0x1000 + 16 * len(known)), name, f"/src/server/{name.split('_')[0]}.c", line]

    def walk(path):
        callees = [] if len(path) > 8 else CALLS.get(path[-1], [])
        if not callees:
            seed = sum(ord(c) for name in path for c in name)
            grows = 1 + round * (seed % 3) / 2
            size = int(600000 / len(path) ** 2 / (1 + seed % 7) * grows)
            out.append([size, 1 + size // (24 + seed % 900), [frame(n, 10 + i * 7) for i, n in
                                                              reversed(list(enumerate(path)))]])
        for callee in callees:
            walk(path + [callee])

    walk(["main"])
    return out


def snapshots(process, count, program, **more):
    for i in range(count):
        rows = sites(i)
        live = sum(r[0] for r in rows)
        cells = [[(k * 7919 + i * 31 + p * 77) % 65537 if (k + p) % 5 else 0 for k in range(90 + p * 40)]
                 for p in range(4)]
        yield record("snapshot", f"{process}-{i + 1}", ago=(count - i) * 1800, seconds=(i + 1) * 1800.0,
                     program=program,
                     snapshot={"name": f"signal {i + 1}", "allocator": "malloc", "blocks": sum(r[1] for r in rows),
                               "bytes": live, "peak": live + 100000, "resident": int(live * 1.6) + 4000000,
                               "sizes": [[2 ** k, 4000 // (k + 1), 4000 // (k + 1) * 2 ** k] for k in range(3, 15)],
                               "map": {"cell": 65536, "parts": [[hex(0x7f0000000000 + p * 2 ** 32), c]
                                                                for p, c in enumerate(cells)]},
                               "sites": rows, "omitted_blocks": 12, "omitted_bytes": 400 if i % 2 else 0}, **more)


def look(s, folder, modules, pages=()):
    here = os.path.dirname(os.path.realpath(__file__))
    os.makedirs(folder, exist_ok=True)
    return subprocess.run(["node", here + "/page_check.js", f"http://127.0.0.1:{s.port}", s.token(), folder, *pages],
                          env={**os.environ, "NODE_PATH": modules + "/node_modules"}, check=False).returncode


def main():
    folder = os.path.abspath(os.path.join(os.environ.get("BUILD_WORKING_DIRECTORY", "."), sys.argv[2]))
    with Service() as empty, Service(start=False) as s, tempfile.TemporaryDirectory() as modules:
        append(s.directory, *records(), *covered(), *hostile())
        append(s.directory, *snapshots("p-1-1", 14, "/srv/bin/server", pid=4711, environment="production"),
               *snapshots("p-2-1", 1, "/srv/bin/worker", pid=4712, mode="page", host="web-03"),
               *snapshots("h-9-1", 1, "/srv/" + "long" * 300, mode="m" * 900, environment="e" * 900, host="h" * 900),
               record("summary", "p-2-1-9", pid=4712, seconds=77.5, peak=9 << 20, exit="signal 11", mode="page"))
        s.once()
        s.command("ignore", "7", "--because", "a test plants it")
        s.command("fix", "2", "--in", "1.1.0")
        s.command("merge", "1", "6")
        s.start()
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--prefix", modules, "playwright-core", "axe-core"],
                       check=True)
        last = max(row["id"] for row in s.findings("--state", "all"))
        failed = look(s, folder, modules)
        failed += look(s, folder + "/hostile", modules, [f"/finding/{last - i}" for i in range(8)] +
                       ["/?order=first", "/process/3", "/coverage/6?watched=all"])
        failed += look(empty, folder + "/empty", modules,
                       ["/", "/?state=all", "/builds", "/processes", "/coverage", "/steering", "/status"])
        sys.exit(failed != 0)


main()
