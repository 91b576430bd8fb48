"""The files that a tool works on: a text, a few named texts, or a copy of what lies beneath a root.

A tool never works where the files came from. They are taken as bytes, checked here, and laid into a fresh
folder that only the jailed run gets to see; so a configuration among them can name what it likes, there is
nothing to reach. Reading beneath a root goes through descriptors, as in the filesystem server.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from omnimind.servers.filesystem.roots import Place, Roots
from omnimind.servers.problem import Problem

SNIPPET: Final = "snippet.py"
"""What a text without a name is called."""
FILES: Final = 200
BYTES: Final = 1024 * 1024
COPIED_FILES: Final = 2_000
COPIED_BYTES: Final = 16 * 1024 * 1024
VISITED: Final = 50_000
NAME_BYTES: Final = 255
PATH_BYTES: Final = 1_024
DEPTH: Final = 16

Check = Callable[[], None]
"""Called now and then in long loops; raises to stop them."""

_PYTHON: Final = (".py", ".pyi")
_NOT_SOURCES: Final = frozenset({"__pycache__", "node_modules", "site-packages", "venv"})


@dataclass(frozen=True, slots=True)
class Sources:
    """Files by their relative names; `places` says where each was copied from, if it was."""

    files: Mapping[str, bytes]
    places: Mapping[str, Place]

    def python(self) -> list[str]:
        """The names of the Python files, sorted."""
        return sorted(name for name in self.files if name.endswith(_PYTHON))

    def first_of(self, *names: str) -> str | None:
        """The first of these names that is there; for configuration files, best first."""
        return next((name for name in names if name in self.files), None)


def given(code: str | None, files: Mapping[str, str] | None, name: str = SNIPPET) -> Sources:
    """Sources from a caller's text (which gets this name) or texts. Exactly one of the two."""
    if (code is None) == (files is None):
        raise Problem("give the code as `code` (one text) or as `files` ({name: text}), and not both")
    named = {name: code} if code is not None else dict(files or {})
    if not named:
        raise Problem("`files` is empty; give at least one file as {name: text}")
    if len(named) > FILES:
        raise Problem(f"{len(named):,} files were given; the limit is {FILES} at a time")
    checked = {_name(given_name): _bytes(given_name, text) for given_name, text in named.items()}
    size = sum(map(len, checked.values()))
    if size > BYTES:
        raise Problem(f"the files have {size:,} bytes together; the limit is {BYTES:,}")
    _refuse_files_that_are_folders(checked)
    return Sources(checked, {})


