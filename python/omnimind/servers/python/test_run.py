"""A run of pytest: which arguments it gets, and what its records mean. Starts nothing itself.

Plugins are not loaded because they are installed, only because a given `conftest.py` or configuration names them:
so the same tests give the same results on every machine.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from omnimind.servers.problem import Problem
from omnimind.servers.python.findings import sendable
from omnimind.servers.python.sources import Sources

CONFIGURATION: Final = (
    "pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg",
)  # fmt: skip
RUN: Final = "omnimind.servers.python.inside.pytest_run:run"
NAMES: Final = 200
EXPRESSION: Final = 1_000
TESTS: Final = 20_000
MOST: Final = 10**9
PAGE_BYTES: Final = 1024 * 1024

_ORDER: Final = ("failed", "error", "crashed", "xpassed", "xfailed", "skipped", "passed")
_ENDED: Final = {
    0: "passed", 1: "failed", 2: "interrupted", 3: "internal error", 4: "usage error", 5: "no tests",
}  # fmt: skip


def arguments(sources: Sources, names: Sequence[str], expression: str | None, max_failures: int) -> list[str]:
    """The arguments of pytest for a run in the working folder."""
    if len(names) > NAMES:
        raise Problem(f"{len(names):,} names were given; the limit is {NAMES}, use `select` instead")
    wrong = next(
        (name for name in names if not name or name.startswith(("-", "/", "@")) or ".." in name.split("/")),
        None,
    )
    if wrong is not None:
        raise Problem(f"{wrong!r} is not a test; name them as test_file.py or test_file.py::test_name")
    if expression is not None and len(expression) > EXPRESSION:
        raise Problem(f"`select` has {len(expression):,} characters; the limit is {EXPRESSION:,}")
    return [
        *(
            "-q",
            "--tb=short",
            "--color=no",
            "--no-header",
            "--no-summary",
            "--override-ini=verbosity_assertions=2",
        ),
        *("--disable-plugin-autoload", "--continue-on-collection-errors", "-p", "no:cacheprovider"),
        *("--rootdir=.", "--confcutdir=.", "-c", sources.first_of(*CONFIGURATION) or "/dev/null"),
        *([f"-k={expression}"] if expression else []),
        *([f"--maxfail={max_failures}"] if max_failures else []),
        *(names or ["."]),
    ]


@dataclass(slots=True)
class Report:
    """What is known of a run so far; each record adds to it."""

    collected: int = 0
    running: str | None = None
    code: int | None = None
    seconds: float = 0.0
    why: str = ""
    log: str = ""
    tests: list[dict[str, Any]] = field(default_factory=list)

    def take(self, line: bytes) -> None:
        """Add a record; a line that is none (a test can write into the pipe) is passed over."""
        if not line.startswith(b'{"event"'):
            return
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            return
        match record:
            case {"event": "collected", "count": int(count)} if 0 <= count <= MOST:
                self.collected = count
            case {"event": "start", "name": str(name)}:
                self.running = name
            case {"event": "test", "name": str(name), "outcome": str(outcome)} if outcome in _ORDER:
                self.running = None
                if len(self.tests) < TESTS:
                    self.tests.append(_test(name, outcome, record))
            case {"event": "end", "code": int(code)} if abs(code) <= MOST:
                self.code = code

    def close(self, why: str) -> None:
        """The run is over. If it did not end by itself, that is said, and by the test that was running."""
        if self.code is None:
            self.why = why
            if self.running is not None:
                self.tests.append(_test(self.running, "crashed", {"message": why}))
        self.running = None

    @property
    def ended(self) -> str:
        """How the run ended, in a word or two."""
        return "stopped" if self.code is None else _ENDED.get(self.code, f"exit code {self.code}")

    def summary(self) -> dict[str, int]:
        """How many tests had which outcome, worst first."""
        counts = Counter(test["outcome"] for test in self.tests)
        return {outcome: counts[outcome] for outcome in _ORDER if counts[outcome]}

    def sorted(self) -> list[dict[str, Any]]:
        """The tests, worst outcome first, else in the order they ran."""
        return sorted(self.tests, key=lambda test: _ORDER.index(test["outcome"]))


def _test(name: str, outcome: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """A test as it goes over the wire, of a record that anybody may have written."""
    test: dict[str, Any] = {
        "name": sendable(name),
        "outcome": outcome,
        "duration_ms": _milliseconds(record.get("seconds")),
    }
    for key in ("path", "message", "traceback", "output"):
        value = record.get(key)
        if isinstance(value, str) and value:
            test[key] = sendable(value)
    line = record.get("line")
    if isinstance(line, int) and 0 < line <= MOST:
        test["line"] = line
    return test


def _milliseconds(seconds: object) -> float:
    if isinstance(seconds, (int, float)) and 0 <= seconds <= MOST:  # which no NaN is
        return round(seconds * 1000, 3)
    return 0.0


def kept(report: Report) -> dict[str, Any]:
    """A report in the form in which it is kept for later pages."""
    data: dict[str, Any] = {
        "ended": report.ended,
        "summary": report.summary(),
        "collected": report.collected,
        "total": len(report.tests),
        "duration_ms": round(report.seconds * 1000, 1),
        "tests": report.sorted(),
    }
    if report.why:
        data["why"] = report.why
    if report.code not in (0, 1) and report.log:
        data["log"] = report.log
    return data


def page(kept: Mapping[str, Any], limit: int, offset: int) -> dict[str, Any]:
    """A kept report with some of its tests, as many as fit, and where to go on."""
    tests: list[Any] = []
    left = PAGE_BYTES
    for test in kept["tests"][offset : offset + limit]:
        left -= len(json.dumps(test))
        if left < 0 and tests:
            break
        tests.append(test)
    after = offset + len(tests)
    data = {**kept, "tests": tests}
    return {**data, "next_offset": after} if after < len(kept["tests"]) else data


def shown(page: Mapping[str, Any]) -> str:
    """A page as text: how it ended, and what went wrong with its traceback."""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in page["summary"].items()) or "no tests"
    lines = [
        f"{counts} in {page['duration_ms'] / 1000:.2f} s" + (f"; {page['why']}" if "why" in page else "")
    ]
    for test in page["tests"]:
        message = test.get("message", "")
        lines.append(f"{test['outcome'].upper()} {test['name']}" + (f" - {message}" if message else ""))
        lines += [f"    {line}" for key in ("traceback", "output") for line in test.get(key, "").splitlines()]
    if "next_offset" in page:
        lines.append(f"... more; go on with run={page['run']!r} and offset={page['next_offset']}")
    return "\n".join([*lines, *page.get("log", "").splitlines()])
