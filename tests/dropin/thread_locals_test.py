#!/usr/bin/env python3
"""Thread-local variables of the library are of the initial-exec model, and each has a place of its own.

    thread_locals_test.py LIBRARY

Another model's access calls __tls_get_addr, which may allocate in the middle of a request. If both models meet in
one library, gold 1.16 gives static variables each other's places on 32-bit x86.
"""

import collections
import struct
import sys

TLS = 6  # STT_TLS
# By machine: the relocation for the offset of a variable from the thread pointer, and those of other models.
KINDS = {
    3: (14, {35, 36, 41}),  # R_386_TLS_TPOFF; DTPMOD32, DTPOFF32, DESC
    62: (18, {16, 17, 36}),  # R_X86_64_TPOFF64; DTPMOD64, DTPOFF64, TLSDESC
    183: (1030, {1028, 1029, 1031}),  # R_AARCH64_TLS_TPREL; DTPMOD, DTPREL, TLSDESC
}

Section = collections.namedtuple("Section", "name kind flags address offset size link info align entry")
Symbol = collections.namedtuple("Symbol", "name kind value size")
Relocation = collections.namedtuple("Relocation", "address kind symbol addend")


class Elf:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        self.wide = self.data[4] == 2
        self.machine = struct.unpack_from("<H", self.data, 18)[0]
        start = struct.unpack_from("<Q" if self.wide else "<I", self.data, 40 if self.wide else 32)[0]
        entry, count = struct.unpack_from("<HH", self.data, 58 if self.wide else 46)
        form = "<IIQQQQIIQQ" if self.wide else "<10I"
        self.sections = [Section(*struct.unpack_from(form, self.data, start + i * entry)) for i in range(count)]

    def entries(self, section, form):
        return struct.iter_unpack(form, self.data[section.offset : section.offset + section.size])

    def text(self, section, offset):
        start = self.sections[section].offset + offset
        return self.data[start : self.data.index(b"\0", start)].decode()

    def symbols(self, section):
        for fields in self.entries(section, "<IBBHQQ" if self.wide else "<IIIBBH"):
            name, kind, value, size = (
                (fields[0], fields[1], fields[4], fields[5]) if self.wide else (fields[0], fields[3], *fields[1:3])
            )
            yield Symbol(self.text(section.link, name), kind & 15, value, size)

    def word_at(self, address):
        for section in self.sections:
            if section.address != 0 and section.address <= address < section.address + section.size:
                return struct.unpack_from("<I", self.data, section.offset + address - section.address)[0]
        sys.exit(f"no section has {address:#x}")

    def relocations(self):
        with_addend = {4: True, 9: False}  # SHT_RELA, SHT_REL
        for section in self.sections:
            if section.kind not in with_addend or not section.flags & 2:
                continue
            fields = "Q" if self.wide else "I"
            for entry in self.entries(section, "<" + fields * (2 + with_addend[section.kind])):
                shift = 32 if self.wide else 8
                kind, symbol = entry[1] & ((1 << shift) - 1), entry[1] >> shift
                yield Relocation(entry[0], kind, symbol, entry[2] if len(entry) > 2 else None)


def main():
    elf = Elf(sys.argv[1])
    offset_kind, other_kinds = KINDS[elf.machine]
    tables = {s.kind: s for s in elf.sections if s.kind in (2, 11)}  # SHT_SYMTAB, SHT_DYNSYM
    variables = {s.value: s.name for table in tables.values() for s in elf.symbols(table) if s.kind == TLS}
    dynamic = list(elf.symbols(tables[11]))
    faults = []
    if any(symbol.name in ("__tls_get_addr", "___tls_get_addr") for symbol in dynamic):
        faults.append("__tls_get_addr is called")
    places = []
    for relocation in elf.relocations():
        if relocation.kind in other_kinds:
            faults.append(f"{relocation.address:#x}: relocation {relocation.kind} is of another model")
        elif relocation.kind == offset_kind:
            addend = elf.word_at(relocation.address) if relocation.addend is None else relocation.addend
            places.append(dynamic[relocation.symbol].value + addend)
    for place, uses in collections.Counter(places).items():
        if place not in variables:
            faults.append(f"no variable begins at {place:#x}, which is accessed")
        elif uses > 1:
            faults.append(f"{uses} variables have the place of {variables[place]}")
    if len(variables) < 10 or len(places) < len(variables) // 2:
        faults.append(f"only {len(variables)} variables and {len(places)} accesses were seen")
    if faults:
        sys.exit("\n".join(faults))
    print(f"{len(variables)} variables, {len(places)} of them accessed by an offset that is looked up")


main()
