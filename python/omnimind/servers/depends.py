"""What the answer of a call depends on, so that the gateway may give it again as long as that is unchanged.

Rule: a tool says on what its answers rest (`REQUEST`: on nothing but the arguments; `FILES`: on the files that were
looked at on the way), the domain code notes each file *before* it reads it, and whatever else an answer depends on
(the time, chance, the state of this process, other files) is said with `unsure`. Only then, and only to the gateway,
an answer carries the stamps of its files; they are compared with the files at every hit. One omission makes a stale
answer and one word too many costs a hit, so in doubt it is `unsure`.

A stamp is taken only where equal stamps mean equal bytes: of what is reached without a link (a link that is turned
elsewhere moves no stamp), on a file system with punctual times, and not of a file that was changed a moment ago: a
second change within one tick of the kernel's clock would leave the same times behind. A folder's stamp covers the
names in it, not the sizes or times of what they name. What it cannot see is a store into a file that a program has
mapped into its memory: the kernel moves the times when it first notices, not at each.
"""

from __future__ import annotations

import os
import stat
import time
from contextvars import ContextVar
from typing import Any, Final, Literal

from omnimind.linux.filesystems import has_punctual_times

META_KEY: Final = "omnimind/depends"
MOST: Final = 16
"""More files than this and an answer is not kept: comparing them would cost as much as asking again."""

Basis = Literal["request", "files"]
REQUEST: Final[Basis] = "request"
FILES: Final[Basis] = "files"

_YOUNG_NS: Final = 50_000_000  # several ticks of the coarsest clock that kernels are built with
_SECOND_NS: Final = 1_000_000_000
_YOUNG_IN_SECONDS_NS: Final = 2 * _SECOND_NS + _YOUNG_NS
_LOOK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC

Stamp = dict[str, Any]


class Evidence:
    """What is known of one answer so far."""

    def __init__(self) -> None:
        self._basis: Basis | None = None
        self._stamps: dict[str, Stamp] = {}
        self._unsure = False
        self.others_wrote = False
        """Another process was seen to have changed a database since this one looked last."""

    def rests_on(self, basis: Basis) -> None:
        """The tool's own word; without one there are no stamps."""
        self._basis = basis

    def stamps(self) -> list[Stamp] | None:
        """The files that the answer depends on; None if more is at play, or if that is not known."""
        known = self._basis is not None and not self._unsure
        if not known or (self._basis == FILES and not self._stamps):
            return None
        return list(self._stamps.values())

    @property
    def is_open(self) -> bool:
        """Whether it is still worth looking at files."""
        return self._basis is not None and not self._unsure

    def give_up(self) -> None:
        """The answer depends on more than files."""
        self._unsure = True
        self._stamps.clear()

    def add(self, stamp: Stamp | None) -> None:
        """One more file; None for one that has no stamp."""
        if stamp is None:
            self.give_up()
            return
        before = self._stamps.setdefault(stamp["path"], stamp)
        if before != stamp or len(self._stamps) > MOST:
            self.give_up()


_evidence: ContextVar[Evidence | None] = ContextVar("omnimind_evidence", default=None)


def collect() -> Evidence:
    """From here on, in this task and its threads, what is noted belongs to one answer."""
    evidence = Evidence()
    _evidence.set(evidence)
    return evidence


def rests_on(basis: Basis | None) -> None:
    """Say on what the answer of this call rests; None: on what no file shows."""
    evidence = _evidence.get()
    if evidence is not None and basis is not None:
        evidence.rests_on(basis)


def wanted() -> bool:
    """Whether anybody will use what is noted. For what costs more than a look at a file."""
    evidence = _evidence.get()
    return evidence is not None and evidence.is_open


def unsure() -> None:
    """The answer depends on something that no file shows, or that is not worth looking at."""
    evidence = _evidence.get()
    if evidence is not None:
        evidence.give_up()


def others_wrote() -> None:
    """Another process has changed a database of this server."""
    evidence = _evidence.get()
    if evidence is not None:
        evidence.others_wrote = True


def file(path: str | os.PathLike[str]) -> None:
    """The answer depends on the file or folder at this path, or on there being none. Say so before reading it."""
    evidence = _evidence.get()
    if evidence is not None and evidence.is_open:
        evidence.add(stamp_at(os.fspath(path)))


def empty(path: str) -> None:
    """The answer depends on there being no file at this path, or one without a byte; `unsure` if it is not so."""
    evidence = _evidence.get()
    if evidence is not None and evidence.is_open:
        evidence.add({"path": path, "empty": True} if _is_empty(path) and _is_text(path) else None)


def opened(descriptor: int, path: str | None = None) -> None:
    """The same of a file or folder that is open; it must lie at this path if one is given."""
    evidence = _evidence.get()
    if evidence is not None and evidence.is_open:
        evidence.add(_stamp_of(descriptor, path))


def stamp_at(path: str) -> Stamp | None:
    """The stamp of what is at a path; None where it would say too little. A database may be open there: the look
    takes no lock away from it, because it never opens the file itself."""
    try:
        descriptor = os.open(path, _LOOK)
    except FileNotFoundError:
        return {"path": path, "missing": True} if _is_text(path) else None
    except OSError:
        return None
    try:
        return _stamp_of(descriptor, path)
    finally:
        os.close(descriptor)


def _stamp_of(descriptor: int, path: str | None) -> Stamp | None:
    try:
        real = os.readlink(f"/proc/self/fd/{descriptor}")
        facts = os.fstat(descriptor)
        punctual = has_punctual_times(descriptor)
    except OSError:
        return None
    plain = stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)
    if not plain or not punctual or facts.st_nlink == 0 or not _is_text(real):
        return None
    if (path is not None and path != real) or _is_young(facts, time.time_ns()):
        return None
    return {
        "path": real,
        "inode": facts.st_ino,
        "size": facts.st_size,
        "mtime_ns": facts.st_mtime_ns,
        "ctime_ns": facts.st_ctime_ns,
    }


def _is_empty(path: str) -> bool:
    try:
        facts = os.lstat(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return stat.S_ISREG(facts.st_mode) and facts.st_size == 0


def _is_young(facts: os.stat_result, now_ns: int) -> bool:
    """Whether another change could still leave these very times. A future time is young: clocks are set back."""
    changed_ns = max(facts.st_mtime_ns, facts.st_ctime_ns)
    in_seconds = facts.st_ctime_ns % _SECOND_NS == 0  # ext4 with small inodes counts no less
    return now_ns - changed_ns < (_YOUNG_IN_SECONDS_NS if in_seconds else _YOUNG_NS)


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
