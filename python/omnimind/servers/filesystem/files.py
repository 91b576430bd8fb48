"""Reading, writing, making and moving files.

A write is seen whole or not at all: the new content goes into a file without a name in the same directory,
reaches the disk, and takes the name in one step. It keeps the old file's mode. A move never replaces.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from omnimind.linux import openat2
from omnimind.servers import depends
from omnimind.servers.filesystem import limits, text
from omnimind.servers.filesystem.media import mime_type
from omnimind.servers.filesystem.roots import Place, Roots, trouble
from omnimind.servers.problem import Problem

_NEW_FILE_MODE = 0o666  # minus the umask
_PERMISSIONS = 0o777  # what a new content keeps; set-user and set-group bits were given to the old one
_NEW_FOLDER_MODE = 0o777
_PLAIN_IN_URLS = "/!$&'()*+,;=:@"  # what the reference server leaves as it is
_NO_UNNAMED_FILES = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)


@dataclass(frozen=True, slots=True)
class Media:
    """The bytes of a file and what kind they are."""

    mime_type: str
    data: bytes
    uri: str


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What get_file_info tells."""

    size: int
    created: datetime | None
    modified: datetime
    accessed: datetime
    is_directory: bool
    is_file: bool
    permissions: str


def read_text(roots: Roots, path: str, head: int | None = None, tail: int | None = None) -> str:
    """The text of a file, or its first or last lines."""
    if head is not None and tail is not None:
        raise Problem("head and tail cannot be used together; choose one")
    if min(head or 0, tail or 0) < 0:
        raise Problem("head and tail count lines and cannot be negative")
    place = roots.locate(path)
    with roots.regular_file(place) as descriptor, _system_errors(place):
        if head is not None:
            return text.first_lines(descriptor, head, place.shown)
        if tail is not None:
            return text.last_lines(descriptor, tail, place.shown)
        return text.whole(descriptor, place.shown)


def read_many(roots: Roots, paths: Sequence[str]) -> str:
    """Several files in one text, each under its path; one that cannot be read says so in its place."""
    if len(paths) > limits.FILES:
        raise Problem(f"{len(paths):,} paths were given; the limit is {limits.FILES} at a time")
    left = limits.READ_BYTES
    parts: list[str] = []
    for path in paths:
        try:
            place = roots.locate(path)
            with roots.regular_file(place) as descriptor, _system_errors(place):
                if os.fstat(descriptor).st_size > left:
                    raise Problem(
                        f"all files together exceed {limits.READ_BYTES:,} bytes, the limit for one answer; "
                        "read this one by itself"
                    )
                content = text.whole(descriptor, place.shown, left)
        except Problem as problem:
            depends.unsure()
            parts.append(f"{path}: Error - {problem}")
        else:
            left -= len(content.encode())
            parts.append(f"{path}:\n{content}\n")
    return "\n---\n".join(parts)


def read_media(roots: Roots, path: str) -> Media:
    """The bytes of any file."""
    place = roots.locate(path)
    with roots.regular_file(place) as descriptor, _system_errors(place):
        data = text.read_up_to(descriptor, limits.MEDIA_BYTES + 1)
        if len(data) > limits.MEDIA_BYTES:
            size = max(os.fstat(descriptor).st_size, len(data))
            raise Problem(f"{place.shown} has {size:,} bytes; the limit for media is {limits.MEDIA_BYTES:,}")
    return Media(mime_type(place.name, data), data, "file://" + quote(place.shown, safe=_PLAIN_IN_URLS))


def write_text(roots: Roots, path: str, content: str) -> Place:
    """Create or replace a file with this content."""
    data = encode(content)
    if len(data) > limits.WRITE_BYTES:
        raise Problem(f"the content has {len(data):,} bytes; the limit is {limits.WRITE_BYTES:,}")
    place = roots.locate(path)
    write_bytes(roots, place, data)
    return place


def encode(content: str) -> bytes:
    """Text as UTF-8; halves of surrogate pairs have no UTF-8."""
    try:
        return content.encode()
    except UnicodeEncodeError as refusal:
        raise Problem(f"the content is not valid Unicode text (at character {refusal.start})") from None


def write_bytes(roots: Roots, place: Place, data: bytes) -> None:
    """Replace what stands at this place, a link's target included, or create it."""
    target, mode = _target(roots, place)
    with roots.parent(target) as (directory, name), _system_errors(place):
        if mode is None:
            with _unnamed(directory, _NEW_FILE_MODE) as (unnamed, temporary):
                _fill(unnamed, data)
                try:
                    _give_name(unnamed, temporary, directory, name)
                    return
                except FileExistsError:
                    if temporary is not None:
                        raise
        with _unnamed(directory, mode if mode is not None else _NEW_FILE_MODE) as (unnamed, temporary):
            _fill(unnamed, data)
            if mode is not None:
                os.fchmod(unnamed, mode)
            if temporary is None:
                temporary = _temporary_name()
                _give_name(unnamed, None, directory, temporary)
            try:
                os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
            except OSError:
                os.unlink(temporary, dir_fd=directory)
                raise


