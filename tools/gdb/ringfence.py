"""Ringfence in gdb:  (gdb) source ringfence.py        docs/gdb.md

  ringfence what ADDRESS   the heap block that an address belongs to, and who allocated and freed it
  ringfence break          stop at each finding, in the program's own call
  print VALUE              allocators, statistics, call sites, stacks and findings in words

`what` reads memory alone. It runs nothing in the process, so it serves cores and processes that stopped inside malloc,
and it takes the layout from tables in the library, so it needs no debug information.
"""

import gdb

VERSION = 1

DROPIN = "heap pages"
STACKS = "records unit record_depth record_frames"
HEAP = (
    "stacks root unit_shift map_bits base slots slot_size count large bytes size front slot_bytes allocated released "
    "slot_size16 allocated_by released_by traits state_mask family_shift align_shift live freed depot threads"
)
PAGES = (
    "stacks stores other spaces depot next start pages owner slots slot_bytes state block size family allocated "
    "released caller stack thread live freed"
)
PAGE_BYTES = 4096
DEPTH_MOST = 32
FAMILIES = {0: "malloc", 1: "operator new", 2: "operator new[]", 5: "operator new", 6: "operator new[]"}


# ---- The memory of the process, or of the core ----


class Memory:
    def __init__(self):
        self.inferior = gdb.selected_inferior()
        self.word = gdb.lookup_type("void").pointer().sizeof
        self.order = "big" if "big" in gdb.execute("show endian", to_string=True) else "little"

    def number(self, address, size):
        return int.from_bytes(self.inferior.read_memory(address, size), self.order)

    def pointer(self, address):
        return self.number(address, self.word)

    def table(self, at, fields):
        """The table at an address, as a dictionary of numbers by name."""
        if self.pointer(at) != VERSION:
            raise gdb.GdbError("ringfence: this script and the library in the process are of different versions")
        return {name: self.pointer(at + (i + 1) * self.word) for i, name in enumerate(fields.split())}

    def stack(self, table, depot, number):
        """The return addresses of a stack in the depot, without those of the library."""
        if depot == 0 or number == 0:
            return []
        t = self.table(table, STACKS)
        record = self.pointer(depot + t["records"]) + number * t["unit"]
        depth = min(self.number(record + t["record_depth"], 2), DEPTH_MOST)
        frames = [self.pointer(record + t["record_frames"] + i * self.word) for i in range(depth)]
        own = gdb.solib_name(table)
        return [pc for pc in frames if own is None or gdb.solib_name(pc) != own]


class LanguageC:
    """gdb reads what stands here: in Fortran, Rust and others the same words are no expressions and no types."""

    def __enter__(self):
        self.before = gdb.parameter("language")
        gdb.execute("set language c", to_string=True)

    def __exit__(self, *_):
        gdb.execute("set language " + self.before, to_string=True)


def symbol(name):
    """Its address, or 0 where nothing in the process has it."""
    try:
        return int(gdb.parse_and_eval("(unsigned long)&" + name))
    except gdb.error:
        return 0


class Block:
    """A block, live or freed; `allocated` and `released` are pairs of a thread and its return addresses."""

    def __init__(self, start, size, freed, family, allocated, released):
        self.start, self.size, self.freed, self.family = start, size, freed, family
        self.allocated, self.released = allocated, released

    def away(self, address):
        """How many bytes the address is before or behind it; 0 inside."""
        return max(self.start - address, address - self.start - self.size, 0)


def nearest(blocks, address):
    """Of those that are there, the first where several are as near; None where none is."""
    return min((block for block in blocks if block is not None), key=lambda block: block.away(address), default=None)


# ---- Blocks of the drop-in's heap: checkers/dropin/heap/span.h ----


def slot_block(memory, t, span, number):
    """The block in a slot of a span; None where there was never one."""
    large = memory.number(span + t["large"], 1) != 0
    slot = memory.pointer(span + t["slots"]) + number * t["slot_bytes"]
    traits = memory.number(slot + t["traits"], 2)
    state = traits & t["state_mask"]
    if state not in (t["live"], t["freed"]):
        return None
    align = 1 << (traits >> t["align_shift"] & 63)
    begin = memory.pointer(span + t["base"]) + number * memory.number(span + t["slot_size"], 4)
    start = (begin + align - 1) & ~(align - 1)
    size = memory.pointer(span + t["size"]) if large else memory.number(slot + t["slot_size16"], 2)
    depot = memory.pointer(t["depot"])

    def call(stack, by):
        thread = memory.number(slot + t[by], 2)
        thread = memory.number(t["threads"] + 4 * thread, 4) if thread else 0
        return thread, memory.stack(t["stacks"], depot, memory.number(slot + t[stack], 4))

    freed = state == t["freed"]
    released = call("released", "released_by") if freed else None
    return Block(start, size, freed, traits >> t["family_shift"] & 7, call("allocated", "allocated_by"), released)


