#!/usr/bin/env python3
"""Dependencies point one way: no #include of lib/ and checkers/ runs up a floor. docs/architecture.md draws the floors.

    layering_test.py FILE...      the sources and headers of lib/ and checkers/

tools/deps.sh asks Bazel the same of its targets.
"""

import re
import sys

import sources as house

# Each floor, and those that it may include beside itself. A public header belongs to the floor of its source.
FLOORS = {
    "lib/port": [],
    "lib/core": ["lib/port"],
    "lib/heaps": ["lib/core", "lib/port"],
    "lib/handles": ["lib/core", "lib/port"],
    "lib/blocks": ["lib/core", "lib/port"],
    "lib/decorators": ["lib/core", "lib/port"],
    "lib/compat": ["lib/heaps", "lib/handles", "lib/blocks", "lib/decorators", "lib/core", "lib/port"],
}
LIB = list(FLOORS)
CHECKERS = [
    "os", "report", "shared", "guard", "guard_small", "asan", "page", "mte", "handles", "pools",
    "trace",
    "checked", "dropin/os", "dropin/heap", "dropin/runtime", "dropin/malloc", "dropin/inspect", "dropin/process",
]
for i, name in enumerate(CHECKERS):
    FLOORS["checkers/" + name] = LIB + ["checkers/" + below for below in CHECKERS[:i]]

# The detectors stand side by side, and shared is theirs alone.
for name, below in {
    "os": [],
    "report": ["os"],
    "shared": ["os", "report"],
    "guard": ["os", "report", "shared"],
    "guard_small": ["report"],
    "asan": ["os", "report", "shared", "guard"],
    "page": ["os", "report", "shared", "guard"],
    "handles": ["os", "report", "shared"],
    "pools": ["os", "report", "shared"],
    "trace": ["os", "report"],
    "mte": ["os", "report", "shared", "guard", "page"],
    "checked": ["os", "report", "guard", "asan", "page", "mte", "handles", "pools"],
}.items():
    FLOORS["checkers/" + name] = LIB + ["checkers/" + floor for floor in below]

# Other floors take the public headers of these only.
PUBLIC_ONLY = {("checkers/page", "checkers/guard")}

# Public headers whose stem is not that of a source of their floor.
HEADER_FLOORS = {
    "default": "lib/heaps",
    "port": "lib/port",
    "gtest": "checkers/dropin/os",
    "dropin": "checkers/dropin/os",
}

# Headers of the C library that lib/ includes: those of a freestanding implementation, and string.h for the functions
# that freestanding_test.sh allows.
FREESTANDING = {
    "stdbool.h", "stddef.h", "stdint.h", "limits.h", "stdalign.h", "stdarg.h", "stdatomic.h", "stdnoreturn.h",
    "string.h",
}
SYSTEMS = "awtk|goahead|rtthread|ucgui|zephyr"
HOSTED = re.compile(
    rf"lib/(heaps/std\.c|port/(posix|freertos|zephyr)\.c|compat/.*|include/ringfence/({SYSTEMS})[/.].*)$"
)


def floor_by_folder(path):
    folders = path.split("/")[:-1]
    if len(folders) < 2 or folders[1] == "include":
        return None
    return "/".join(folders[: 3 if folders[1] == "dropin" else 2])


class Layering:
    def __init__(self, sources):
        self.sources = sources
        self.by_stem = {}
        for path in sources:
            floor = floor_by_folder(path)
            if floor and floor != "lib/compat":
                self.by_stem.setdefault(path.rsplit("/", 1)[1].rsplit(".", 1)[0], floor)

    def floor(self, path):
        floor = floor_by_folder(path)
        if floor:
            return floor
        inside = path.split("/", 3)[3]
        stem = inside.split("/")[0].rsplit(".", 1)[0]
        if path.startswith("lib/") and stem in ("awtk", "goahead", "rtthread", "ucgui", "zephyr"):
            return "lib/compat"
        default = "lib/core" if path.startswith("lib/") else "checkers/report"
        return HEADER_FLOORS.get(stem) or self.by_stem.get(stem, default)

    def fault(self, source, delimiter, name):
        """The fault of one #include, or None."""
        floor = self.floor(source.path)
        if floor not in FLOORS:
            return f"{floor} is no floor"
        target = house.resolve(source, delimiter, name, self.sources)
        if target is None:
            if delimiter == '"' or name.startswith("ringfence/"):
                return f"{name} is a header of neither lib nor checkers"
            if floor.startswith("lib/") and name not in FREESTANDING and not HOSTED.match(source.path):
                if (source.path, name) == ("lib/include/ringfence/system_new.h", "new"):
                    return None  # for C++ alone, and only where a program asks for it
                if not (source.path.startswith("lib/core/") and name == "valgrind/memcheck.h"):
                    return f"<{name}> is not for lib/"
            return None
        below = self.floor(target)
        if below != floor and below not in FLOORS[floor]:
            if not (floor == "lib/port" and target.endswith("/status.h")):
                return f"{floor} may not include {name}, which is of {below}"
        if (floor, below) in PUBLIC_ONLY and "/include/" not in target:
            return f"{floor} may not include {name}, which is private to {below}"
        if below == "lib/port" and floor != "lib/port" and not target.endswith("/port.h"):
            return f"the port is reached through port.h, not {name}"
        return None


def main():
    sources = house.read(sys.argv[1:])
    layering = Layering(sources)
    checked, faults = 0, []
    for source in sources.values():
        for delimiter, name in source.includes:
            checked += 1
            fault = layering.fault(source, delimiter, name)
            if fault:
                faults.append(f"{source.path}: {fault}")
    if checked < 500:
        faults.append(f"only {checked} includes were seen")

    # The test itself: each of these must be seen, in a source of lib/core.
    planted = sources["lib/core/allocator.c"]
    for delimiter, name in [
        ("<", "stdio.h"), ("<", "ringfence/guard.h"), ('"', "lib/heaps/tlsf/tlsf_block.h"), ("<", "ringfence/bare.h"),
        ("<", "ringfence/nowhere.h"),
    ]:
        if not layering.fault(planted, delimiter, name):
            faults.append(f"a planted include of {name} goes unseen")
    if faults:
        sys.exit("\n".join(faults))
    print(f"{checked} includes, all in order")


main()
