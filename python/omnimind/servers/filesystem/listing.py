"""Listing and searching directories, always on descriptors and never through links."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from omnimind.servers import depends
from omnimind.servers.filesystem import limits
from omnimind.servers.filesystem.glob import Matcher, excluder, matcher
from omnimind.servers.filesystem.roots import Place, Roots, trouble
from omnimind.servers.problem import Problem

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

Check = Callable[[int], None]
"""Told how many entries were seen so far, once a folder; raises to stop the walk."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a directory. A link counts as what it is, not as what it leads to."""

    name: str
    is_directory: bool
    size: int = 0
    is_link: bool = False


def entries(roots: Roots, path: str, *, sizes: bool = False) -> list[Entry]:
    """What a directory holds, sorted by name."""
    place = roots.locate(path)
    with roots.opened(place, _FOLDER) as directory:
        roots.note(place, directory)
        return _scan(directory, place.shown, sizes)


def _scan(directory: int, shown: str, sizes: bool) -> list[Entry]:
    found: list[Entry] = []
    try:
        with os.scandir(directory) as names:
            for entry in names:
                size = _size(directory, entry) if sizes else 0
                is_directory = entry.is_dir(follow_symlinks=False)
                found.append(Entry(_printable(entry.name), is_directory, size, entry.is_symlink()))
    except OSError as refusal:
        raise trouble(refusal, shown) from refusal
    found.sort(key=lambda entry: entry.name)
    return found


def _size(directory: int, entry: os.DirEntry[str]) -> int:
    if depends.wanted():
        depends.file(f"{os.readlink(f'/proc/self/fd/{directory}')}/{entry.name}")
    return entry.stat(follow_symlinks=False).st_size


