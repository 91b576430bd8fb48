"""Where the parts of a repository are, found before libgit2 touches it.

A repository names other places: a `.git` file its folder, a worktree its common folder, the list of alternates
more objects, the configuration a work tree and files to include; and any of its files may be a link. Rule: each of
these must end beneath an allowed directory, and must be a regular file or a folder, or the repository is refused
with the name of the part. Beneath a confined worker the kernel says the same once more (Landlock), also when
somebody swaps a part after it was looked at.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from omnimind.servers import depends
from omnimind.servers.filesystem.roots import Roots, kind_of, trouble
from omnimind.servers.git import configfile, limits
from omnimind.servers.problem import Problem

_NOT_SCANNED = frozenset({"hooks", "modules", "lfs", "annex", "fsmonitor--daemon.ipc", "fsmonitor--daemon"})
_FILES_OF_CONFIG = {"core.excludesfile", "core.attributesfile"}


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one repository, all real paths."""

    opened: str
    folder: str
    common: str
    work: str | None
    objects: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]

    def setting(self, name: str) -> str | None:
        """The last value of a setting of the repository's own configuration."""
        return next((value for key, value in reversed(self.settings) if key == name), None)


def inspect(roots: Roots, real: str, shown: str) -> Layout:
    """The layout of the repository in this folder. Raises Problem if there is none, or a part leads out."""
    return _Inspection(roots, shown).layout(real)


