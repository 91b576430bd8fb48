"""Listing and searching directories, always on descriptors and never through links."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from omnimind.servers.filesystem import limits
from omnimind.servers.filesystem.glob import Matcher, excluder, matcher
from omnimind.servers.filesystem.roots import Place, Roots, trouble
from omnimind.servers.problem import Problem

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

Check = Callable[[], None]
"""Called now and then in long loops; raises to stop them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a directory. A link counts as what it is, not as what it leads to."""

    name: str
    is_directory: bool
    size: int = 0


def entries(roots: Roots, path: str, *, sizes: bool = False) -> list[Entry]:
    """What a directory holds, sorted by name."""
    place = roots.locate(path)
    with roots.opened(place, _FOLDER) as directory:
        return _scan(directory, place.shown, sizes)


def _scan(directory: int, shown: str, sizes: bool) -> list[Entry]:
    found: list[Entry] = []
    try:
        with os.scandir(directory) as names:
            for entry in names:
                size = entry.stat(follow_symlinks=False).st_size if sizes else 0
                found.append(Entry(_printable(entry.name), entry.is_dir(follow_symlinks=False), size))
    except OSError as refusal:
        raise trouble(refusal, shown) from refusal
    found.sort(key=lambda entry: entry.name)
    return found


def _printable(name: str) -> str:
    """A file name as text; bytes that are not UTF-8 become replacement characters."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def plain(roots: Roots, path: str) -> str:
    """The listing of list_directory."""
    found = entries(roots, path)
    lines = [f"{_label(entry)} {entry.name}" for entry in found[: limits.ENTRIES]]
    return "\n".join(lines + _rest(len(found)))


def with_sizes(roots: Roots, path: str, sort_by: Literal["name", "size"]) -> str:
    """The listing of list_directory_with_sizes."""
    found = entries(roots, path, sizes=True)
    if sort_by == "size":
        found.sort(key=lambda entry: (-1 if entry.is_directory else 0, -entry.size))
    lines = [
        f"{_label(entry)} {entry.name:<30} {'' if entry.is_directory else human_size(entry.size):>10}"
        for entry in found[: limits.ENTRIES]
    ]
    folders = sum(entry.is_directory for entry in found)
    total = sum(entry.size for entry in found if not entry.is_directory)
    summary = [f"\nTotal: {len(found) - folders} files, {folders} directories"]
    return "\n".join([*lines, *_rest(len(found)), *summary, f"Combined size: {human_size(total)}"])


def _label(entry: Entry) -> str:
    return "[DIR]" if entry.is_directory else "[FILE]"


def _rest(count: int) -> list[str]:
    if count <= limits.ENTRIES:
        return []
    return [f"... and {count - limits.ENTRIES:,} more; the limit is {limits.ENTRIES:,}, use search_files"]


def human_size(size: int) -> str:
    """A number of bytes for people, in powers of 1024."""
    amount = float(size)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1024:
            return f"{size} B" if unit == "B" else f"{amount:.2f} {unit}"
        amount /= 1024
    return f"{amount:.2f} TB"


def tree(roots: Roots, path: str, exclude: Sequence[str], check: Check) -> str:
    """The directory and all below it as JSON."""
    excluded = excluder(exclude, anywhere=True)
    place = roots.locate(path)
    count = 0

    def below(directory: int, relative: str, depth: int) -> list[dict[str, Any]]:
        nonlocal count
        check()
        if depth > limits.DEPTH:
            raise Problem(
                f"{place.shown} is more than {limits.DEPTH} folders deep, the limit of a tree; "
                "name a folder further down"
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
                    "name a folder further down, or leave folders out with excludePatterns"
                )
            node: dict[str, Any] = {"name": entry.name, "type": "file"}
            if entry.is_directory:
                children: list[dict[str, Any]] = []
                for folder in _enter(roots, directory, entry.name, inner):
                    children = below(folder, inner, depth + 1)
                node = {"name": entry.name, "type": "directory", "children": children}
            nodes.append(node)
        return nodes

    with roots.opened(place, _FOLDER) as directory:
        return json.dumps(below(directory, "", 0), ensure_ascii=False, indent=2)


def search(roots: Roots, path: str, pattern: str, exclude: Sequence[str], check: Check) -> str:
    """The full paths of all that matches, one a line."""
    wanted = matcher(pattern)
    excluded = excluder(exclude, anywhere=False)
    place = roots.locate(path)
    found: list[str] = []
    ended = ""
    with roots.opened(place, _FOLDER) as directory:
        for visited, relative in enumerate(_walk(roots, place, directory, excluded, check)):
            if wanted(relative):
                found.append(f"{place.shown.rstrip('/')}/{relative}")
            if len(found) >= limits.MATCHES:
                ended = f"... stopped at {limits.MATCHES:,} matches, the limit; use a narrower pattern"
                break
            if visited >= limits.VISITED:
                ended = (
                    f"... stopped after {limits.VISITED:,} entries, the limit; search a folder further down"
                )
                break
    return "\n".join([*found, ended] if ended else found) or "No matches found"


def _walk(
    roots: Roots,
    place: Place,
    directory: int,
    excluded: Matcher,
    check: Check,
    relative: str = "",
    depth: int = 0,
) -> Iterator[str]:
    """Relative paths below a directory, parents before children."""
    check()
    for entry in _scan(directory, place.shown, sizes=False):
        inner = f"{relative}/{entry.name}" if relative else entry.name
        if excluded(inner):
            continue
        yield inner
        if entry.is_directory and depth < limits.DEPTH:
            for folder in _enter(roots, directory, entry.name, inner):
                yield from _walk(roots, place, folder, excluded, check, inner, depth + 1)


def _enter(roots: Roots, directory: int, name: str, inner: str) -> Iterator[int]:
    """The descriptor of a subdirectory while it is looked at; nothing if it is gone or closed to callers."""
    try:
        folder = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=directory)
    except OSError:
        return
    try:
        try:
            roots.refuse_closed_path(os.readlink(f"/proc/self/fd/{folder}"), inner)
        except Problem:
            return
        yield folder
    finally:
        os.close(folder)
