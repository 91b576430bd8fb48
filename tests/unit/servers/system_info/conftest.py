"""The server on this machine, and machines laid out by a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from server_session import Session

from omnimind.servers.system_info.machine import Machine

Lay = Callable[[dict[str, str]], Machine]


@pytest.fixture
def system_info(tmp_path: Path) -> Session:
    return Session("system_info", tmp_path, [])


@pytest.fixture
def lay(tmp_path: Path) -> Lay:
    """A machine whose files are given: `{"proc/uptime": "1 1"}`. `{root}` in a text is its folder."""

    def lay_out(files: dict[str, str]) -> Machine:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("{root}", str(tmp_path)))
        return Machine(tmp_path / "proc", tmp_path / "sys", tmp_path / "etc", tmp_path)

    return lay_out
