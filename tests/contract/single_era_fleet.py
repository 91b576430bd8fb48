"""Both single-era servers behind a fleet, on every transport, named `<era of the server>-<transport>`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from fleet import Background, Fleet, fixture_entry

TRANSPORTS = ("stdio", "unix", "http")


@contextmanager
def single_era_fleet() -> Iterator[Fleet]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="omx-")))
        servers: dict[str, Any] = {}
        for era in ("legacy", "modern"):
            servers[f"{era}-stdio"] = fixture_entry("single_era", era)
            path = folder / f"{era}.sock"
            stack.enter_context(Background("single_era", era, "--unix", str(path), ready_file=path))
            servers[f"{era}-unix"] = {"url": f"unix:{path}"}
            web = stack.enter_context(Background("single_era", era, "--http", "0"))
            servers[f"{era}-http"] = {"url": web.first_line}
        yield stack.enter_context(Fleet(servers))
