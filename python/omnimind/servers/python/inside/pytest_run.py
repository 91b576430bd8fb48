"""Runs pytest inside the jail and writes what happens as JSON lines.

It imports nothing of ours and trusts nothing: the tests share this process and can write into the same pipe, which
deceives only those who sent them. Records go to what was standard output at the start; whatever pytest and
the tests print goes to standard error. Each record is written as it happens, so a run that is killed, or
that takes the interpreter down with it, has told all that was known and which test it was in.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Final

sys.dont_write_bytecode = True

import pytest  # noqa: E402 - after what it, too, has to heed

NAME: Final = 1_000
MESSAGE: Final = 1_000
TRACEBACK: Final = 6_000
OUTPUT: Final = 2_000
DETAILS: Final = 4 * 1024 * 1024
"""Tracebacks and outputs of all tests together; beyond it only messages are told."""


class Recorder:
    """A plugin of pytest that writes a record for each thing that happens."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._left = DETAILS
        self._parts: list[pytest.TestReport] = []

    def write(self, event: str, **record: Any) -> None:
        """One line, in one piece as far as the pipe allows."""
        data = json.dumps({"event": event, **record}).encode() + b"\n"
        while data:
            data = data[os.write(self._pipe, data) :]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.write("collected", count=len(session.items))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.outcome == "passed":
            return
        outcome = "error" if report.failed else "skipped"
        self.write(
            "test",
            name=_cut(report.nodeid, NAME),
            outcome=outcome,
            seconds=0.0,
            message=_message(report),
            **self._details(str(report.longrepr) if report.failed else "", ""),
        )

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._parts = []
        self.write("start", name=_cut(nodeid, NAME))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._parts.append(report)
        if report.when == "teardown":
            self._tell(self._parts)

    def _tell(self, parts: list[pytest.TestReport]) -> None:
        outcome, decisive = _outcome(parts)
        path, line, _ = decisive.location
        bad = [part for part in parts if part.failed]
        self.write(
            "test",
            name=_cut(decisive.nodeid, NAME),
            outcome=outcome,
            seconds=round(sum(part.duration for part in parts), 6),
            path=path,
            line=(line or 0) + 1,
            message="" if outcome == "passed" else _message(decisive),
            **self._details(
                "\n\n".join(part.longreprtext for part in bad), _output(parts[-1]) if bad else ""
            ),
        )

    def _details(self, traceback: str, output: str) -> dict[str, str]:
        details = {"traceback": _cut(traceback, TRACEBACK), "output": _cut(output, OUTPUT)}
        size = sum(map(len, details.values()))
        if size > self._left:
            return {"traceback": "left out: the details of this run exceed their limit", "output": ""}
        self._left -= size
        return {name: text for name, text in details.items() if text}


def _outcome(parts: list[pytest.TestReport]) -> tuple[str, pytest.TestReport]:
    """What became of a test, and the part of it that decided."""
    for part in parts:
        if part.failed:
            return ("failed" if part.when == "call" else "error"), part
    for part in parts:
        if part.skipped:
            return ("xfailed" if hasattr(part, "wasxfail") else "skipped"), part
    call = next((part for part in parts if part.when == "call"), parts[-1])
    return ("xpassed" if hasattr(call, "wasxfail") else "passed"), call


def _message(report: Any) -> str:
    """Why, in a line or a few."""
    expected = getattr(report, "wasxfail", None)
    if expected is not None:
        return _cut(str(expected), MESSAGE)
    if isinstance(report.longrepr, tuple):
        return _cut(str(report.longrepr[2]), MESSAGE)
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        return _cut(str(crash.message), MESSAGE)
    lines = [line for line in str(report.longrepr).splitlines() if line.startswith("E ")]
    return _cut("\n".join(line[1:].strip() for line in lines) or str(report.longrepr), MESSAGE)


def _output(report: pytest.TestReport) -> str:
    return "\n".join(f"[{title}]\n{text}" for title, text in report.sections)


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return f"{text[: most // 2]}\n... {len(text) - most:,} characters left out ...\n{text[-(most // 2) :]}"


def run(arguments: list[str], library: str | None) -> int:
    """Run pytest in the current folder with these arguments; `library` holds further packages."""
    pipe = os.dup(1)
    os.dup2(2, 1)
    sys.path[:0] = [os.getcwd(), *([library] if library is not None else [])]
    recorder = Recorder(pipe)
    code = int(pytest.main(arguments, plugins=[recorder]))
    recorder.write("end", code=code)
    return code
