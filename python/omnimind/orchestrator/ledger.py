"""What a run of the fleet started, on disk, so that the next run can prove what is left of it.

`run/processes.jsonl` is append-only: one line when a run begins, one a process that it starts, one when that
has ended. A line is one `write`, so kill -9 of everything at any instant costs at most a line that was not
begun; a power cut may cost more, but then nothing is left to end. The line of a run is there before anything
of it is started, and holds the run's mark: 128 random bits that stand in the environment of all it starts, as
`OMNIMIND_INSTANCE=<mark>[.<child>]`. What drops its environment (`env -i`, some daemons) is entered by name:
pid, start time, user and program. Only the holder of the folder's lock writes.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omnimind.linux import proc
from omnimind.orchestrator.identity import Identity

FILE = "run/processes.jsonl"
MARK = "OMNIMIND_INSTANCE"
_COMPACT_BYTES = 256 * 1024

Key = tuple[int, int]
"""Pid and start time."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One process as it was when it was entered."""

    pid: int
    start_time: int
    uid: int
    executable: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Life:
    """One run of an orchestrator and what it had started when it was last heard of.

    `group` is the folder of the control group that its servers, and nothing else, lived in if there was one.
    """

    mark: str
    boot_id: str
    uid: int
    processes: dict[Key, Entry] = field(default_factory=dict)
    group: str | None = None

    def owns_mark(self, value: bytes) -> bool:
        """True if a variable's value is this run's mark, with or without a child's part."""
        return value.split(b".", 1)[0] == self.mark.encode()


class Ledger:
    """The record of one run, and what is kept of earlier ones."""

    def __init__(
        self, state_dir: Path, mark: str, earlier: Iterable[Life] = (), group: str | None = None
    ) -> None:
        """Begin a run: its line is on disk when this returns, unless the disk refuses."""
        self._path = state_dir / FILE
        self._mark = mark
        self._earlier = tuple(earlier)
        self._life = Life(mark, proc.boot_id(), os.geteuid(), group=group)
        self._descriptor: int | None = None
        self._size = 0
        self._marked: set[Key] = set()
        for pid in (os.getppid(), os.getpid()):
            if (entry := _entry(pid)) is not None:
                self._life.processes[pid, entry.start_time] = entry
        self._rewrite()

    def started(self, pid: int, start_time: int) -> None:
        """A process runs."""
        entry = _entry(pid)
        if entry is not None and entry.start_time == start_time:
            self._life.processes[pid, start_time] = entry
            self._append(_started_line(entry))

    def ended(self, pid: int, start_time: int) -> None:
        """A process was reaped, or is not below us any more."""
        if self._life.processes.pop((pid, start_time), None) is not None:
            self._append({"ended": [pid, start_time]})

    def look_around(self) -> None:
        """Enter what runs below us without our mark: nothing else could prove later that it is ours."""
        here = {(found.pid, found.start_time) for found in proc.below(os.getpid())}
        self._marked &= here
        for key in here - self._marked - self._life.processes.keys():
            value = proc.variable(key[0], MARK.encode())
            if value is not None and self._life.owns_mark(value):
                self._marked.add(key)
            else:
                self.started(*key)
        own = {os.getpid(), os.getppid()}
        for key in [key for key in self._life.processes if key not in here and key[0] not in own]:
            self.ended(*key)

    def close(self) -> None:
        """The run ends and has left nothing; earlier runs' leftovers stay on record."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        with contextlib.suppress(OSError):
            if self._earlier:
                write(self._path, self._earlier)
            else:
                self._path.unlink()

    def _append(self, line: dict[str, Any]) -> None:
        # The newline comes first, so that a line cut short by a full disk does not spoil the next one.
        data = b"\n" + _packed(line)
        if self._size + len(data) > _COMPACT_BYTES:
            self._rewrite()
        # A full disk costs the entry: what bears the mark is known all the same.
        with contextlib.suppress(OSError):
            if self._descriptor is not None:
                self._size += os.write(self._descriptor, data)

    def _rewrite(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        with contextlib.suppress(OSError):
            self._size = write(self._path, (*self._earlier, self._life))
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)


def child_mark(environ: Mapping[str, str]) -> str:
    """A mark for one child and all below it: the run's, and a part of its own."""
    return f"{environ.get(MARK) or os.urandom(16).hex()}.{os.urandom(8).hex()}"


def read(state_dir: Path) -> list[Life]:
    """The runs on record; of a damaged file what can be read."""
    lives: list[Life] = []
    try:
        descriptor = os.open(state_dir / FILE, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return lives
    with open(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            return lives  # somebody else could have written it: it proves nothing
        for line in file:
            with contextlib.suppress(ValueError, KeyError, TypeError, IndexError, RecursionError):
                _apply(json.loads(line), lives)
    return lives


def write(path: Path, lives: Iterable[Life]) -> int:
    """Replace the record in one step; its size."""
    lines: list[dict[str, Any]] = []
    for life in lives:
        lines.append({"run": life.mark, "boot": life.boot_id, "uid": life.uid, "group": life.group})
        lines += [_started_line(entry) for entry in life.processes.values()]
    data = b"\n".join(_packed(line) for line in lines)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        os.replace(fresh, path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    return len(data)


def of_this_boot(lives: Iterable[Life]) -> list[Life]:
    """The runs whose processes could still be here."""
    boot_id = proc.boot_id()
    return [life for life in lives if life.boot_id == boot_id]


def _packed(line: dict[str, Any]) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode()


def _entry(pid: int) -> Entry | None:
    identity, uid = Identity.of(pid), proc.uid(pid)
    if identity is None or uid is None:
        return None
    return Entry(pid, identity.start_time, uid, proc.executable(pid))


def _started_line(entry: Entry) -> dict[str, Any]:
    program = None if entry.executable is None else list(entry.executable)
    return {"started": [entry.pid, entry.start_time], "uid": entry.uid, "exe": program}


def _apply(line: dict[str, Any], lives: list[Life]) -> None:
    if "run" in line:
        group = None if line.get("group") is None else str(line["group"])
        lives.append(Life(str(line["run"]), str(line["boot"]), int(line["uid"]), group=group))
    elif "started" in line:
        pid, start_time = (int(number) for number in line["started"])
        program = None if line["exe"] is None else (int(line["exe"][0]), int(line["exe"][1]))
        lives[-1].processes[pid, start_time] = Entry(pid, start_time, int(line["uid"]), program)
    elif "ended" in line:
        pid, start_time = (int(number) for number in line["ended"])
        lives[-1].processes.pop((pid, start_time), None)