def heap_block(memory, table, address):
    """That of the address's slot or, where one of the slots beside it has a nearer one, that."""
    t = memory.table(table, HEAP)
    unit = address >> t["unit_shift"]
    index = unit >> t["map_bits"]
    if index >> t["map_bits"]:
        return None
    leaf = memory.pointer(t["root"] + index * memory.word)
    span = memory.pointer(leaf + (unit & ((1 << t["map_bits"]) - 1)) * memory.word) if leaf else 0
    if span == 0:
        return None
    base = memory.pointer(span + t["base"])
    large = memory.number(span + t["large"], 1) != 0
    if not 0 <= address - (base - t["front"]) < memory.pointer(span + t["bytes"]):
        return None
    number = 0 if large else max(address - base, 0) // memory.number(span + t["slot_size"], 4)
    count = memory.number(span + t["count"], 4)
    slots = [n for n in (number, number - 1, number + 1) if 0 <= n < count]
    return nearest([slot_block(memory, t, span, n) for n in slots], address)


# ---- Blocks on pages of their own: checkers/page/page_impl.h ----


def page_slots(memory, t, address):
    """The slot of `address`, and of what is right before and behind its page, of all stores."""
    store = memory.pointer(t["stores"])
    while store:
        space = memory.pointer(store + t["spaces"])
        while space:
            start = memory.pointer(space + t["start"])
            pages = memory.number(space + t["pages"], 4)
            if start <= address < start + pages * PAGE_BYTES:
                page = (address - start) // PAGE_BYTES
                for near in (page, page - 1, page + 1):
                    owner = memory.number(memory.pointer(space + t["owner"]) + 4 * near, 4) if 0 <= near < pages else 0
                    if owner:
                        yield store, memory.pointer(space + t["slots"]) + (owner - 1) * t["slot_bytes"]
            space = memory.pointer(space + t["next"])
        store = memory.pointer(store + t["other"])


def block_of_pages(memory, t, store, slot):
    """The block that a slot of a store describes; None where it is none."""
    state = memory.number(slot + t["state"], 4)
    if not t["live"] <= state <= t["freed"]:
        return None
    depot = memory.pointer(store + t["depot"])

    def call(field):
        origin = slot + t[field]
        frames = memory.stack(t["stacks"], depot, memory.number(origin + t["stack"], 4))
        caller = memory.pointer(origin + t["caller"])
        return memory.number(origin + t["thread"], 4), frames or [caller] * (caller != 0)

    freed = state == t["freed"]
    return Block(
        memory.pointer(slot + t["block"]),
        memory.pointer(slot + t["size"]),
        freed,
        memory.number(slot + t["family"], 1),
        call("allocated"),
        call("released") if freed else None,
    )


def page_block(memory, table, address):
    t = memory.table(table, PAGES)
    return nearest([block_of_pages(memory, t, *found) for found in page_slots(memory, t, address)], address)


# ---- Words ----


def counted(count, noun):
    return "%d %s%s" % (count, noun, "" if count == 1 else "s")


def bytes_of(count):
    return counted(count, "byte")


def frame_name(pc):
    """A return address as gdb knows it: the function, and the line of the call before it."""
    at = gdb.find_pc_line(pc - 1)
    name = gdb.execute("info symbol 0x%x" % (pc - 1), to_string=True).strip()
    function = "??" if name.startswith("No symbol") else name.split(" in section ")[0].split(" + ")[0]
    if at.symtab is not None:
        return "%s at %s:%d" % (function, at.symtab.filename, at.line)
    return "%s (%s)" % (function, gdb.solib_name(pc) or "the program")


def print_call(what, call):
    thread, frames = call
    print("%s%s:" % (what, " by thread %d" % thread if thread else ""))
    for number, pc in enumerate(frames):
        print("  #%-2d 0x%016x in %s" % (number, pc, frame_name(pc)))
    if not frames:
        print("  (not recorded; option stack_depth)")


def place_in(block, address):
    offset = address - block.start
    if offset < 0:
        return bytes_of(-offset) + " before"
    if offset >= block.size:
        return bytes_of(offset - block.size) + " after"
    return "at the start of" if offset == 0 else bytes_of(offset) + " inside"


def block_at(memory, address):
    """The block of any copy of Ringfence: the drop-in's, or that which is linked into the program."""
    dropin, own = symbol("__ringfence_debugger"), symbol("rf_page_debugger")
    tables = memory.table(dropin, DROPIN) if dropin else {}
    if not dropin and not own:
        raise gdb.GdbError(
            "ringfence: no Ringfence is in this process (yet): start it with LD_PRELOAD=libringfence.so, or under "
            "`ringfence check`"
        )
    for table in {tables.get("pages", own), own} - {0}:
        block = page_block(memory, table, address)
        if block is not None:
            return block
    return heap_block(memory, tables["heap"], address) if tables else None


def tell(address):
    try:
        block = block_at(Memory(), address)
    except gdb.MemoryError as error:
        raise gdb.GdbError("ringfence: the description of the block cannot be read: %s" % error)
    if block is None:
        print("0x%x is in no block of Ringfence's" % address)
        return
    state = "freed" if block.freed else "live"
    print(
        "0x%x is %s a %s block of %s at 0x%x, of %s"
        % (address, place_in(block, address), state, bytes_of(block.size), block.start, FAMILIES.get(block.family, "?"))
    )
    print_call("allocated", block.allocated)
    if block.freed:
        print_call("freed", block.released)


