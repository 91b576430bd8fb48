"""Loose objects, read and written here instead of by libgit2.

libgit2 1.9 inflates a loose object that ends too early for ever, holding the interpreter: one file cut short by a
crash would hang the worker. This backend stands before its own; packs are still libgit2's.
"""

from __future__ import annotations

import os
import secrets
import zlib
from collections.abc import Sequence

import pygit2

from omnimind.cache import Cache
from omnimind.servers.git import limits

_KINDS = {b"commit": 1, b"tree": 2, b"blob": 3, b"tag": 4}
_NAMES = {number: name for name, number in _KINDS.items()}
_HEAD_BYTES = 64
_KEPT_BYTES = 8 * 1024 * 1024
_KEPT_OBJECTS = 20_000
_KEPT_EACH = 256  # the key and the pair
_FIRST = 100
"""Asked before libgit2's own backends."""


Inflated = tuple[int, bytes]
"""The kind and the content of an object."""
Kept = Cache[str, Inflated]
"""Objects as they were inflated, by the file they came from as it was then: a folder of a stranger may hold anything
under any id."""


def kept() -> Kept:
    """A place for the objects that calls come back to."""
    return Cache(max_bytes=_KEPT_BYTES, max_items=_KEPT_OBJECTS, weigher=lambda one: len(one[1]) + _KEPT_EACH)


def stand_before(repo: pygit2.Repository, folders: Sequence[str], known: Kept) -> None:
    """Read the loose objects of these folders, and write new ones into the first."""
    repo.odb.add_backend(_Loose(folders, known), _FIRST)


class _Loose(pygit2.OdbBackend):
    """The calls that pygit2 makes of a backend; KeyError means that another may have the object."""

    def __init__(self, folders: Sequence[str], known: Kept) -> None:
        super().__init__()
        self._folders = tuple(folders)
        self._known = known

    def read_cb(self, oid: pygit2.Oid) -> Inflated:
        key = self._key(oid)
        known = self._known.get(key)
        if known is None:
            known = self._read(oid)
            self._known.set(key, known)
        return known

    def _key(self, oid: pygit2.Oid) -> str:
        """The file that has the object, as it is now. A file that changes before it is read is read as it is then,
        and found no more under this key."""
        for folder in self._folders:
            path = _path(folder, oid)
            try:
                found = os.stat(path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            return f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}:{path}"
        raise KeyError(str(oid))

    def _read(self, oid: pygit2.Oid) -> Inflated:
        raw = self._raw(oid)
        kind, size, start = self._head(oid, raw)
        inflating = zlib.decompressobj()
        data = self._inflated(oid, inflating, raw, start + size + 1)
        if len(data) != start + size or not inflating.eof:
            raise _damaged(oid)
        return kind, data[start:]

    def read_header_cb(self, oid: pygit2.Oid) -> tuple[int, int]:
        return self._head(oid, self._raw(oid))[:2]

    def read_prefix_cb(self, oid: pygit2.Oid) -> None:
        raise KeyError(str(oid))

    def exists_cb(self, oid: pygit2.Oid) -> bool:
        return any(os.path.exists(_path(folder, oid)) for folder in self._folders)

    def exists_prefix_cb(self, oid: pygit2.Oid) -> None:
        raise KeyError(str(oid))

    def refresh_cb(self) -> None:
        """Nothing is remembered."""

    def write_cb(self, oid: pygit2.Oid, data: bytes, kind: int) -> None:
        path = _path(self._folders[0], oid)
        if os.path.exists(path):
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        temporary = os.path.join(self._folders[0], f"tmp_obj_{secrets.token_hex(8)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        with os.fdopen(descriptor, "wb") as file:
            file.write(zlib.compress(b"%s %d\0" % (_NAMES[int(kind)], len(data)) + data, 1))
        os.rename(temporary, path)

    def _raw(self, oid: pygit2.Oid) -> bytes:
        for folder in self._folders:
            try:
                with open(_path(folder, oid), "rb", opener=_without_waiting) as file:
                    return file.read()
            except (FileNotFoundError, NotADirectoryError):
                continue
        raise KeyError(str(oid))

    def _head(self, oid: pygit2.Oid, raw: bytes) -> tuple[int, int, int]:
        """Kind, size, and where the content begins."""
        said, found, _ = self._inflated(oid, zlib.decompressobj(), raw, _HEAD_BYTES).partition(b"\0")
        kind, _, size = said.partition(b" ")
        if not found or kind not in _KINDS or not size.isdigit():
            raise _damaged(oid)
        if int(size) > limits.OBJECT_BYTES:
            raise pygit2.GitError(
                f"object {oid} has {int(size):,} bytes; {limits.OBJECT_BYTES:,} is the limit"
            )
        return _KINDS[kind], int(size), len(said) + 1

    def _inflated(self, oid: pygit2.Oid, inflating: zlib._Decompress, raw: bytes, most: int) -> bytes:
        try:
            return inflating.decompress(raw, most)
        except zlib.error:
            raise _damaged(oid) from None


def _path(folder: str, oid: pygit2.Oid) -> str:
    name = str(oid)
    return os.path.join(folder, name[:2], name[2:])


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _damaged(oid: pygit2.Oid) -> pygit2.GitError:
    return pygit2.GitError(f"corrupt loose object {oid}")
