"""Why a process ended, in words an operator can act on.

Pure: an exit status and the last lines of its log go in, a reason comes out. `hopeless` says that starting it
again at once cannot help.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass

EX_CONFIG = 78
"""sysexits.h: a configuration error."""

_MISSING_MODULE = re.compile(r"^(?:ModuleNotFoundError|ImportError): (.+)$")
_NODE_MISSING = re.compile(r"Cannot find module '([^']+)'")


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a start or a process failed."""

    reason: str
    hopeless: bool = False


def missing_command(command: str) -> Cause:
    """There is no such program."""
    return Cause(f"command not found: {command}; install it or give its full path", hopeless=True)


def classify(status: int, last_lines: Sequence[str]) -> Cause:
    """The cause of an exit with this `waitpid` status."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        return Cause(_signal_reason(-code))
    for line in reversed(last_lines):
        if found := _MISSING_MODULE.match(line.strip()):
            return Cause(f"import error: {found.group(1)}")
        if found := _NODE_MISSING.search(line):
            return Cause(f"import error: no module {found.group(1)}")
    if code == EX_CONFIG:
        return Cause("configuration error (exit code 78)", hopeless=True)
    if code == 127:
        return Cause("command not found by its shell (exit code 127)")
    if code == 0:
        return Cause("ended by itself (exit code 0)")
    return Cause(f"exit code {code}")


def _signal_reason(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return f"killed by {name}"
