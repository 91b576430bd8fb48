"""The static probes of a file, read from its ELF notes: `sys/sdt.h` writes them, `readelf -n` shows them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

SECTION = ".note.stapsdt"
NOP5 = {62: bytes.fromhex("0f1f440000"), 183: bytes.fromhex("1f2003d5")}
"""What stands at a probe, by machine: x86-64, aarch64."""


@dataclass(frozen=True)
class Section:
    kind: int
    flags: int
    address: int
    offset: int
    size: int


@dataclass(frozen=True)
class Probe:
    """One note; addresses as linked."""

    provider: str
    name: str
    arguments: tuple[str, ...]
    location: int
    base: int
    semaphore: int


@dataclass(frozen=True)
class Elf:
    """A 64-bit little-endian file and its sections."""

    data: bytes
    machine: int
    sections: dict[str, Section]

    def holding(self, address: int) -> tuple[str, bytes]:
        """The section that is loaded at an address, and its bytes in the file from there on; no file, no bytes."""
        for name, section in self.sections.items():
            inside = address - section.address
            if section.flags & 2 and 0 <= inside < section.size:
                if section.kind == 8:
                    return name, b""
                return name, self.data[section.offset + inside : section.offset + section.size]
        raise ValueError(f"nothing is loaded at {address:#x}")


def read(path: Path) -> Elf:
    data = path.read_bytes()
    assert data[:6] == b"\x7fELF\x02\x01"
    (machine,) = struct.unpack_from("<H", data, 18)
    (table,) = struct.unpack_from("<Q", data, 40)
    entry_bytes, count, names_at = struct.unpack_from("<HHH", data, 58)
    heads = [struct.unpack_from("<IIQQQQ", data, table + n * entry_bytes) for n in range(count)]
    names = heads[names_at][4]

    def name(at: int) -> str:
        return data[names + at : data.index(b"\0", names + at)].decode()

    return Elf(data, machine, {name(head[0]): Section(*head[1:]) for head in heads})


def probes(elf: Elf) -> list[Probe]:
    """All of them; raises if a note is none of theirs."""
    section = elf.sections[SECTION]
    notes = elf.data[section.offset : section.offset + section.size]
    found, at = [], 0
    while at < len(notes):
        owner_bytes, description_bytes, kind = struct.unpack_from("<III", notes, at)
        owner, at = notes[at + 12 : at + 12 + owner_bytes], at + 12 + (owner_bytes + 3) // 4 * 4
        assert (owner, kind) == (b"stapsdt\0", 3)
        description, at = notes[at : at + description_bytes], at + (description_bytes + 3) // 4 * 4
        location, base, semaphore = struct.unpack_from("<QQQ", description)
        provider, name, arguments = description[24:].removesuffix(b"\0").decode().split("\0")
        found.append(Probe(provider, name, tuple(arguments.split()), location, base, semaphore))
    return found
