"""Edits: replace a passage of a text by another, and show what changed as a diff.

A passage is looked for exactly; if it is not there, line by line without regard to leading and trailing
blanks, and the replacement then takes over the indentation it found. The first place counts. All edits apply
or none does. Line ends stay what they were in the file.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from omnimind.servers.filesystem import diff, files, limits, text
from omnimind.servers.filesystem.roots import Place, Roots
from omnimind.servers.problem import Problem

_LOCKS = tuple(threading.Lock() for _ in range(64))  # two edits of one file in this process wait in line
_SHOWN_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Edit:
    """One passage and its replacement."""

    old: str
    new: str


def edit_file(roots: Roots, path: str, edits: Sequence[Edit], dry_run: bool) -> str:
    """Apply the edits to a file (not with `dry_run`) and return the diff in a code block."""
    if len(edits) > limits.EDITS:
        raise Problem(f"{len(edits):,} edits were given; the limit is {limits.EDITS:,} at a time")
    place = roots.locate(path)
    with _LOCKS[hash(place.shown) % len(_LOCKS)]:
        before, stamp = _read(roots, place)
        ending = _line_end(before)
        plain = before.replace(ending, "\n")
        changed, notes = apply_edits(plain, edits)
        if not dry_run:
            data = files.encode(changed.replace("\n", ending))
            if len(data) > limits.EDIT_BYTES:
                raise Problem(f"the result has {len(data):,} bytes; the limit is {limits.EDIT_BYTES:,}")
            _refuse_if_changed(roots, place, stamp)
            files.write_bytes(roots, place, data)
    return "\n".join([fenced(diff.unified(plain, changed, place.shown)), *notes])


def _line_end(content: str) -> str:
    """What ends the lines of a file; where it differs from line to line, the `\\r` belong to the lines."""
    carried = content.count("\r\n")
    return "\r\n" if carried and carried == content.count("\n") else "\n"


def _read(roots: Roots, place: Place) -> tuple[str, tuple[int, int, int]]:
    with roots.regular_file(place) as descriptor:
        facts = os.fstat(descriptor)
        content = text.whole(descriptor, place.shown, limits.EDIT_BYTES)
    if "\ufffd" in content:
        raise Problem(f"{place.shown} is not UTF-8 throughout; editing it would change other bytes as well")
    return content, (facts.st_ino, facts.st_mtime_ns, facts.st_size)


def _refuse_if_changed(roots: Roots, place: Place, stamp: tuple[int, int, int]) -> None:
    with roots.opened(place) as descriptor:
        facts = os.fstat(descriptor)
    if (facts.st_ino, facts.st_mtime_ns, facts.st_size) != stamp:
        raise Problem(
            f"{place.shown} was changed by someone else meanwhile; read it again and repeat the edit"
        )


def apply_edits(content: str, edits: Sequence[Edit]) -> tuple[str, list[str]]:
    """The content after all edits, and remarks about passages that occur more than once."""
    notes: list[str] = []
    for edit in edits:
        old, new = edit.old.replace("\r\n", "\n"), edit.new.replace("\r\n", "\n")
        if not old:
            raise Problem("oldText is empty; use write_file to create a file")
        count = content.count(old)
        if count:
            content = content.replace(old, new, 1)
            if count > 1:
                notes.append(
                    f"Note: this oldText occurs {count:,} times; the first was changed: {_short(old)}"
                )
            continue
        loosely = _replace_lines(content, old, new)
        if loosely is None:
            raise Problem(
                f"Could not find exact match for edit:\n{_short(old)}\n"
                "Read the file again and copy the passage as it stands"
            )
        content = loosely
    return content, notes


def _replace_lines(content: str, old: str, new: str) -> str | None:
    """Replace the first run of lines that equals `old` but for blanks at both ends of each line."""
    wanted = [line.strip() for line in old.split("\n")]
    lines = content.split("\n")
    stripped = [line.strip() for line in lines]
    for at in range(len(lines) - len(wanted) + 1):
        if stripped[at] == wanted[0] and stripped[at : at + len(wanted)] == wanted:
            replacement = _indent_like(lines[at : at + len(wanted)], old.split("\n"), new.split("\n"))
            return "\n".join([*lines[:at], *replacement, *lines[at + len(wanted) :]])
    return None


def _indent_like(found: list[str], old: list[str], new: list[str]) -> list[str]:
    """The new lines, shifted by the indentation that the file has and the old text lacked."""
    there, given = _indentation(found[0]), _indentation(old[0])
    if there == given:
        return new
    shifted: list[str] = []
    for line in new:
        if not line.strip():
            shifted.append(line)
        elif line.startswith(given):
            shifted.append(there + line[len(given) :])
        else:
            shifted.append(there + line.lstrip())
    return shifted


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def fenced(body: str) -> str:
    """The diff in a code block whose fence does not occur in it."""
    fence = "```"
    while fence in body:
        fence += "`"
    return f"{fence}diff\n{body}{fence}\n\n"


def _short(passage: str) -> str:
    return passage if len(passage) <= _SHOWN_CHARACTERS else passage[:_SHOWN_CHARACTERS] + " [...]"
