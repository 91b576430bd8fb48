"""Exit statuses in words."""

from __future__ import annotations

import signal

import pytest

from omnimind.orchestrator.exits import classify, missing_command

PYTHON = ["Traceback (most recent call last):", "ModuleNotFoundError: No module named 'nope'"]
NODE = ["node:internal/modules/cjs/loader:1", "Error: Cannot find module '/x/index.js'", "Node.js v20"]


@pytest.mark.parametrize(
    ("status", "lines", "reason", "hopeless"),
    [
        (0, [], "ended by itself (exit code 0)", False),
        (3 << 8, ["oops"], "exit code 3", False),
        (1 << 8, PYTHON, "import error: No module named 'nope'", False),
        (1 << 8, NODE, "import error: no module /x/index.js", False),
        (78 << 8, [], "configuration error (exit code 78)", True),
        (127 << 8, ["sh: x: not found"], "command not found by its shell (exit code 127)", False),
        (signal.SIGKILL, [], "killed by SIGKILL", False),
        (signal.SIGSEGV | 128, [], "killed by SIGSEGV", False),
        (signal.SIGRTMIN + 3, [], "killed by signal 37", False),
    ],
)
def test_a_status_has_a_reason(status: int, lines: list[str], reason: str, hopeless: bool) -> None:
    cause = classify(int(status), lines)
    assert (cause.reason, cause.hopeless) == (reason, hopeless)


def test_a_missing_command_says_what_to_do() -> None:
    cause = missing_command("npx")
    assert cause.hopeless
    assert "npx" in cause.reason
    assert "install" in cause.reason
