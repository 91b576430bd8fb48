"""The context server, with little room on its working level."""

from __future__ import annotations

from pathlib import Path

import pytest
from server_session import Session


@pytest.fixture
def context(tmp_path: Path) -> Session:
    return Session("context", tmp_path, ["--working-tokens", "200"])
