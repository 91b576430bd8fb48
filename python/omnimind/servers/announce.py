"""Telling the gateway that a server's data changed, on connections other than the one that changed them.

The gateway knows when it sends a call that writes and when that call ends, on its own connections. What it cannot
know is what came over another's: a gateway that is being replaced, an instance of another kind. So each keyed
connection is told when a writing call of another one has ended, whatever its end, and all are told when another
process was seen to have written. Nobody else hears of it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

CHANGED: Final = "notifications/omnimind/changed"

Tell = Callable[[bool], None]
"""Told whether everybody is to hear it, or the other connections alone. Never waits."""

_tell: ContextVar[Tell | None] = ContextVar("omnimind_tell", default=None)


def through(tell: Tell) -> None:
    """From here on, in this task and those it starts, changes are announced so."""
    _tell.set(tell)


def changed(*, everybody: bool = False) -> None:
    """The server's data changed, by a call of this connection; or by somebody else, and then all hear of it."""
    tell = _tell.get()
    if tell is not None:
        tell(everybody)
