"""A server of each kind with a state folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from server_session import Session


@pytest.fixture
def memory(tmp_path: Path) -> Session:
    return Session("memory", tmp_path, [])


@pytest.fixture
def thinking(tmp_path: Path) -> Session:
    return Session("thinking", tmp_path, [])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The one allowed directory of the `filesystem` fixture."""
    root = tmp_path / "allowed"
    root.mkdir()
    return root


@pytest.fixture
def filesystem(tmp_path: Path, folder: Path) -> Session:
    return Session("filesystem", tmp_path / "state", [str(folder)])
