"""The user's service manager, asked through systemctl: is it there, which version, what became of a unit.

systemctl and not D-Bus, because it is always where systemd is, and a person can type the same.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from omnimind.errors import OmniMindError

WAIT_S: Final = 60
_SHOWN: Final = (
    "Id,LoadState,ActiveState,SubState,UnitFileState,Result,NRestarts,MainPID,ExecMainCode,ExecMainStatus,MemoryCurrent,"
    "NeedDaemonReload,StartLimitBurst,StartLimitIntervalUSec,Listen"
)


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


def systemctl(*words: str) -> Done:
    """Run `systemctl --user` with these words."""
    return _run(["systemctl", "--user", "--no-pager", *words])


def version() -> int:
    """systemd's version. Raises OmniMindError where there is no systemd."""
    found = re.match(r"systemd (\d+)", _run(["systemctl", "--version"]).out) if _has_systemctl() else None
    if found is None:
        raise OmniMindError(
            "OM0601", "there is no systemd on this machine", help="run the fleet without it: omnimind up"
        )
    return int(found.group(1))


def absent() -> str | None:
    """Why the user's manager cannot be asked; None if it can."""
    if not _has_systemctl():
        return "there is no systemctl"
    done = systemctl("show", "--property=Version")
    return None if done.code == 0 else done.err.strip().splitlines()[0] if done.err.strip() else "no answer"


def need() -> None:
    """Raise unless the user's manager answers."""
    version()
    if why := absent():
        raise OmniMindError(
            "OM0601",
            f"the service manager of {_user()} does not answer",
            why=why,
            help=f"log in as {_user()} (not with su or sudo), or let it run always: loginctl enable-linger {_user()}",
        )


def show(names: Sequence[str]) -> list[dict[str, str]]:
    """The state of units, in the order asked."""
    if not names:
        return []
    text = systemctl("show", f"--property={_SHOWN}", "--", *names).out
    return [_properties(block) for block in text.strip().split("\n\n")]


def _properties(block: str) -> dict[str, str]:
    """The lines of one unit; what comes more than once (`Listen`) is joined with newlines."""
    found: dict[str, str] = {}
    for line in block.splitlines():
        key, _, value = line.partition("=")
        found[key] = f"{found[key]}\n{value}" if key in found else value
    return found


def last_line(unit: str) -> str | None:
    """The last line that the unit's own processes wrote to the journal."""
    if shutil.which("journalctl") is None:
        return None
    done = _run(["journalctl", f"_SYSTEMD_USER_UNIT={unit}", "--no-pager", "--quiet", "-n", "1", "-o", "cat"])
    return done.out.strip().splitlines()[-1] if done.out.strip() else None


def reason(unit: str) -> str | None:
    """What the manager said about a unit that did not start."""
    done = _run(
        ["journalctl", "--user", f"--user-unit={unit}", "--no-pager", "--quiet", "-n", "20", "-o", "cat"]
    )
    lines = done.out.strip().splitlines()
    return next((line for line in lines if "Failed" in line), lines[-1] if lines else None)


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _has_systemctl() -> bool:
    return shutil.which("systemctl") is not None


def _run(command: list[str]) -> Done:
    environment = {**os.environ, "SYSTEMD_COLORS": "0", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=WAIT_S, env=environment
        )
    except subprocess.TimeoutExpired:
        return Done(124, "", f"{command[0]} did not answer within {WAIT_S} s")
    return Done(done.returncode, done.stdout, done.stderr)
