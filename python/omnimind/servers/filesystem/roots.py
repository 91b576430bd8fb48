"""The directories this server may touch, and the only way to anything beneath them.

A path of a caller is text. Text chooses the root; the kernel decides the rest: every access goes through
`open_beneath` on the root's descriptor and continues on the descriptor it returns. No decision rests on a
path that was resolved earlier, so swapping links between a check and a use gains nothing. The names this
module compares (credentials, the fleet's own state) are read from the opened descriptor.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from omnimind.linux.openat2 import open_beneath
from omnimind.servers import depends
from omnimind.servers.filesystem import limits
from omnimind.servers.filesystem.secrets import is_secret
from omnimind.servers.problem import Problem

_DIRECTORY = os.O_PATH | os.O_DIRECTORY


@dataclass(slots=True)
class Root:
    """One allowed directory: how it was named, where it really is, and a descriptor that pins it."""

    named: str
    path: str
    _descriptor: int = -1

    def descriptor(self) -> int:
        """The pinned directory; a new one if the one we held was deleted.

        The old descriptor stays open: another thread may be using its number just now.
        """
        if self._descriptor < 0 or os.fstat(self._descriptor).st_nlink == 0:
            self._descriptor = os.open(self.path, _DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        return self._descriptor

    def below(self, path: str) -> str | None:
        """The rest of an absolute, normal path beneath this root; None if it is elsewhere."""
        for start in (self.path, self.named):
            if path == start:
                return "."
            prefix = start if start == "/" else start + "/"
            if path.startswith(prefix):
                return path[len(prefix) :]
        return None


@dataclass(frozen=True, slots=True)
class Place:
    """A path of a caller, put in relation to a root."""

    root: Root
    relative: str
    shown: str

    @property
    def is_root(self) -> bool:
        """Whether this is the root itself, which can be neither moved nor replaced."""
        return self.relative == "."

    def parent(self) -> Place:
        """The directory that holds this place."""
        folder, _, _ = self.relative.rpartition("/")
        return Place(self.root, folder or ".", os.path.dirname(self.shown))

    @property
    def name(self) -> str:
        """The last component."""
        return self.relative.rpartition("/")[2]


@dataclass(frozen=True)
class Roots:
    """All allowed directories, and what is closed to callers inside of them."""

    roots: Sequence[Root]
    home: str = field(default_factory=lambda: str(Path.home()))
    closed: tuple[str, ...] = ()
    secrets_allowed: bool = False

    def locate(self, path: str) -> Place:
        """The place a caller's path means. Says nothing about whether it exists."""
        _refuse_odd(path)
        if path == "~" or path.startswith("~/"):
            path = self.home + path[1:]
        if not path.startswith("/"):
            return self._relative(path)
        normal = os.path.normpath(path)
        normal = "/" + normal.lstrip("/")
        found = [(root, rest) for root in self.roots if (rest := root.below(normal)) is not None]
        if not found:
            raise Problem(f"{path} is outside the allowed directories ({self.shown()})")
        root, rest = max(found, key=lambda pair: len(pair[0].path))
        return Place(root, rest, normal)

    def note(self, place: Place, descriptor: int) -> None:
        """An answer depends on what is open here, unless a link led to it: that may lead elsewhere tomorrow."""
        depends.opened(descriptor, os.path.normpath(f"{place.root.path}/{place.relative}"))

    def _relative(self, path: str) -> Place:
        rest = os.path.normpath(path)
        if rest == ".." or rest.startswith("../"):
            raise Problem(f"{path} leads out of the allowed directories ({self.shown()})")
        places = [Place(root, rest, os.path.normpath(f"{root.named}/{rest}")) for root in self.roots]
        if len(places) > 1:  # what appears beneath an earlier one would be meant then
            depends.unsure()
        return next((place for place in places if self._exists(place)), places[0])

    def _exists(self, place: Place) -> bool:
        try:
            with self.opened(place):
                return True
        except Problem:
            return False

    def shown(self) -> str:
        """The allowed directories as a text."""
        return ", ".join(root.named for root in self.roots)

    @contextmanager
    def opened(self, place: Place, flags: int = os.O_PATH) -> Iterator[int]:
        """A descriptor of this place for as long as the block runs."""
        descriptor = self._open(place, flags)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _open(self, place: Place, flags: int) -> int:
        try:
            descriptor = open_beneath(place.root.descriptor(), place.relative, flags)
        except OSError as refusal:
            if refusal.errno == errno.ENOENT and (other := as_on_disk(place)) != place:
                return self._open(other, flags)
            if refusal.errno != errno.EXDEV:
                raise trouble(refusal, place.shown) from refusal
            descriptor = self._open_across(place, flags)
        try:
            self._refuse_closed(descriptor, place.shown)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _open_across(self, place: Place, flags: int) -> int:
        """A link left its root. If it ends beneath a root, open that end, again beneath the root."""
        try:
            real = os.path.realpath(os.path.join(place.root.path, place.relative))
        except OSError as changed:  # a link that is none any more by the time it is read
            raise trouble(changed, place.shown) from changed
        for root in self.roots:
            rest = root.below(real)
            if rest is not None:
                try:
                    return open_beneath(root.descriptor(), rest, flags)
                except OSError as refusal:
                    raise trouble(refusal, place.shown) from refusal
        raise Problem(f"{place.shown} is a link that leads out of the allowed directories ({self.shown()})")

    def _refuse_closed(self, descriptor: int, shown: str) -> None:
        self.refuse_closed_path(os.readlink(f"/proc/self/fd/{descriptor}"), shown)

    def refuse_closed_path(self, real: str, shown: str) -> None:
        """Refuse what is closed to callers although it lies beneath a root."""
        for closed in self.closed:
            if (real == closed or real.startswith(closed + "/")) and not self._is_opened_again(real, closed):
                raise Problem(f"{shown} belongs to OmniMind's own state and is not served")
        if not self.secrets_allowed and is_secret(real, self.home):
            raise Problem(
                f"{shown} holds credentials and is not served; its operator can allow it with "
                "--allow-credentials in the server's args"
            )

    def _is_opened_again(self, real: str, closed: str) -> bool:
        """A root inside the closed folder (the workspace) is named on purpose."""
        return any(root.path.startswith(closed + "/") and root.below(real) is not None for root in self.roots)

    @contextmanager
    def parent(self, place: Place) -> Iterator[tuple[int, str]]:
        """The directory that holds this place, and the name within; for making, replacing and moving."""
        if place.is_root:
            raise Problem(f"{place.shown} is an allowed directory itself; name something inside it")
        with self.opened(place.parent(), _DIRECTORY) as directory:
            name = spelling_in(directory, place.name)
            real = os.path.join(os.readlink(f"/proc/self/fd/{directory}"), name)
            self.refuse_closed_path(real, place.shown)
            yield directory, name

    @contextmanager
    def regular_file(self, place: Place, flags: int = os.O_RDONLY) -> Iterator[int]:
        """An open regular file. Looking first keeps FIFOs and devices from ever being opened."""
        with self.opened(place) as looked:
            kind = os.fstat(looked).st_mode
            if stat.S_ISDIR(kind):
                raise Problem(f"{place.shown} is a directory; use list_directory")
            if not stat.S_ISREG(kind):
                raise Problem(f"{place.shown} is {kind_of(kind)}, not a regular file")
            try:
                descriptor = os.open(f"/proc/self/fd/{looked}", flags | os.O_CLOEXEC)
            except OSError as refusal:
                raise trouble(refusal, place.shown) from refusal
        try:
            self.note(place, descriptor)
            yield descriptor
        finally:
            os.close(descriptor)