def _bytes(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as refusal:
        raise Problem(f"{name} is not valid Unicode text (at character {refusal.start})") from None


def _name(name: str) -> str:
    """A name that stays in the folder it is laid into, and is no riddle for the tools."""
    parts = name.split("/")
    if not name or any(ord(letter) < 32 or ord(letter) == 127 for letter in name) or "\\" in name:
        raise Problem(f"{name!r} is not a file name; use letters, digits and / between folders")
    if name.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise Problem(f"{name!r} must be a relative name such as src/module.py, without '..'")
    if name.startswith("-"):
        raise Problem(f"{name!r} begins with a dash and would look like an option; rename it")
    try:
        too_long = max(len(part.encode()) for part in parts) > NAME_BYTES or len(name.encode()) > PATH_BYTES
    except UnicodeEncodeError:
        raise Problem(f"{name!r} is not valid Unicode text; rename it") from None
    if too_long or len(parts) > DEPTH:
        raise Problem(
            f"{name[:80]!r} is too long; the limits are {PATH_BYTES:,} bytes, {NAME_BYTES} bytes between slashes, "
            f"and {DEPTH} folders"
        )
    return name


def _refuse_files_that_are_folders(files: Mapping[str, bytes]) -> None:
    for name in files:
        folder, _, _ = name.rpartition("/")
        while folder:
            if folder in files:
                raise Problem(f"{folder!r} is given as a file, and as the folder of {name!r}; rename one")
            folder, _, _ = folder.rpartition("/")


def copied(roots: Roots, path: str, wanted: Callable[[str], bool], check: Check) -> Sources:
    """Sources from a file or folder beneath a root: all in it that `wanted` takes."""
    place = roots.locate(path)
    if _is_folder(roots, place):
        names = [name for name in _below(roots, place, check) if wanted(name)]
        places = {name: roots.locate(f"{place.shown.rstrip('/')}/{name}") for name in names}
    else:
        places = {place.name: place}
    if not places:
        raise Problem(
            f"{place.shown} holds no file for this tool; name a folder with Python files, or a file"
        )
    files: dict[str, bytes] = {}
    left = COPIED_BYTES
    for name, one in places.items():
        check()
        files[name] = read(roots, one, left)
        left -= len(files[name])
    return Sources(files, places)


def chosen(
    code: str | None,
    files: Mapping[str, str] | None,
    path: str | None,
    roots: Roots | None,
    wanted: Callable[[str], bool],
    check: Check,
) -> Sources:
    """Sources from whichever of the three was given."""
    if path is None:
        return given(code, files)
    if code is not None or files is not None:
        raise Problem("`path` excludes `code` and `files`; give one of the three")
    return copied(the_roots(roots), path, wanted, check)


def the_roots(roots: Roots | None) -> Roots:
    """The roots, for a tool that was given a path. Raises Problem if the server has none."""
    if roots is None:
        raise Problem(
            "this server has no folders: give the text itself as `code` or `files`, or have the operator name "
            "folders in the args of this server"
        )
    return roots


def _is_folder(roots: Roots, place: Place) -> bool:
    with roots.opened(place) as descriptor:
        return stat.S_ISDIR(os.fstat(descriptor).st_mode)


def _below(roots: Roots, place: Place, check: Check) -> Iterator[str]:
    """Relative names of the regular files below a folder. Links are never followed."""
    waiting, visited, found = [""], 0, 0
    while waiting:
        check()
        folder = waiting.pop()
        for name, is_folder in _entries(roots, place, folder):
            visited += 1
            if visited > VISITED:
                raise Problem(
                    f"{place.shown} holds more than {VISITED:,} entries; name a folder further down"
                )
            if is_folder and name.count("/") < DEPTH:
                waiting.append(name)
            elif not is_folder:
                found += 1
                yield name
            if found > COPIED_FILES:
                raise Problem(
                    f"{place.shown} holds more than {COPIED_FILES:,} files; name a folder further down"
                )


def _entries(roots: Roots, place: Place, folder: str) -> list[tuple[str, bool]]:
    """Names in a folder, relative to the place, and whether each is a folder; only folders and regular files."""
    there = roots.locate(f"{place.shown.rstrip('/')}/{folder}") if folder else place
    found: list[tuple[str, bool]] = []
    with roots.opened(there, os.O_RDONLY | os.O_DIRECTORY) as directory, os.scandir(directory) as entries:
        roots.note(there, directory)
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            if _left_out(entry.name, is_folder) or not (is_folder or entry.is_file(follow_symlinks=False)):
                continue
            found.append((f"{folder}/{entry.name}" if folder else entry.name, is_folder))
    return sorted(found)


def _left_out(name: str, is_folder: bool) -> bool:
    """What is no source: hidden folders, caches, environments, and names that no tool should meet."""
    if is_folder:
        return name in _NOT_SOURCES or name.startswith((".", "-"))
    return name.startswith("-") or not name.isprintable()


def read(roots: Roots, place: Place, most: int) -> bytes:
    """The bytes of a regular file. Raises Problem if there are more than `most`."""
    with roots.regular_file(place) as descriptor, os.fdopen(os.dup(descriptor), "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise Problem(
            f"the files to copy have more than {COPIED_BYTES:,} bytes together, at {place.shown}; "
            "name a folder further down"
        )
    return data
