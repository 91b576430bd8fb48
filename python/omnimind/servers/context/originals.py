"""Originals of what the gateway and the commands have cut, and parts of any text. Knows no MCP."""

from __future__ import annotations

import threading
from pathlib import Path

from omnimind.compression import handles
from omnimind.servers.problem import Problem


class Originals:
    """The originals of a state folder, opened when the first one is asked for."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = handles.folder_of(state_dir)
        self._lock = threading.Lock()
        self._store: handles.Originals | None = None

    def keep(self, owner: str, text: str, source: str) -> None:
        """Keep an original for a principal; it is on disk when this returns."""
        try:
            self._opened().put(owner, text, mime="text/plain", source=source)
        except OSError as trouble:
            raise Problem(f"what would be left out cannot be kept: {trouble}") from trouble

    def text(self, owner: str, handle: str) -> str:
        """The whole original of a handle that was given to this principal."""
        try:
            kept = self._opened().get(owner, handle)
        except (OSError, ValueError) as trouble:
            raise Problem(str(trouble)) from trouble
        if kept is None:
            raise Problem(
                f"there is no entry or original {handle!r}: list_context shows entries, and originals of what was "
                "cut are kept for a day, so call again what made it"
            )
        try:
            return kept.data.decode()
        except UnicodeDecodeError as error:
            raise Problem(f"the original of {handle!r} is not text") from error

    def _opened(self) -> handles.Originals:
        with self._lock:
            if self._store is None:
                self._store = handles.Originals(self._folder)
            return self._store


def part(
    text: str,
    lines: str = "",
    grep: str = "",
    context: int = 0,
    json_path: str = "",
    query: str = "",
    max_tokens: int | None = None,
) -> handles.Expanded:
    """A part of a text, byte for byte; what is empty is not asked for."""
    try:
        at = handles.place(lines) if lines else None
        return handles.expand(
            text,
            at=at,
            grep=grep or None,
            context=context,
            json_path=json_path or None,
            query=query or None,
            max_tokens=max_tokens,
        )
    except ValueError as refused:
        raise Problem(str(refused)) from refused


def remark(found: handles.Expanded) -> str | None:
    """What a reader has to know beside the text: that it is not all, and how to go on."""
    said = []
    if found.widened is not None:
        said.append("widened to whole characters: B{}-{}".format(*found.widened))
    if found.found == 0:
        said.append("nothing was found")
    elif found.shown < found.found:
        said.append(f"{found.shown:,} of {found.found:,} shown")
    if found.next is not None:
        said.append(f"go on with lines={found.next!r}")
    return f"[{'; '.join(said)}]" if said else None
