"""The everything-server behind the gateway, on each transport the gateway has."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from fleet import Background, Fleet, fixture_entry

TRANSPORTS = ("http", "stdio", "unix")


@contextmanager
def everything_fleet(transports: tuple[str, ...] = TRANSPORTS) -> Iterator[Fleet]:
    """A fleet with the everything-server as `everything-<transport>` for each of `transports`."""
    with ExitStack() as stack:
        servers: dict[str, Any] = {}
        if "stdio" in transports:
            servers["everything-stdio"] = fixture_entry("everything", sessions="own")
        if "http" in transports:
            backend = stack.enter_context(Background("everything", "--http", "0"))
            servers["everything-http"] = {"url": backend.first_line, "sessions": "own"}
        if "unix" in transports:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="oms-"))
            path = Path(folder) / "everything.sock"
            stack.enter_context(Background("everything", "--unix", str(path), ready_file=path))
            servers["everything-unix"] = {"url": f"unix:{path}", "sessions": "own"}
        yield stack.enter_context(Fleet(servers))
