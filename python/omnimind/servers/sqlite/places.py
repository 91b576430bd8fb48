"""Which databases there are, and where each one is.

Rule: a name leads to a regular file beneath a configured folder, or to nothing. The folder is opened
component by component without following any link, the file and its journals must be regular files with one
name each, and `engine.py` compares the file that SQLite has opened with the one that was looked at here.
Without arguments every principal has a folder of its own.

A database file is only ever looked at with O_PATH: closing an ordinary descriptor of it would drop the locks
that SQLite holds for another thread of this process.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from omnimind.linux.openat2 import walk_beneath
from omnimind.servers import depends
from omnimind.servers.filesystem.secrets import is_secret
from omnimind.servers.problem import Problem
from omnimind.servers.sqlite import limits

DEFAULT: Final = "main.db"
SUFFIXES: Final = (".db", ".db3", ".s3db", ".sqlite", ".sqlite3")
_PLAIN: Final = re.compile(r"\w[\w .+-]*")
_JOURNALS: Final = ("-journal", "-wal", "-shm")
_FOLDER: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Place:
    """A database by its name: the folder it is beneath, and the rest of the way."""

    root: str
    relative: str
    shown: str
    largest: int
    default: bool
    awaited: bool = False  # made by the first write, and empty until then

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.relative.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Spot:
    """A database file that was looked at: where it is, and which file it is."""

    path: str
    identity: tuple[int, int]
    bytes: int
    modified: float


@dataclass(frozen=True, slots=True)
class Shelf:
    """The databases of one principal."""

    files: Sequence[str]
    folders: Sequence[str]
    largest: int
    state: str
    private: bool

    def locate(self, database: str | None) -> Place:
        """The place that a name means. Says nothing about whether it exists."""
        if database is None:
            return self._default()
        _refuse_odd(database)
        for file in self.files:
            if database in (file, os.path.basename(file)):
                return self._file(file)
        if os.path.isabs(database):
            return self._beneath(os.path.normpath(database), database)
        places = [self._place(folder, database) for folder in self.folders]
        if not places:
            raise Problem(
                f"there is no database {database}; there are {', '.join(map(os.path.basename, self.files))}"
            )
        return next((place for place in places if self.look(place) is not None), places[0])

    def _default(self) -> Place:
        if self.files:
            return self._file(self.files[0])
        return self._place(self.folders[0], DEFAULT)

    def _file(self, file: str) -> Place:
        folder, _, name = file.rpartition("/")
        return Place(folder or "/", name, name, self.largest, file == self.files[0], awaited=True)

    def _beneath(self, path: str, shown: str) -> Place:
        for folder in self.folders:
            if path.startswith(folder.rstrip("/") + "/"):
                return self._place(folder, path[len(folder.rstrip("/")) + 1 :])
        raise Problem(f"{shown} is outside the folders of this server; list_databases shows what there is")

    def _place(self, folder: str, relative: str) -> Place:
        parts = relative.split("/")
        if any(part in ("", ".", "..") for part in parts):
            raise Problem(
                f"{relative} is not a plain path beneath a folder of this server; leave out . and .."
            )
        if relative.endswith(_JOURNALS):
            raise Problem(f"{relative} is the name of a journal, not of a database")
        default = not self.files and folder == self.folders[0] and relative == DEFAULT
        return Place(folder, relative, relative, self.largest, default, awaited=default)

    def look(self, place: Place) -> Spot | None:
        """The file at this place; None if there is none. Refuses what is no file of its own."""
        try:
            with self._parent(place) as (folder, path):
                return _spot(folder, place, path)
        except FileNotFoundError:
            return None

    @contextmanager
    def _parent(self, place: Place) -> Iterator[tuple[int, str]]:
        """The folder of a place, and the real path of the place."""
        try:
            root = os.open(place.root, _FOLDER)
        except OSError as refusal:
            raise _trouble(refusal, place.shown) from refusal
        try:
            folder = walk_beneath(root, place.relative.rpartition("/")[0] or ".", _FOLDER)
        except OSError as refusal:
            raise _trouble(refusal, place.shown) from refusal
        finally:
            os.close(root)
        try:
            path = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), place.name)
            if place.root in self.folders:  # a file that the operator named is served whatever it is
                self._refuse_closed(path, place)
            yield folder, path
        finally:
            os.close(folder)

    def _refuse_closed(self, path: str, place: Place) -> None:
        inside = place.root == self.state or place.root.startswith(self.state + "/")
        if not inside and path.startswith(self.state + "/"):
            raise Problem(f"{place.shown} belongs to OmniMind's own state and is not served")
        if is_secret(path, str(Path.home())):
            raise Problem(f"{place.shown} holds credentials and is not served")

    def create(self, place: Place) -> bool:
        """Make an empty file, with the folders above it; False if there is one already."""
        if self.look(place) is not None:
            return False
        if not place.awaited and not place.name.lower().endswith(SUFFIXES):
            raise Problem(f"{place.shown} does not end like a database; use one of {', '.join(SUFFIXES)}")
        if not place.awaited and not all(map(_PLAIN.fullmatch, place.relative.split("/"))):
            raise Problem(f"{place.shown} is no plain name; use letters, digits, spaces and any of _ . - +")
        if self.private and len(list(self.listed(lambda: None))) >= limits.PRIVATE_FILES:
            raise Problem(f"there are {limits.PRIVATE_FILES} databases already, which is the limit")
        self._make_folders(place)
        with self._parent(place) as (folder, _):
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                os.close(os.open(place.name, flags, 0o600, dir_fd=folder))
            except FileExistsError:
                return False
            except OSError as refusal:
                raise _trouble(refusal, place.shown) from refusal
        return True

    def _make_folders(self, place: Place) -> None:
        parts = place.relative.split("/")[:-1]
        if len(parts) > limits.DEPTH:
            raise Problem(f"{place.shown} is {len(parts)} folders deep; the limit is {limits.DEPTH}")
        for count in range(len(parts)):
            above = Place(place.root, "/".join(parts[: count + 1]), place.shown, 0, False)
            with self._parent(above) as (folder, _):
                try:
                    os.mkdir(above.name, 0o700, dir_fd=folder)
                except FileExistsError:
                    continue
                except OSError as refusal:
                    raise _trouble(refusal, place.shown) from refusal

    def listed(self, check: Callable[[], None]) -> Iterator[tuple[Place, Spot]]:
        """Every database, the default first, then by name. `check` is asked now and then and may raise."""
        yield from self._looked([self._default(), *map(self._file, self.files[1:])])
        for folder in self.folders:
            names = sorted(_names(folder, check))
            places = [self._place(folder, name) for name in names]
            yield from self._looked([place for place in places if not place.default])

    def _looked(self, places: Sequence[Place]) -> Iterator[tuple[Place, Spot]]:
        for place in places:
            depends.file(os.path.join(place.root, place.relative))
            try:
                spot = self.look(place)
            except Problem:
                continue
            if spot is not None:
                yield place, spot


class Places:
    """The databases of all principals, as the server's arguments have them."""

    def __init__(self, files: Sequence[str], folders: Sequence[str], state: Path) -> None:
        self._files = tuple(dict.fromkeys(os.path.realpath(os.path.expanduser(file)) for file in files))
        self._folders = tuple(dict.fromkeys(os.path.realpath(os.path.expanduser(name)) for name in folders))
        self._state = os.path.realpath(state)
        missing = [folder for folder in self._folders if not os.path.isdir(folder)]
        if missing:
            raise ValueError(f"{missing[0]} is not a folder")
        for file in self._files:
            os.makedirs(os.path.dirname(file), exist_ok=True)

    def of(self, principal: str) -> Shelf:
        """The databases that this principal may use."""
        if self._files or self._folders:
            return Shelf(self._files, self._folders, limits.SHARED_FILE_BYTES, self._state, private=False)
        hashed = hashlib.sha256(principal.encode()).hexdigest()[:32]
        folder = os.path.join(self._state, "db", "sqlite", hashed)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return Shelf((), (folder,), limits.PRIVATE_FILE_BYTES, self._state, private=True)

    def shown(self) -> str:
        """Where the databases are, as a text."""
        return ", ".join((*self._files, *self._folders)) or "a folder of your own"


