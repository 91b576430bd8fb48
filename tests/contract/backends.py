"""The everything-server behind the gateway, on each transport the gateway has."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from fleet import FIXTURES, Background, Fleet

TRANSPORTS = ("http", "stdio", "unix")


@contextmanager
def everything_fleet(transports: tuple[str, ...] = TRANSPORTS) -> Iterator[Fleet]:
    """A fleet with the everything-server as `everything-<transport>` for each of `transports`."""
    with ExitStack() as stack:
        servers: dict[str, Any] = {}
        if "http" in transports:
            backend = stack.enter_context(Background("everything", "--http", "0"))
            servers["everything-http"] = {"url": backend.first_line, "sessions": "own"}
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="oms-"))
        path = Path(folder) / "everything.sock"
        stack.enter_context(Background("everything", "--unix", str(path), ready_file=path))
        if "unix" in transports:
            servers["everything-unix"] = {"url": f"unix:{path}", "sessions": "own"}
        if "stdio" in transports:
            # A process a session, which is a pipe: some suites open a session for everything they try.
            pipe = ["-S", str(FIXTURES / "line_pipe.py"), str(path)]
            servers["everything-stdio"] = {"command": sys.executable, "args": pipe, "sessions": "own"}
        yield stack.enter_context(Fleet(servers))
