"""journald, read in this process through libsystemd: no program is started and nothing is written.

What is read of an entry: its message, priority, unit, name and pid. Never command lines or environments. Where
there is no library or no journal that may be read, there is no such source, and `why_not` says which it is.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from omnimind.servers.logging import levels
from omnimind.servers.logging.plain import plain
from omnimind.servers.logging.record import Chunk, Loaded, Record
from omnimind.servers.logging.wanted import Budget, Wanted, stamp_of
from omnimind.servers.problem import Problem

NAME = "@journal"
FOLDERS = ("/var/log/journal", "/run/log/journal")
LIBRARY = "libsystemd.so.0"
_LOCAL_ONLY = 1
_ENTRIES = 200
_FIELD_BYTES = 64 * 1024
_FIELDS = ("MESSAGE", "PRIORITY", "_SYSTEMD_UNIT", "_SYSTEMD_USER_UNIT", "SYSLOG_IDENTIFIER", "_PID")


_CURSOR_TIME = re.compile(r";t=([0-9a-f]{1,15})")


def _stamp(microseconds: str) -> str:
    return stamp_of(datetime.fromtimestamp(int(microseconds, 16) / 1_000_000, UTC))


class JournalError(Problem):
    """The library refused, for what it says."""


def _library() -> ctypes.CDLL | None:
    """The library; the loader keeps it once it is loaded."""
    try:
        library = ctypes.CDLL(LIBRARY, use_errno=False)
    except OSError:
        return None
    pointer, size, text = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
    for name, arguments in {
        "sd_journal_open": [ctypes.POINTER(pointer), ctypes.c_int],
        "sd_journal_open_directory": [ctypes.POINTER(pointer), text, ctypes.c_int],
        "sd_journal_seek_head": [pointer],
        "sd_journal_seek_tail": [pointer],
        "sd_journal_seek_cursor": [pointer, text],
        "sd_journal_seek_realtime_usec": [pointer, ctypes.c_uint64],
        "sd_journal_test_cursor": [pointer, text],
        "sd_journal_next": [pointer],
        "sd_journal_previous": [pointer],
        "sd_journal_add_match": [pointer, pointer, size],
        "sd_journal_set_data_threshold": [pointer, size],
        "sd_journal_get_realtime_usec": [pointer, ctypes.POINTER(ctypes.c_uint64)],
        "sd_journal_get_usage": [pointer, ctypes.POINTER(ctypes.c_uint64)],
        "sd_journal_get_cursor": [pointer, ctypes.POINTER(pointer)],
        "sd_journal_get_data": [pointer, text, ctypes.POINTER(pointer), ctypes.POINTER(size)],
    }.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, ctypes.c_int
    library.sd_journal_close.argtypes, library.sd_journal_close.restype = [pointer], None
    return library


_free = ctypes.CDLL(None).free
_free.argtypes, _free.restype = [ctypes.c_void_p], None


def why_not(folders: tuple[str, ...] = FOLDERS) -> str | None:
    """Why there is no journal here; None if there is one that may be read."""
    if _library() is None:
        return f"{LIBRARY} is not installed"
    found = [file for folder in folders for file in Path(folder).glob("*/*.journal")]
    if not found:
        return f"there are no journal files that may be listed beneath {' or '.join(folders)}"
    if not any(os.access(file, os.R_OK) for file in found):
        return "this user may not read the journal files; the group systemd-journal may"
    return None


class _Open:
    """An open journal; used by one thread at a time."""

    def __init__(self, library: ctypes.CDLL, folder: str | None) -> None:
        self._library = library
        self._handle = ctypes.c_void_p()
        where = ctypes.byref(self._handle)
        if folder is None:
            self._checked(library.sd_journal_open(where, _LOCAL_ONLY))
        else:
            self._checked(library.sd_journal_open_directory(where, os.fsencode(folder), 0))
        library.sd_journal_set_data_threshold(self._handle, _FIELD_BYTES)

    def close(self) -> None:
        self._library.sd_journal_close(self._handle)

    def step(self, backward: bool) -> bool:
        """To the next entry; False if there is none."""
        move = self._library.sd_journal_previous if backward else self._library.sd_journal_next
        return self._checked(move(self._handle)) > 0

    def seek(self, where: str, backward: bool) -> bool:
        """So that the next step leads to the first entry on the far side of a boundary. False: it is gone."""
        if not where:
            seek = self._library.sd_journal_seek_tail if backward else self._library.sd_journal_seek_head
            self._checked(seek(self._handle))
            return True
        side, cursor = where[0], where[1:].encode("ascii", "replace")
        if self._library.sd_journal_seek_cursor(self._handle, cursor) < 0:
            return False
        # The next step leads to the entry itself, or to its neighbour if it is gone.
        if (side == ">") != backward and self._here(cursor, backward):
            return True
        return self.seek_again(cursor)

    def seek_again(self, cursor: bytes) -> bool:
        """Before the entry of a cursor once more."""
        return bool(self._library.sd_journal_seek_cursor(self._handle, cursor) >= 0)

    def _here(self, cursor: bytes, backward: bool) -> bool:
        """Step once, and say whether that led to the entry of the cursor, which is then behind."""
        return self.step(backward) and self._library.sd_journal_test_cursor(self._handle, cursor) > 0

    def seek_time(self, stamp: str) -> None:
        """So that the next step leads to the first entry beside a moment."""
        moment = int(datetime.fromisoformat(stamp).timestamp() * 1_000_000)
        self._checked(self._library.sd_journal_seek_realtime_usec(self._handle, max(0, moment)))

    def only(self, field: str) -> None:
        """Entries with this field; of several of the same name any."""
        match = field.encode()
        self._checked(self._library.sd_journal_add_match(self._handle, match, len(match)))

    def time(self) -> datetime:
        """When the entry was written."""
        found = ctypes.c_uint64()
        self._checked(self._library.sd_journal_get_realtime_usec(self._handle, ctypes.byref(found)))
        return datetime.fromtimestamp(found.value / 1_000_000, UTC)

    def cursor(self) -> str:
        """The entry's name in the journal."""
        found = ctypes.c_void_p()
        self._checked(self._library.sd_journal_get_cursor(self._handle, ctypes.byref(found)))
        try:
            return ctypes.string_at(found.value or 0).decode("ascii", "replace")
        finally:
            _free(found)

    def field(self, name: str) -> str | None:
        """A field of the entry."""
        data, size = ctypes.c_void_p(), ctypes.c_size_t()
        code = self._library.sd_journal_get_data(
            self._handle, name.encode(), ctypes.byref(data), ctypes.byref(size)
        )
        if code < 0:
            if -code in (errno.ENOENT, errno.EBADMSG, errno.E2BIG, errno.EPROTONOSUPPORT):
                return None
            self._checked(code)
        raw = ctypes.string_at(data.value or 0, size.value)
        return raw.partition(b"=")[2].decode("utf-8", "replace")

    def usage(self) -> int:
        """The bytes of its files."""
        found = ctypes.c_uint64()
        self._checked(self._library.sd_journal_get_usage(self._handle, ctypes.byref(found)))
        return found.value

    def _checked(self, code: int) -> int:
        if code < 0:
            raise JournalError(f"the journal cannot be read: {os.strerror(-code)}; search the other logs")
        return code


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal of this machine, or of a folder, as a source."""

    folder: str | None = None
    name: str = NAME
    key: str = NAME

    def begins(self) -> str:
        """The time of its first entry."""
        return self.range()[0] or ""

    def end(self) -> str:
        """Behind the last entry."""
        with self._opened() as journal:
            journal.seek("", backward=True)
            return f">{journal.cursor()}" if journal.step(backward=True) else ""

    def range(self) -> tuple[str | None, str | None, int]:
        """The times of the first and the last entry, and the bytes of the files."""
        times: list[str | None] = []
        with self._opened() as journal:
            for backward in (False, True):
                journal.seek("", backward)
                times.append(stamp_of(journal.time()) if journal.step(backward) else None)
            return times[0], times[1], journal.usage()

    def chunks(self, wanted: Wanted, where: str, backward: bool, budget: Budget) -> Iterator[Chunk]:
        """Its entries from a boundary on, some at a time."""
        if backward and not where:
            return
        with self._opened() as journal:
            if wanted.least > 1 and not wanted.unknown:
                for priority in range(8 - wanted.least + 1):
                    journal.only(f"PRIORITY={priority}")
            if not self._seek(journal, wanted, where, backward):
                return
            while chunk := self._read(journal, wanted, backward, budget):
                yield chunk

    def _seek(self, journal: _Open, wanted: Wanted, where: str, backward: bool) -> bool:
        """To a boundary, or to the near end of the time that is asked for if that is further."""
        near = wanted.until if backward else wanted.since
        said = _CURSOR_TIME.search(where)
        if near and (said is None or (_stamp(said[1]) > near) == backward):
            journal.seek_time(near)
            return True
        return journal.seek(where, backward)

    def _read(self, journal: _Open, wanted: Wanted, backward: bool, budget: Budget) -> Loaded | None:
        """The next entries; None at the end, or where time says that there can be no more."""
        times: list[str] = []
        found: list[Record] = []
        after, size = "", 0
        while len(times) < _ENTRIES and journal.step(backward):
            moment, cursor = stamp_of(journal.time()), journal.cursor()
            if (backward and moment < wanted.since) or (
                not backward and wanted.until and moment >= wanted.until
            ):
                break
            times.append(moment)
            after = f"<{cursor}" if backward else f">{cursor}"
            if wanted.in_time(moment):
                record = self._record(journal, moment, cursor)
                size += len(record.text)
                found.append(record)
        budget.spend(size)
        return Loaded(max(times), min(times), after, backward, found) if times else None

    def _record(self, journal: _Open, moment: str, cursor: str) -> Record:
        said = {name: journal.field(name) for name in _FIELDS}
        text = plain(said["MESSAGE"] or "")
        level = levels.of_priority(said["PRIORITY"] or "")
        unit = said["_SYSTEMD_USER_UNIT"] or said["_SYSTEMD_UNIT"] or said["SYSLOG_IDENTIFIER"]
        pid = said["_PID"] or ""
        return Record(
            moment, self.name, level, text, f"<{cursor}", f">{cursor}",
            int(pid) if pid.isdigit() else None, plain(unit) if unit else None,
        )  # fmt: skip

    @contextmanager
    def _opened(self) -> Iterator[_Open]:
        library = _library()
        if library is None:
            raise JournalError(f"journald is not available here: {LIBRARY} is not installed")
        journal = _Open(library, self.folder)
        try:
            yield journal
        finally:
            journal.close()
