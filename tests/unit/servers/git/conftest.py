"""A git server over one folder, and a repository in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.repositories import Scratch
from server_session import Session


class GitSession(Session):
    """A session whose calls are about one repository."""

    here: str = ""

    def said(self, tool: str, **arguments: object) -> str:
        return self.text(tool, repo_path=self.here, **arguments)

    def listed(self, tool: str, **arguments: object) -> dict[str, object]:
        found: dict[str, object] = self.data(tool, repo_path=self.here, **arguments)
        return found

    def refused(self, tool: str, **arguments: object) -> str:
        return self.problem(tool, repo_path=self.here, **arguments)


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return Scratch.make(tmp_path / "root" / "r")


@pytest.fixture
def git(tmp_path: Path, scratch: Scratch) -> GitSession:
    session = GitSession("git", tmp_path / "state", ["--repository", str(tmp_path / "root")])
    session.here = str(scratch.path)
    return session