def _spot(folder: int, place: Place, path: str) -> Spot:
    for name in (place.name, *(place.name + journal for journal in _JOURNALS)):
        try:
            found = _named(name, folder)
        except FileNotFoundError:
            if name == place.name:
                raise
            continue
        except OSError as refusal:
            raise _trouble(refusal, place.shown) from refusal
        if not stat.S_ISREG(found.st_mode):
            raise Problem(f"{name} is not a regular file (links, folders, pipes and devices are not opened)")
        if found.st_nlink != 1:
            raise Problem(
                f"{name} has {found.st_nlink} names (hard links), so its journal cannot be told; copy it"
            )
        if name == place.name:
            looked = found
    return Spot(path, (looked.st_dev, looked.st_ino), looked.st_size, looked.st_mtime)


def _named(name: str, folder: int) -> os.stat_result:
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if found.st_nlink == 0:
        # Found and deleted in the same moment, as journals are.
        raise FileNotFoundError(name)
    return found


def _names(folder: str, check: Callable[[], None]) -> Iterator[str]:
    """Paths beneath a folder that end like a database; no link is followed."""
    visited = 0
    depends.file(folder)
    try:
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as refusal:
        raise _trouble(refusal, folder) from refusal
    try:
        for path, folders, files, _ in os.fwalk(".", dir_fd=root, follow_symlinks=False):
            check()
            here = path.removeprefix(".").removeprefix("/")
            visited += len(folders) + len(files)
            if visited > limits.VISITED:
                raise Problem(
                    f"there are more than {limits.VISITED:,} files beneath {folder}; name the database"
                )
            folders[:] = sorted(folders) if here.count("/") + 1 < limits.DEPTH else []
            for name in folders:
                depends.file(os.path.join(folder, here, name))
            for name in files:
                if name.lower().endswith(SUFFIXES):
                    yield f"{here}/{name}" if here else name
    finally:
        os.close(root)


_ADVICE: Final = {
    errno.ELOOP: "a part of the path is a link, which is not followed",
    errno.ENOTDIR: "a part of the path is not a folder, or is a link",
    errno.EACCES: "the operating system denies it to this server",
    errno.EPERM: "the operating system denies it to this server",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.ENAMETOOLONG: "a name in it is too long",
    errno.EMFILE: "the server has too many files open; try again",
}


def _trouble(refusal: OSError, shown: str) -> Problem | OSError:
    if refusal.errno == errno.ENOENT:
        return refusal
    return Problem(
        f"{shown}: {_ADVICE.get(refusal.errno or 0, refusal.strerror or 'the operating system refused')}"
    )


def _refuse_odd(database: str) -> None:
    if not database:
        raise Problem("the name of the database is empty; leave it out for the default one")
    if "\0" in database:
        raise Problem("a name cannot contain a NUL character")
    try:
        length = len(database.encode())
    except UnicodeEncodeError:
        raise Problem("the name is not valid Unicode text") from None
    if length > limits.NAME_BYTES:
        raise Problem(f"the name has {length:,} bytes; the limit is {limits.NAME_BYTES:,}")