def open_roots(named: Sequence[str], *, closed: tuple[str, ...] = (), secrets_allowed: bool = False) -> Roots:
    """The roots for these directories. Raises Problem if none of them is there."""
    roots: list[Root] = []
    missing: list[str] = []
    for name in named:
        given = os.path.abspath(os.path.expanduser(name))
        root = Root(given, os.path.realpath(given))
        try:
            root.descriptor()
        except OSError as refusal:
            missing.append(f"{name} ({refusal.strerror})")
        else:
            roots.append(root)
    if not roots:
        raise Problem(f"no allowed directory can be opened: {', '.join(missing)}")
    return Roots(tuple(roots), closed=closed, secrets_allowed=secrets_allowed)


def kind_of(mode: int) -> str:
    """A word for a file's kind."""
    kinds = (
        (stat.S_ISREG, "a file"),
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISLNK, "a link"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    return next((word for test, word in kinds if test(mode)), "something unknown")


def as_on_disk(place: Place) -> Place:
    """The place with every name in the spelling of Unicode that its directory has for it.

    `é` is one character or two; macOS and archives made there write two, models write one.
    """
    if place.relative.isascii():
        return place
    names: list[str] = []
    for name in place.relative.split("/"):
        try:
            directory = open_beneath(place.root.descriptor(), "/".join(names) or ".", _DIRECTORY)
        except OSError:
            return place
        try:
            names.append(spelling_in(directory, name))
        finally:
            os.close(directory)
    return Place(place.root, "/".join(names), place.shown)


def spelling_in(directory: int, name: str) -> str:
    """How the directory spells this name; as it is, if it is there so, or not at all."""
    if name.isascii():
        return name
    with contextlib.suppress(FileNotFoundError):
        os.stat(name, dir_fd=directory, follow_symlinks=False)
        return name
    readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        names = os.listdir(readable)
    finally:
        os.close(readable)
    composed = unicodedata.normalize("NFC", name)
    same = [one for one in names if unicodedata.normalize("NFC", one) == composed]
    if len(same) > 1:
        raise Problem(f"{len(same)} names are spelt differently and read {name}; use the one that is meant")
    return same[0] if same else name


_ADVICE = {
    errno.ENOENT: "there is no such file or directory; list_directory shows what there is",
    errno.ENOTDIR: "a part of the path is not a directory",
    errno.EISDIR: "it is a directory; use list_directory",
    errno.EACCES: "the operating system denies it to this server's user",
    errno.EPERM: "the operating system denies it to this server's user",
    errno.EXDEV: "it leads out of its allowed directory, or the move would cross file systems",
    errno.EINVAL: "the path changed while it was resolved; try again",
    errno.ELOOP: "it is a link that cannot be followed here",
    errno.EAGAIN: "the path kept changing while it was resolved; try again",
    errno.ENAMETOOLONG: "a name in it is too long",
    errno.EEXIST: "it exists already; choose another name, or move the old one away first",
    errno.ENOTEMPTY: "the directory is not empty",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.ETXTBSY: "it is a program that runs just now",
    errno.EMFILE: "the server has too many files open; try again",
}


def trouble(refusal: OSError, shown: str) -> Problem:
    """An error of the operating system in words that say what to do."""
    why = _ADVICE.get(refusal.errno or 0, refusal.strerror or "the operating system refused")
    return Problem(f"{shown}: {why}")


def _refuse_odd(path: str) -> None:
    if not path:
        raise Problem("the path is empty")
    if "\0" in path:
        raise Problem("a path cannot contain a NUL character")
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        raise Problem("the path is not valid Unicode text") from None
    if length > limits.PATH_BYTES:
        raise Problem(f"the path has {length:,} bytes; the limit is {limits.PATH_BYTES:,}")
