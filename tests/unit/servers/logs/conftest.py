"""A logging server over logs that a fleet has written: the writers are the fleet's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from server_session import Session

from omnimind.orchestrator.logs.files import LogFile

BEGIN = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


class Clock:
    """A wall clock that goes a second for each line."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


class Fleet:
    """The logs of a fleet, written as the orchestrator writes them."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.folder = state / "logs"
        self.folder.mkdir()
        self.clock = Clock()
        self.logs: dict[str, LogFile] = {}

    def log(self, name: str, limit_bytes: int = 10_000_000, files: int = 5) -> LogFile:
        if name not in self.logs:
            self.logs[name] = LogFile(self.folder, name, limit_bytes, files, wall=self.clock)
        return self.logs[name]

    def says(self, name: str, *texts: str, pid: int = 7) -> None:
        for text in texts:
            self.log(name).write(pid, text)

    def packed(self, name: str) -> bool:
        """True when no segment waits to be packed."""
        return not any(path.suffix[1:].isdigit() for path in self.folder.glob(f"{name}.log.*"))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    running = Fleet(tmp_path)
    yield running
    for log in running.logs.values():
        log.close()


@pytest.fixture
def logging_server(tmp_path: Path) -> Session:
    return Session("logging", tmp_path, [])


@pytest.fixture
def texts(logging_server: Session) -> Callable[..., list[str]]:
    """What search_logs finds, as texts."""

    def ask(**arguments: object) -> list[str]:
        return [one["text"] for one in logging_server.data("search_logs", **arguments)["records"]]

    return ask
