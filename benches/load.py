"""`omnimind-load` from Python: an upstream as a context, a run as a function that returns its report."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINARY = TARGET / "release" / "omnimind-load"
WRONG, SATURATED = 1, 3
"""Exit statuses of a run that was made, with a report that says why it is not clean."""


class LoadError(Exception):
    """The generator or its upstream could not run; the text is what it said."""


@dataclass(frozen=True)
class Report:
    """What a run found; `all` is the whole JSON form."""

    throughput_per_s: float
    sent: int
    right: int
    p50_ms: float
    p99_ms: float
    saturated: bool
    all: dict[str, Any]

    @classmethod
    def of(cls, found: dict[str, Any]) -> Self:
        """From the JSON form."""
        return cls(
            throughput_per_s=found["throughput_per_s"],
            sent=found["sent"],
            right=found["right"],
            p50_ms=found["latency_ms"]["p50"],
            p99_ms=found["latency_ms"]["p99"],
            saturated=found["saturated"],
            all=found,
        )

    @property
    def is_clean(self) -> bool:
        """Every call got its own answer, once, and none was refused."""
        wrongs = ("wrong", "duplicate", "unasked", "missing", "connections_lost")
        return self.right == self.sent and not any(self.all[key] for key in wrongs)


def run(*arguments: str, timeout_s: float = 120) -> Report:
    """One run; raises LoadError only if it could not be made at all."""
    done = subprocess.run(
        [BINARY, "run", "--json", *arguments], capture_output=True, text=True, timeout=timeout_s
    )
    if done.returncode not in (0, WRONG, SATURATED):
        raise LoadError(done.stderr.strip() or f"exit status {done.returncode}")
    return Report.of(json.loads(done.stdout))


class Server:
    """A server of this binary, on a free port or a Unix socket, while the block runs."""

    def __init__(self, *arguments: str) -> None:
        self._command = [str(BINARY), *arguments]
        self._process: subprocess.Popen[str] | None = None
        self.place: dict[str, Any] = {}

    @property
    def url(self) -> str:
        url: str = self.place["url"]
        return url

    @property
    def port(self) -> int:
        port: int = self.place["port"]
        return port

    @property
    def pid(self) -> int:
        pid: int = self.place["pid"]
        return pid

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait(5)
            raise LoadError(f"{self._command[1]} did not start")
        self.place = json.loads(line)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(5)
            assert self._process.stdout is not None
            self._process.stdout.close()


class Upstream(Server):
    """The near-free upstream."""

    def __init__(self, *, unix: Path | None = None, delay_ms: str = "0", era: str = "both") -> None:
        place = ["--http", "127.0.0.1:0"] if unix is None else ["--unix", str(unix)]
        super().__init__("upstream", *place, "--delay-ms", delay_ms, "--era", era)


def stdio_entry(*, delay_ms: str = "0", era: str = "both", **keys: Any) -> dict[str, Any]:
    """The `mcpServers` entry of the near-free upstream as a stdio child."""
    return {
        "command": str(BINARY),
        "args": ["upstream", "--stdio", "--delay-ms", delay_ms, "--era", era],
        **keys,
    }
