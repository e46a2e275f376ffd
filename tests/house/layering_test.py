#!/usr/bin/env python3
"""Dependencies point one way: no #include runs up a floor. docs/architecture.md draws the floors.

    layering_test.py FILE...      the sources and headers of lib/, checkers/, the command, the service and traces

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

# Tools stand on lib and checkers. In the command a run knows no model; the service stands on what the command shares.
COMMAND = "tools/ringfence/"
SHARED = [COMMAND + part for part in ("base", "model", "symbols", "render")]
TOOLS = {
    "tools/trace": [],
    COMMAND + "run": [COMMAND + "base"],
    COMMAND + "cli": SHARED + [COMMAND + "run", "tools/trace"],
}
for i, name in enumerate(SHARED):
    TOOLS[name] = SHARED[:i]
SERVICE = ["store", "intake", "query", "exchange", "steering", "life", "page", "http", "cli"]
for i, name in enumerate(SERVICE):
    TOOLS["tools/service/" + name] = ["tools/service/" + below for below in SERVICE[:i]] + SHARED
TOOLS["tools/service/store"] = []
TOOLS["tools/service/main.c"] = ["tools/service/cli", COMMAND + "base"]

# The service takes one thing of the command's own floor: the names of its commands.
COMMANDS = ("tools/service/cli", "tools/ringfence/cli/service_commands.h")

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


def tool_floor(path):
    return "tools/trace" if path.startswith("tools/trace/") else "/".join(path.split("/")[:3])


def fault_of_tool(path, target):
    """The fault of an #include of `target` in the tool's source `path`, or None."""
    floor = tool_floor(path)
    if floor not in TOOLS:
        return f"{floor} is no floor"
    below = tool_floor(target)
    if not target.startswith("tools/") or below == floor or below in TOOLS[floor] or (floor, target) == COMMANDS:
        return None
    return f"{floor} may not include {target}"


def faults_of_tools(paths):
    """The faults of all #include lines of tools in quotes, which name files from the root."""
    faults, checked = [], 0
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for delimiter, name in house.INCLUDE.findall(file.read()):
                fault = fault_of_tool(path, name) if delimiter == '"' and "/" in name else None
                checked += 1
                faults += [f"{path}: {fault}"] if fault else []
    if checked < 500:
        faults.append(f"only {checked} includes of tools were seen")
    for path, name in [
        ("tools/service/store/store.c", "tools/service/intake/intake.h"),
        ("tools/ringfence/run/child.c", "tools/ringfence/model/record.h"),
        ("tools/service/page/list.c", "tools/ringfence/cli/command.h"),
        ("tools/trace/read.c", "tools/ringfence/base/json.h"),
    ]:
        if not fault_of_tool(path, name):
            faults.append(f"a planted include of {name} in {path} goes unseen")
    return faults


def main():
    tools = [path for path in sys.argv[1:] if path.startswith("tools/") and path.endswith((".c", ".h"))]
    sources = house.read([path for path in sys.argv[1:] if not path.startswith("tools/")])
    layering = Layering(sources)
    checked, faults = 0, faults_of_tools(tools)
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