def _target(roots: Roots, place: Place) -> tuple[Place, int | None]:
    """Where a write really lands (links lead on) and the mode to keep; None if nothing is there yet."""
    try:
        with roots.opened(place) as there:
            facts = os.fstat(there)
            kind = facts.st_mode
            if stat.S_ISDIR(kind):
                raise Problem(f"{place.shown} is a directory; name a file inside it")
            if not stat.S_ISREG(kind):
                raise Problem(f"{place.shown} is not a regular file and is not written")
            if facts.st_nlink == 0:  # deleted just now: it has no path any more
                return place, kind & _PERMISSIONS
            real = os.readlink(f"/proc/self/fd/{there}")
    except Problem as problem:
        if isinstance(problem.__cause__, FileNotFoundError):
            return place, None
        raise
    return roots.locate(real), kind & _PERMISSIONS


@contextmanager
def _unnamed(directory: int, mode: int) -> Iterator[tuple[int, str | None]]:
    """A new file in this directory: without a name where the file system can, else under a temporary one."""
    temporary: str | None = None
    try:
        descriptor = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, mode, dir_fd=directory)
    except OSError as refusal:
        if refusal.errno not in _NO_UNNAMED_FILES:
            raise
        temporary = _temporary_name()
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, mode, dir_fd=directory)
    try:
        yield descriptor, temporary
    except BaseException:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=directory)
        raise
    finally:
        os.close(descriptor)


def _fill(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.fsync(descriptor)


def _give_name(descriptor: int, temporary: str | None, directory: int, name: str) -> None:
    """Let the file appear under a free name."""
    if temporary is not None:
        openat2.rename(directory, temporary, directory, name)
        return
    os.link(f"/proc/self/fd/{descriptor}", name, dst_dir_fd=directory, follow_symlinks=True)


def _temporary_name() -> str:
    return f".omnimind-{secrets.token_hex(8)}.tmp"


def make_directory(roots: Roots, path: str) -> Place:
    """Create a directory and those above it that are missing."""
    place = roots.locate(path)
    parts = [] if place.is_root else place.relative.split("/")
    if len(parts) > limits.DEPTH:
        raise Problem(f"{place.shown} is {len(parts)} directories deep; the limit is {limits.DEPTH}")
    for count in range(1, len(parts) + 1):
        step = Place(place.root, "/".join(parts[:count]), place.shown)
        with (
            roots.parent(step) as (directory, name),
            _system_errors(place),
            contextlib.suppress(FileExistsError),
        ):
            os.mkdir(name, _NEW_FOLDER_MODE, dir_fd=directory)
    with roots.opened(place) as made:
        if not stat.S_ISDIR(os.fstat(made).st_mode):
            raise Problem(f"{place.shown} exists and is not a directory")
    return place


def move(roots: Roots, source: str, destination: str) -> tuple[Place, Place]:
    """Give a file or directory a new name, which must be free."""
    start, end = roots.locate(source), roots.locate(destination)
    with roots.parent(start) as (from_directory, from_name), roots.parent(end) as (to_directory, to_name):
        try:
            openat2.rename(from_directory, from_name, to_directory, to_name)
        except OSError as refusal:
            if refusal.errno == errno.EINVAL and _is_file(from_directory, from_name):
                _move_by_link(from_directory, from_name, to_directory, to_name, end)
            elif refusal.errno == errno.EINVAL:
                raise Problem(f"{start.shown} cannot be moved into itself") from refusal
            else:
                at = end if refusal.errno in (errno.EEXIST, errno.EXDEV) else start
                raise trouble(refusal, at.shown) from refusal
    return start, end


def _is_file(directory: int, name: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _move_by_link(from_directory: int, from_name: str, to_directory: int, to_name: str, end: Place) -> None:
    """A file system without RENAME_NOREPLACE: a second link fails if the name is taken."""
    with _system_errors(end):
        os.link(from_name, to_name, src_dir_fd=from_directory, dst_dir_fd=to_directory, follow_symlinks=False)
        os.unlink(from_name, dir_fd=from_directory)


def info(roots: Roots, path: str) -> FileInfo:
    """Facts about a file or directory."""
    place = roots.locate(path)
    with roots.opened(place) as descriptor:
        facts = os.fstat(descriptor)
        born = openat2.birth_time_ns(descriptor)
    return FileInfo(
        size=facts.st_size,
        created=None if born is None else _time(born),
        modified=_time(facts.st_mtime_ns),
        accessed=_time(facts.st_atime_ns),
        is_directory=stat.S_ISDIR(facts.st_mode),
        is_file=stat.S_ISREG(facts.st_mode),
        permissions=f"{stat.S_IMODE(facts.st_mode) & 0o777:03o}",
    )


def _time(since_1970_ns: int) -> datetime:
    return datetime.fromtimestamp(since_1970_ns / 1e9, UTC)


@contextmanager
def _system_errors(place: Place) -> Iterator[None]:
    try:
        yield
    except OSError as refusal:
        raise trouble(refusal, place.shown) from refusal