@dataclass(frozen=True, slots=True)
class _Inspection:
    roots: Roots
    shown: str

    def layout(self, real: str) -> Layout:
        try:
            return self._layout(real)
        except OSError as refusal:
            raise trouble(refusal, self.shown) from refusal

    def _layout(self, real: str) -> Layout:
        folder = self._git_folder(real)
        common = folder
        pointed = self._pointer(os.path.join(folder, "commondir"))
        if pointed is not None:
            common = self._beneath(os.path.join(folder, pointed), "its common folder (commondir)")
        self._refuse_strange_owner(real, folder)
        for part in {folder, common}:
            self._scan(part)
        objects = tuple(self._objects(os.path.join(common, "objects"), limits.ALTERNATE_DEPTH))
        settings = tuple(self._settings(folder, common))
        work = self._work_tree(real, folder, settings)
        return Layout(real, folder, common, work, objects, settings)

    def _git_folder(self, real: str) -> str:
        dot = os.path.join(real, ".git")
        try:
            kind = os.lstat(dot).st_mode
        except FileNotFoundError:
            if all(os.path.exists(os.path.join(real, name)) for name in ("HEAD", "objects", "refs")):
                return real
            raise Problem(
                f"{self.shown} is not a git repository; name the folder that holds .git "
                "(git_list_repositories shows which there are)"
            ) from None
        if stat.S_ISREG(kind):
            said = self._pointer(dot) or ""
            if not said.startswith("gitdir:"):
                raise Problem(f"{self.shown}/.git is a file that names no git folder")
            return self._beneath(os.path.join(real, said[7:].strip()), "the folder named by its .git file")
        if stat.S_ISDIR(kind) or stat.S_ISLNK(kind):
            return self._beneath(dot, "its .git folder")
        raise Problem(f"{self.shown}/.git is {kind_of(kind)}; a git repository has a folder or a file there")

    def _pointer(self, path: str) -> str | None:
        """The one line of a small file; None if it is not there."""
        content = self._small_file(path, limits.POINTER_BYTES)
        return None if content is None else content.strip("\n")

    def _small_file(self, path: str, most: int) -> str | None:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        with os.fdopen(descriptor, "rb") as file:
            kind = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(kind):
                raise Problem(
                    f"{self.shown}: {os.path.basename(path)} is {kind_of(kind)}, not a regular file"
                )
            content = file.read(most + 1)
        if len(content) > most:
            raise Problem(f"{self.shown}: {os.path.basename(path)} has more than {most:,} bytes")
        return content.decode("utf-8", "surrogateescape")

    def _beneath(self, path: str, what: str) -> str:
        """The real path, if it is beneath an allowed directory and open to callers."""
        if "\0" in path:
            raise Problem(f"{self.shown}: {what} has a name that no file can have")
        real = os.path.realpath(path)
        if all(root.below(real) is None for root in self.roots.roots):
            raise Problem(
                f"{self.shown}: {what} lies outside the allowed directories ({self.roots.shown()}), so this "
                "repository is not opened; its operator can allow that folder in the server's args"
            )
        self.roots.refuse_closed_path(real, self.shown)
        return real

    def _refuse_strange_owner(self, real: str, folder: str) -> None:
        """Like git's safe.directory: ours, or of the owner of the allowed directory it lies in."""
        trusted = {os.geteuid()}
        trusted |= {os.stat(root.path).st_uid for root in self.roots.roots if root.below(real) is not None}
        owner = os.stat(folder).st_uid
        if owner not in trusted:
            raise Problem(
                f"{self.shown} belongs to another user (uid {owner}) than this server and its allowed directory; "
                "its operator can name the repository itself in the server's args"
            )

    def _scan(self, folder: str) -> None:
        """Every file that libgit2 may open by itself is regular, and every link ends beneath a root."""
        pending = [folder]
        while pending:
            with os.scandir(pending.pop()) as found:
                for entry in found:
                    if entry.name in _NOT_SCANNED:
                        continue
                    if entry.is_symlink():
                        self._check_link(entry)
                    elif entry.is_dir(follow_symlinks=False):
                        if not _is_fan_out(entry, folder):
                            pending.append(entry.path)
                    elif not entry.is_file(follow_symlinks=False):
                        kind = kind_of(entry.stat(follow_symlinks=False).st_mode)
                        raise Problem(f"{self.shown}: {entry.name} in its git folder is {kind}; remove it")

    def _check_link(self, entry: os.DirEntry[str]) -> None:
        real = self._beneath(entry.path, f"the link {entry.name} in its git folder")
        if os.path.exists(real):
            kind = os.stat(real).st_mode
            if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
                raise Problem(
                    f"{self.shown}: the link {entry.name} in its git folder leads to {kind_of(kind)}"
                )

    def _objects(self, folder: str, depth: int) -> Iterator[str]:
        """The folder of objects and its alternates."""
        yield folder
        said = self._pointer(os.path.join(folder, "info", "alternates"))
        for line in (said or "").splitlines():
            if not line or line.startswith("#"):
                continue
            if depth == 0:
                raise Problem(f"{self.shown}: its alternates go deeper than {limits.ALTERNATE_DEPTH}")
            further = self._beneath(os.path.join(folder, line), "an alternate of its objects")
            yield from self._objects(further, depth - 1)

    def _settings(self, folder: str, common: str) -> Iterator[tuple[str, str]]:
        for path in (os.path.join(common, "config"), os.path.join(folder, "config.worktree")):
            yield from self._settings_of(path, limits.INCLUDE_DEPTH)

    def _settings_of(self, path: str, depth: int) -> Iterator[tuple[str, str]]:
        depends.file(path)
        text = self._small_file(path, limits.CONFIG_BYTES)
        for name, value in configfile.entries(text or ""):
            yield name, value
            if name in ("include.path", "includeif.path") and not value.startswith("~"):
                if depth == 0:
                    raise Problem(
                        f"{self.shown}: its configuration includes files deeper than {limits.INCLUDE_DEPTH}"
                    )
                included = os.path.join(os.path.dirname(path), value)
                yield from self._settings_of(
                    self._beneath(included, "a file that its configuration includes"), depth - 1
                )
            elif name in _FILES_OF_CONFIG and not value.startswith("~"):
                named = os.path.join(os.path.dirname(path), value)
                self._small_file(self._beneath(named, f"the file of {name}"), limits.CONFIG_BYTES)

    def _work_tree(self, real: str, folder: str, settings: tuple[tuple[str, str], ...]) -> str | None:
        said = next((value for name, value in reversed(settings) if name == "core.worktree"), None)
        if said is not None:
            return self._beneath(os.path.join(folder, said), "its work tree (core.worktree)")
        if real != folder:
            return real
        if os.path.basename(folder) == ".git":
            return self._beneath(os.path.dirname(folder), "its work tree")
        return None


def _is_fan_out(entry: os.DirEntry[str], folder: str) -> bool:
    """One of the 256 folders of loose objects, which are read by their hash and never through a link."""
    return len(entry.name) == 2 and os.path.dirname(entry.path) == os.path.join(folder, "objects")
