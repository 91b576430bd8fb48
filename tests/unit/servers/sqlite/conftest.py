"""The sqlite server in this process: with a folder of its own, and on a folder of an operator's."""

from __future__ import annotations

from pathlib import Path

import pytest
from server_session import Session


@pytest.fixture
def sqlite(tmp_path: Path) -> Session:
    """No arguments: the caller's own folder."""
    return Session("sqlite", tmp_path / "state", [])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the `shared` fixture."""
    root = tmp_path / "databases"
    root.mkdir()
    return root


@pytest.fixture
def shared(tmp_path: Path, folder: Path) -> Session:
    return Session("sqlite", tmp_path / "state", [str(folder)])