# ---- Commands ----


class Ringfence(gdb.Command):
    """Ringfence: what ADDRESS, break. Findings, heap blocks and rf_ types of checked programs."""

    def __init__(self):
        super().__init__("ringfence", gdb.COMMAND_DATA, prefix=True)


class What(gdb.Command):
    """ringfence what ADDRESS: the heap block that ADDRESS (any expression) belongs to, and who allocated and freed it.
    Runs nothing in the process; cores will do."""

    def __init__(self):
        super().__init__("ringfence what", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        if not argument.strip():
            raise gdb.GdbError("ringfence what ADDRESS: an address is missing")
        value = gdb.parse_and_eval(argument)
        if value.type.strip_typedefs().code == gdb.TYPE_CODE_ARRAY:
            value = value.address
        with LanguageC():
            tell(int(value.cast(gdb.lookup_type("unsigned long"))))


STOP = "__ringfence_found"


def is_program(frame, library):
    """False for code of the library's; linked into the program, that goes by name, as far as it has a name of ours."""
    return gdb.solib_name(frame.pc()) != library if library else not (frame.name() or "").startswith("rf_")


def calling_frame(frame):
    """Where the library is linked into the program: the frame of the call that led to the finding, or the one given."""
    with LanguageC():
        known = symbol("rf_found_caller")
        caller = Memory().pointer(known) if known else 0
    at = frame
    while at is not None and at.pc() != caller:
        at = at.older()
    return at or frame


def stopped(event):
    points = getattr(event, "breakpoints", None) or []
    if not any(point.location == STOP for point in points):
        return
    frame = gdb.newest_frame().older()
    library = gdb.solib_name(gdb.newest_frame().pc())
    if library is None:
        frame = calling_frame(frame)
    while frame is not None and not is_program(frame, library):
        frame = frame.older()
    if frame is not None:
        frame.select()
        print("Ringfence has reported a finding, in a call of this frame:")
        gdb.execute("frame")


class Break(gdb.Command):
    """ringfence break: stop at each finding, after its report, in the program's frame that led to it."""

    def __init__(self):
        super().__init__("ringfence break", gdb.COMMAND_BREAKPOINTS, gdb.COMPLETE_NONE)
        self.listens = False

    def invoke(self, argument, from_tty):
        if argument.strip():
            raise gdb.GdbError("ringfence break: no argument is expected")
        pending = gdb.parameter("breakpoint pending")
        gdb.execute("set breakpoint pending on")
        gdb.Breakpoint(STOP)
        gdb.execute("set breakpoint pending " + ("auto" if pending is None else "on" if pending else "off"))
        if not self.listens:
            gdb.events.stop.connect(stopped)
            self.listens = True


# ---- Values of the program's, which has debug information for them ----


def text(pointer, otherwise="?"):
    return pointer.string() if int(pointer) else otherwise


class Allocator:
    def __init__(self, value):
        self.ops = value["ops"]

    def to_string(self):
        return "allocator %s" % (text(self.ops["name"]) if int(self.ops) else "(none)")


class Counters:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        v = self.value
        return "%s in %s, peak %s, %s, %s" % (
            bytes_of(int(v["used"])),
            counted(int(v["blocks"]), "block"),
            bytes_of(int(v["peak"])),
            counted(int(v["allocations"]), "allocation"),
            counted(int(v["failures"]), "failure"),
        )


class Site:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return "%s:%d in %s" % (text(self.value["file"]), int(self.value["line"]), text(self.value["function"]))


class Trace:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        v, lines = self.value, []
        if int(v["site"]):
            lines.append(Site(v["site"].dereference()).to_string())
        for number in range(min(int(v["depth"]), DEPTH_MOST)):
            lines.append("#%d %s" % (number, frame_name(int(v["frames"][number]))))
        return "thread %d: %s" % (int(v["thread"]), "; ".join(lines) or "(nothing known)")


class Finding:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        v = self.value
        detail = text(v["detail"], "")
        return "%s at 0x%x, block 0x%x of %s%s" % (
            str(v["bug"]).replace("RF_BUG_", "").lower().replace("_", "-"),
            int(v["address"]),
            int(v["block"]),
            bytes_of(int(v["size"])),
            ", " + detail if detail else "",
        )

    def children(self):
        for name in ("found", "allocated", "released"):
            yield name, self.value[name]


PRINTERS = {
    "rf_allocator": Allocator,
    "rf_counters": Counters,
    "rf_stats": Counters,
    "rf_site": Site,
    "rf_trace": Trace,
    "rf_finding": Finding,
}


def printer_of(value):
    if value.type.code in (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF):
        value = value.referenced_value()
    kind = value.type.unqualified()
    made = PRINTERS.get(kind.name or "") or PRINTERS.get(kind.strip_typedefs().tag or "")
    return made(value) if made else None


printer_of.name = "ringfence"
printer_of.enabled = True

if not any(getattr(p, "name", "") == "ringfence" for p in gdb.pretty_printers):
    gdb.pretty_printers.append(printer_of)
    Ringfence()
    What()
    Break()
