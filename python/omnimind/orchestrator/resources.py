"""What a server may use, and who sees to it.

Where the fleet's control group has a controller, the kernel holds the server's whole tree to the limit. Where
it has none, each process gets rlimits, and the memory of the tree is watched: about once a second, and only for
servers that have a limit. Either way each process of ours has a group of its own if groups can be made at all,
because a group is what ends a tree for certain.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omnimind.linux import cgroup, proc, rlimits, usage
from omnimind.linux.cgroup import Group
from omnimind.linux.rlimits import Limits

if TYPE_CHECKING:
    from omnimind.settings import ResourceSettings

WATCH_S = 1.0
_EMPTY_S = 0.2
_MIB = 1024 * 1024
_UNLIMITED = Limits()
_CONTROLLERS = ("memory", "pids", "cpu")


@dataclass(frozen=True, slots=True)
class Room:
    """What one new process gets: its group and its limits, and what is left to watch."""

    group: Group | None = None
    limits: Limits = _UNLIMITED
    memory_mb: int | None = None
    watched: bool = False

    def door(self) -> int | None:
        """A descriptor by which a new process enters the group itself; None if there is none."""
        if self.group is None:
            return None
        try:
            return self.group.open_door()
        except OSError:
            return None

    def take(self, pid: int) -> None:
        """Put a running process of ours into the room."""
        if self.group is not None:
            self.group.add(pid)
        if self.limits.any:
            rlimits.apply(self.limits, pid)

    def leave(self) -> None:
        """Give an empty room back."""
        if self.group is not None:
            self.group.remove()

    def oom_kills(self) -> int:
        """How often the kernel has killed for memory in this server's group."""
        return Group(self.group.path.parent).oom_kills() if self.group is not None else 0


NO_ROOM = Room()
"""No group and no limit."""


def enter(door: int | None, limits: Limits) -> None:
    """In the new process, before it is executed: go into the room."""
    if door is not None:
        with contextlib.suppress(OSError):
            os.write(door, b"0")
    if limits.any:
        rlimits.apply(limits)


class Rooms:
    """The fleet's groups, made when the first is wanted; without any it only hands out rlimits."""

    def __init__(self, own: Group | None = None, name: str = "", guard_pid: int = 0) -> None:
        self._own = own
        self._name = name
        self._guard_pid = guard_pid
        self._fleet: Group | None = None
        self._controllers: frozenset[str] = frozenset()
        self._number: Iterator[int] = itertools.count(1)

    def room(self, server: str, resources: ResourceSettings, user: str | None = None) -> Room:
        """A room for one new process of a server."""
        group = self._place(server, resources)
        held = self._controllers if group is not None else frozenset()
        return Room(
            group,
            limits(resources, held, user),
            resources.memory_mb,
            watched=resources.memory_mb is not None and "memory" not in held,
        )

    def close(self) -> None:
        """Remove the groups; one that still has processes stays for the next run to end."""
        if self._fleet is not None:
            until_s = time.monotonic() + _EMPTY_S  # killed processes take a moment to leave
            while not self._fleet.remove() and time.monotonic() < until_s:
                time.sleep(0.005)

    def _place(self, server: str, resources: ResourceSettings) -> Group | None:
        if self._fleet is None:
            self._open()
        above = cgroup.place(self._fleet, server)
        if above is None:
            return None
        for file, value in (
            ("memory.max", None if resources.memory_mb is None else resources.memory_mb * _MIB),
            ("pids.max", resources.processes),
        ):
            above.write(file, "max" if value is None else str(value))
        above.write("cpu.weight", str(resources.cpu_weight or 100))
        return cgroup.place(above, str(next(self._number)))

    def _open(self) -> None:
        self._fleet = cgroup.place(self._own, self._name)
        if self._own is not None and self._fleet is not None:
            above = self._own.pass_on(_CONTROLLERS, self._are_ours)
            self._controllers = self._fleet.pass_on(above & set(_CONTROLLERS), lambda _: False)

    def _are_ours(self, pids: list[int]) -> bool:
        below = proc.descendants(self._guard_pid, proc.scan())
        return set(pids) <= {self._guard_pid, *(found.pid for found in below)}


def open_rooms(state_dir: Path, guard_pid: int) -> Rooms:
    """The rooms of the fleet whose state folder this is; what an earlier run left in them is ended.

    Call it with the folder's lock held: then nobody else's processes can be in them. Groups of other fleets are
    removed if nothing is in them: theirs were killed and never started again.
    """
    own = cgroup.own()
    if own is None:
        return Rooms()
    try:
        name = cgroup.name_of(state_dir)
    except OSError:
        return Rooms()
    for group in own.children():
        if group.path.name == name:
            group.kill()
        if cgroup.FLEET.fullmatch(group.path.name) and not group.pids():
            group.remove()
    return Rooms(own, name, guard_pid)


def limits(resources: ResourceSettings, held: frozenset[str], user: str | None = None) -> Limits:
    """What is left for rlimits when groups already hold these."""
    memory_mb = None if "memory" in held else resources.memory_mb
    processes = None if "pids" in held else resources.processes
    weight = None if "cpu" in held else resources.cpu_weight
    if processes is not None:
        with contextlib.suppress(KeyError):
            processes += usage.tasks_of_user(pwd.getpwnam(user).pw_uid if user else os.getuid())
    return Limits(
        data_bytes=None if memory_mb is None else memory_mb * _MIB + rlimits.SLACK_BYTES,
        open_files=resources.open_files,
        processes=processes,
        nice=None if weight is None else rlimits.nice_of(weight),
    )


def memory_mb(pid: int, group: Group | None, inherited_bytes: int = 0) -> int | None:
    """Private memory of a process and all that it started, in MiB; None if there is none of it left.

    `inherited_bytes` is what the process shared with its parent when it was forked.
    """
    pids = group.pids() if group is not None else []
    if pid not in pids:
        pids = [pid, *(found.pid for found in proc.descendants(pid, proc.scan()))]
    each = (usage.private_bytes(member, inherited_bytes if member == pid else 0) for member in pids)
    used = [found for found in each if found is not None]
    return sum(used) // _MIB if used else None
