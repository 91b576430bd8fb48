"""File systems and block devices.

A file system is asked with `statvfs`. One that is reached over a network is not asked: where its server is gone
the call never returns, and no thread can be called back from it. Mounts of one file system in several places
(bind mounts) are one row.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Final

from omnimind.servers.system_info.machine import Facts, Machine, Missing, missing, tried

SECTOR_BYTES: Final = 512
_ESCAPE = re.compile(r"\\([0-7]{3})")
_LOCAL = {"9p", "virtiofs", "zfs", "btrfs", "bcachefs", "overlay", "fuseblk", "ubifs", "apfs"}
_IN_MEMORY = {"tmpfs", "ramfs"}
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "lustre", "afs", "beegfs", "gpfs"}


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of mountinfo. The last of `options` are those of the file system, as one text."""

    device: str
    root: str
    point: str
    options: tuple[str, ...]
    kind: str
    source: str


Counters = dict[str, tuple[int, ...]]


def mounts(machine: Machine) -> list[Mount]:
    """What is mounted, in mount order. Raises Missing."""
    found: list[Mount] = []
    for line in machine.text(machine.proc / "self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        fields, rest = left.split(" "), right.split(" ")
        if len(fields) < 6 or len(rest) < 2:
            continue
        point, source = _unescaped(fields[4]), _unescaped(rest[1])
        options = (*fields[5].split(","), *rest[2:3])
        found.append(Mount(fields[2], _unescaped(fields[3]), point, options, rest[0], source))
    return found


def file_systems(machine: Machine, in_memory: bool, with_sources: bool) -> list[Facts]:
    """Every file system that holds files of somebody, with how full it is. Raises Missing."""
    rows: dict[str, Facts] = {}
    for mount in mounts(machine):
        if not _holds_files(mount, in_memory):
            continue
        row = rows.get(mount.device)
        if row is not None:
            row["other_mounts"] += 1
            if len(mount.point) < len(row["mount"]) and row["mount"] != "/":
                row["mount"] = mount.point
            continue
        row = {"mount": mount.point, "type": mount.kind, "read_only": "ro" in mount.options}
        if with_sources:
            row["source"] = mount.source
        rows[mount.device] = {**row, "other_mounts": 0}
    return [{**row, "usage": tried(_usage, row["mount"], row["type"])} for row in rows.values()]


def _holds_files(mount: Mount, in_memory: bool) -> bool:
    if mount.kind in _IN_MEMORY:
        return in_memory
    return mount.source.startswith("/dev/") or mount.kind in _LOCAL or is_remote(mount.kind)


def is_remote(kind: str) -> bool:
    """Whether a type of file system asks another machine, or a process that may hang."""
    return kind in _NETWORK or kind.startswith("fuse.")


def _usage(point: str, kind: str) -> Facts:
    if is_remote(kind):
        raise Missing(f"{kind} is not asked: where its server is gone, the answer never comes")
    try:
        found = os.statvfs(point)
    except OSError as refusal:
        raise Missing(f"{point} cannot be asked: {os.strerror(refusal.errno or 0)}") from None
    block = found.f_frsize or found.f_bsize
    total, free, left = found.f_blocks * block, found.f_bfree * block, found.f_bavail * block
    used = total - free
    usage: Facts = {
        "total_bytes": total,
        "used_bytes": used,
        "available_bytes": left,
        # As df says it: of what this user could have, so what is kept back for root counts as used up.
        "used_percent": round(100 * used / (used + left), 1) if used + left else 0.0,
    }
    if not found.f_files:
        usage["inodes_used_percent"] = missing(f"{kind} has no fixed number of inodes")
        return usage
    inodes = found.f_files - found.f_ffree
    usage["inodes_used_percent"] = round(100 * inodes / max(1, inodes + found.f_favail), 1)
    return usage


def counters(machine: Machine) -> Counters:
    """What every whole device that was ever used has done since boot. Raises Missing."""
    found: Counters = {}
    for line in machine.text(machine.proc / "diskstats").splitlines():
        fields = line.split()
        if len(fields) < 14 or not all(field.isdigit() for field in fields[3:14]):
            continue
        numbers = tuple(int(field) for field in fields[3:14])
        if any(numbers) and not (machine.sys / "class/block" / fields[2] / "partition").exists():
            found[fields[2]] = numbers
    return found


def totals(counted: Counters) -> dict[str, Facts]:
    """Counters by device, with names and units."""
    return {
        name: {
            "reads": one[0],
            "read_bytes": one[2] * SECTOR_BYTES,
            "read_ms": one[3],
            "writes": one[4],
            "written_bytes": one[6] * SECTOR_BYTES,
            "write_ms": one[7],
            "in_flight": one[8],
            "busy_ms": one[9],
        }
        for name, one in counted.items()
    }


def rates(before: Counters, after: Counters, interval_s: float) -> dict[str, Facts]:
    """What every device did in between, by the second."""
    found: dict[str, Facts] = {}
    for name in after.keys() & before.keys():
        old, new = before[name], after[name]
        done = [max(0, new[at] - old[at]) for at in range(11)]
        found[name] = {
            "reads_per_s": round(done[0] / interval_s, 1),
            "read_bytes_per_s": round(done[2] * SECTOR_BYTES / interval_s),
            "writes_per_s": round(done[4] / interval_s, 1),
            "written_bytes_per_s": round(done[6] * SECTOR_BYTES / interval_s),
            "busy_percent": round(min(100.0, done[9] / interval_s / 10), 1),
        }
    return found


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), text)