def _printable(name: str) -> str:
    """A file name as text; bytes that are not UTF-8 become replacement characters."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def plain(roots: Roots, path: str, limit: int = limits.ENTRIES, offset: int = 0) -> str:
    """The listing of list_directory."""
    found = entries(roots, path)
    lines = [f"{_label(entry)} {entry.name}" for entry in found[offset : offset + limit]]
    return "\n".join(lines + _rest(len(found), limit, offset))


def with_sizes(
    roots: Roots,
    path: str,
    sort_by: Literal["name", "size"],
    limit: int = limits.ENTRIES,
    offset: int = 0,
) -> str:
    """The listing of list_directory_with_sizes; the sums are those of the whole directory."""
    found = entries(roots, path, sizes=True)
    if sort_by == "size":
        found.sort(key=lambda entry: -entry.size)
    lines = [
        f"{_label(entry)} {entry.name:<30} " + ("" if entry.is_directory else f"{human_size(entry.size):>10}")
        for entry in found[offset : offset + limit]
    ]
    folders = sum(entry.is_directory for entry in found)
    total = sum(entry.size for entry in found if not entry.is_directory)
    summary = [f"\nTotal: {len(found) - folders} files, {folders} directories"]
    return "\n".join(
        [*lines, *_rest(len(found), limit, offset), *summary, f"Combined size: {human_size(total)}"]
    )


def _label(entry: Entry) -> str:
    return "[DIR]" if entry.is_directory else "[FILE]"


def _rest(count: int, limit: int, offset: int) -> list[str]:
    left = count - offset - limit
    return [f"... and {left:,} more; go on with offset {offset + limit}"] if left > 0 else []


def human_size(size: int) -> str:
    """A number of bytes for people, in powers of 1024."""
    amount = float(size)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1024:
            return f"{size} B" if unit == "B" else f"{amount:.2f} {unit}"
        amount /= 1024
    return f"{amount:.2f} TB"


def tree(roots: Roots, path: str, exclude: Sequence[str], check: Check, depth: int | None = None) -> str:
    """The directory and all below it, or `depth` levels of it, as JSON."""
    excluded = excluder(exclude, anywhere=True)
    place = roots.locate(path)
    count = 0

    def below(directory: int, relative: str, level: int) -> list[dict[str, Any]]:
        nonlocal count
        check(count)
        if level > limits.DEPTH:
            raise Problem(
                f"{place.shown} is more than {limits.DEPTH} folders deep, the limit of a tree; "
                "give maxDepth, or name a folder further down"
            )
        nodes: list[dict[str, Any]] = []
        for entry in _scan(directory, place.shown, sizes=False):
            inner = f"{relative}/{entry.name}" if relative else entry.name
            if excluded(inner):
                continue
            count += 1
            if count > limits.TREE_ENTRIES:
                raise Problem(
                    f"{place.shown} holds more than {limits.TREE_ENTRIES:,} entries, the limit of a tree; "
                    "give maxDepth, name a folder further down, or leave folders out with excludePatterns"
                )
            node: dict[str, Any] = {"name": entry.name, "type": "file"}
            if entry.is_directory:
                node = {"name": entry.name, "type": "directory"}
                if depth is None or level + 1 < depth:
                    node["children"] = []
                    for folder in _enter(roots, directory, entry.name, inner):
                        node["children"] = below(folder, inner, level + 1)
            nodes.append(node)
        return nodes

    with roots.opened(place, _FOLDER) as directory:
        roots.note(place, directory)
        return json.dumps(below(directory, "", 0), ensure_ascii=False, indent=2)


def search(
    roots: Roots,
    path: str,
    pattern: str,
    exclude: Sequence[str],
    check: Check,
    limit: int = limits.MATCHES,
    offset: int = 0,
) -> str:
    """The full paths of all that matches, one a line, in an order that stays the same.

    A link that leads nowhere or out of the roots is left out: what is found can be opened.
    """
    wanted = matcher(pattern)
    excluded = excluder(exclude, anywhere=False)
    place = roots.locate(path)
    found: list[str] = []
    matched = 0
    ended = ""
    with roots.opened(place, _FOLDER) as directory:
        roots.note(place, directory)
        for visited, (relative, entry) in enumerate(_walk(roots, place, directory, excluded, _Count(check))):
            if visited >= limits.VISITED:
                ended = (
                    f"... stopped after {limits.VISITED:,} entries, the limit; search a folder further down"
                )
                break
            if not wanted(relative) or (entry.is_link and not _leads_on(roots, place, relative)):
                continue
            matched += 1
            if matched > offset + limit:
                ended = (
                    f"... there are more than {offset + limit:,} matches; go on with offset {offset + limit}"
                )
                break
            if matched > offset:
                found.append(f"{place.shown.rstrip('/')}/{relative}")
    return "\n".join([*found, ended] if ended else found) or "No matches found"


def _leads_on(roots: Roots, place: Place, relative: str) -> bool:
    depends.unsure()
    try:
        with roots.opened(Place(place.root, os.path.normpath(f"{place.relative}/{relative}"), relative)):
            return True
    except Problem:
        return False


class _Count:
    """How many entries a walk has seen, told to its check."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._seen = 0

    def folder_of(self, entries: int) -> None:
        """A folder with so many entries is entered."""
        self._check(self._seen)
        self._seen += entries


def _walk(
    roots: Roots,
    place: Place,
    directory: int,
    excluded: Matcher,
    count: _Count,
    relative: str = "",
    depth: int = 0,
) -> Iterator[tuple[str, Entry]]:
    """All below a directory with its relative path, parents before children."""
    entries_here = _scan(directory, place.shown, sizes=False)
    count.folder_of(len(entries_here))
    for entry in entries_here:
        inner = f"{relative}/{entry.name}" if relative else entry.name
        if excluded(inner):
            continue
        yield inner, entry
        if entry.is_directory and depth < limits.DEPTH:
            for folder in _enter(roots, directory, entry.name, inner):
                yield from _walk(roots, place, folder, excluded, count, inner, depth + 1)


def _enter(roots: Roots, directory: int, name: str, inner: str) -> Iterator[int]:
    """The descriptor of a subdirectory while it is looked at; nothing if it is gone or closed to callers."""
    try:
        folder = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=directory)
    except OSError:
        depends.unsure()
        return
    try:
        try:
            roots.refuse_closed_path(os.readlink(f"/proc/self/fd/{folder}"), inner)
        except Problem:
            return
        depends.opened(folder)
        yield folder
    finally:
        os.close(folder)
