"""Control groups (version 2): ending and limiting a process with all that it ever started.

A process cannot leave its group by forking twice, by a session of its own or by clearing its environment, so
`kill` reaches what no walk through parents finds. Everything here works on a folder, and every step may be
refused (no cgroup2 mount, read-only, not ours to write): then there is simply no group, and the caller does
without.

The rule of the kernel that shapes the rest: a group that passes controllers on to its children must hold no
process itself, the root excepted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from omnimind.linux import openat2

_ESCAPE = re.compile(r"\\([0-7]{3})")
_DELEGATED = ("user.delegate", "trusted.delegate")
"""How systemd marks a group that belongs to its unit (`Delegate=`)."""
FLEET = re.compile(r"omnimind(?:-[0-9a-f]+){3}")
"""What `name_of` makes."""
OWN_LEAF = "omnimind-main"
"""Where the fleet's own processes go when their group has to be empty."""


@dataclass(frozen=True, slots=True)
class Group:
    """One group, by its folder."""

    path: Path

    def make(self, name: str) -> Group:
        """The child group of this name, made if need be, this one too. Raises OSError."""
        child = Group(self.path / name)
        child.path.mkdir(mode=0o755, parents=True, exist_ok=True)
        return child

    def children(self) -> list[Group]:
        """The groups directly below."""
        try:
            return [Group(self.path / entry.name) for entry in os.scandir(self.path) if entry.is_dir()]
        except OSError:
            return []

    def add(self, pid: int) -> bool:
        """Move a process here; False if that is refused or it is gone."""
        return self.write("cgroup.procs", str(pid))

    def open_door(self) -> int:
        """A descriptor: who writes `0` to it moves itself here, whatever it may write by then. Raises OSError."""
        return os.open(self.path / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)

    def pids(self) -> list[int]:
        """Every process here and below."""
        here = [int(word) for word in self.read("cgroup.procs").split() if word.isdigit() and word != "0"]
        return here + [pid for child in self.children() for pid in child.pids()]

    def kill(self) -> bool:
        """SIGKILL to every process here and below, also to those that fork meanwhile; False if refused."""
        return self.write("cgroup.kill", "1")

    def remove(self) -> bool:
        """Remove this group and those below; False if processes are still in it."""
        for child in self.children():
            child.remove()
        try:
            self.path.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def read(self, file: str) -> str:
        """What an interface file says; nothing if there is none."""
        try:
            return (self.path / file).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return ""

    def write(self, file: str, value: str) -> bool:
        """Write an interface file, never make one; False if refused."""
        try:
            descriptor = os.open(self.path / file, os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            os.write(descriptor, value.encode("ascii"))
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True

    def oom_kills(self) -> int:
        """How many processes here and below the kernel has killed for memory."""
        for line in self.read("memory.events").splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill" and count.isdigit():
                return int(count)
        return 0

    def controllers(self) -> frozenset[str]:
        """What the children of this group are controlled for."""
        return frozenset(self.read("cgroup.subtree_control").split())

    def pass_on(self, wanted: Iterable[str], may_empty: Callable[[list[int]], bool]) -> frozenset[str]:
        """Have the children controlled for what is wanted and there; what they are controlled for now.

        If that is refused because processes are here, they are moved into a group below, provided that the
        group was given to us and `may_empty` agrees to all of them.
        """
        there = set(self.read("cgroup.controllers").split())
        missing = [name for name in wanted if name in there and name not in self.controllers()]
        for name in missing:
            if not self.write("cgroup.subtree_control", f"+{name}") and self._emptied(may_empty):
                self.write("cgroup.subtree_control", f"+{name}")
        return self.controllers()

    def _emptied(self, may_empty: Callable[[list[int]], bool]) -> bool:
        here = [int(word) for word in self.read("cgroup.procs").split() if word.isdigit()]
        if not here or not self.delegated() or not may_empty(here):
            return False
        try:
            leaf = self.make(OWN_LEAF)
        except OSError:
            return False
        moved = [leaf.add(pid) for pid in here]  # every one of them, also after a refusal
        return all(moved)

    def delegated(self) -> bool:
        """True if the system's manager says that this group is its unit's to arrange."""
        for name in _DELEGATED:
            with contextlib.suppress(OSError):
                if os.getxattr(self.path, name) == b"1":
                    return True
        return False


def own(mounts: str | None = None, membership: str | None = None) -> Group | None:
    """This process's group, if there is a cgroup2 mount that shows it.

    The arguments stand for `/proc/self/mountinfo` and `/proc/self/cgroup`.
    """
    try:
        mounts = Path("/proc/self/mountinfo").read_text() if mounts is None else mounts
        membership = Path("/proc/self/cgroup").read_text() if membership is None else membership
    except OSError:
        return None
    within = next((line[3:] for line in membership.splitlines() if line.startswith("0::/")), None)
    if within is None or within.startswith("/.."):  # the latter: outside of what this namespace shows
        return None
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if right.split(" ")[:1] != ["cgroup2"] or len(fields) < 5:
            continue
        root, point = _unescaped(fields[3]), _unescaped(fields[4])
        if within == root or within.startswith(root.rstrip("/") + "/"):
            group = Group(Path(point) / within[len(root) :].lstrip("/"))
            return Group(group.path.parent) if group.path.name == OWN_LEAF else group
    return None


def place(parent: Group | None, name: str) -> Group | None:
    """A group below `parent`, or None where groups cannot be made or do not know `cgroup.kill`."""
    if parent is None:
        return None
    try:
        made = parent.make(name)
    except OSError:
        return None
    if os.access(made.path / "cgroup.kill", os.W_OK):
        return made
    made.remove()
    return None


def name_of(state_dir: Path) -> str:
    """The name of the group of the fleet that this state folder belongs to: the same for each of its runs.

    One fleet a folder holds the folder's lock, so whatever is in this group and not of this run is an earlier one's.
    """
    descriptor = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        born_ns = openat2.birth_time_ns(descriptor) or 0  # an inode's number is given again, its birth is not
    finally:
        os.close(descriptor)
    return f"omnimind-{found.st_dev:x}-{found.st_ino:x}-{born_ns:x}"


def refusal(parent: Group | None) -> str | None:
    """Why no group can be made below `parent`, for people; None if one can."""
    if parent is None:
        return "no cgroup2 file system shows this process"
    probe = parent.path / f"omnimind-probe-{os.getpid()}"
    try:
        probe.mkdir()
    except OSError as fault:
        return "read-only" if fault.errno == errno.EROFS else os.strerror(fault.errno or 0)
    try:
        return None if (probe / "cgroup.kill").exists() else "the kernel has no cgroup.kill (before 5.14)"
    finally:
        probe.rmdir()


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), text)
