#!/usr/bin/env python3
"""No circle between files: an #include is an arrow, and so is a call of a function that one other source alone defines.

    cycles_test.py FILE...      the sources and headers of lib/, checkers/, the command, the service and traces

Pairs that may stay are named in PAIRS with the reason.
"""

import re
import sys

import sources as house

# Two files that need each other, as a set, and why.
PAIRS = {
}

WORD = re.compile(r"\b[A-Za-z_]\w*\b")


def arrows(sources):
    """file -> files that it includes or whose functions it names, with a name that ties them."""
    owner = {}
    for source in sources.values():
        if source.path.endswith(".c"):
            for name, static, _ in source.functions():
                if not static and name.startswith("rf_"):
                    owner.setdefault(name, set()).add(source.path)
    graph = {path: {} for path in sources}
    for source in sources.values():
        mine = graph[source.path]
        for delimiter, name in source.includes:
            target = house.resolve(source, delimiter, name, sources)
            if target:
                mine.setdefault(target, name)
        # A call in a header's inline function is its user's arrow.
        for word in set(WORD.findall(source.code)) if source.path.endswith(".c") else ():
            homes = owner.get(word, ())
            if len(homes) == 1 and source.path not in homes:
                mine.setdefault(next(iter(homes)), word)
    return graph


def circles(graph):
    """Sets of two or more files that reach each other (Tarjan, iterative)."""
    index, low, on, stack, found = {}, {}, set(), [], []
    for root in graph:
        if root in index:
            continue
        work = [(root, iter(graph[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on.add(root)
        while work:
            node, rest = work[-1]
            for child in rest:
                if child not in graph:
                    continue
                if child not in index:
                    index[child] = low[child] = len(index)
                    stack.append(child)
                    on.add(child)
                    work.append((child, iter(graph[child])))
                    break
                if child in on:
                    low[node] = min(low[node], index[child])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    circle = set()
                    while True:
                        member = stack.pop()
                        on.discard(member)
                        circle.add(member)
                        if member == node:
                            break
                    if len(circle) > 1:
                        found.append(frozenset(circle))
    return found


def main():
    graph = arrows(house.read(sys.argv[1:]))
    faults = []
    found = circles(graph)
    for circle in found:
        if circle in PAIRS:
            continue
        ties = [f"  {a} -> {b}: {name}" for a in sorted(circle) for b, name in sorted(graph[a].items()) if b in circle]
        faults.append(f"a circle of {len(circle)} files:\n" + "\n".join(ties))
    for pair in PAIRS:
        if pair not in found:
            faults.append(f"{' and '.join(sorted(pair))} are a circle no more: take them out of PAIRS")
    if sum(len(targets) for targets in graph.values()) < 500:
        faults.append("too few arrows were seen")
    # The test itself: a planted arrow back must be seen.
    graph["lib/core/allocator.c"]["checkers/guard/guard.c"] = "planted"
    if not any("lib/core/allocator.c" in circle for circle in circles(graph)):
        faults.append("a planted circle goes unseen")
    if faults:
        sys.exit("\n".join(faults))
    print("no circles but", len(PAIRS), "pairs")


main()
