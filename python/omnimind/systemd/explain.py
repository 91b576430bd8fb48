"""What became of a unit, in a sentence, and what to do: from the properties that systemd keeps. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_RESULTS = {
    "watchdog": "it stopped answering and was ended by the watchdog; the stacks of its threads are in the journal",
    "oom-kill": "it used more memory than MemoryMax allows, or the machine had none left",
    "timeout": "it took too long to start or to stop",
    "protocol": "it ended before it said that it is ready",
    "resources": "systemd could not set it up (a folder, a limit or a namespace)",
    "core-dump": "it crashed",
    "start-limit-hit": "it failed too often in a short time",
}
_SET_UP = range(200, 250)
_CONFIGURATION = 78


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a unit is not up, and what helps."""

    why: str
    help: str


def explain(
    unit: Mapping[str, str], sockets: Mapping[str, str] | None = None, holder: str | None = None
) -> Explanation | None:
    """None if there is nothing to explain. `sockets` is its socket unit, `holder` who holds the port of that."""
    name, state = unit.get("Id", ""), unit.get("ActiveState")
    if unit.get("LoadState") in ("not-found", "masked", "bad-setting", "error"):
        return Explanation(
            f"its unit file is {unit['LoadState']}",
            "write it again: omnimind systemd install"
            if unit["LoadState"] != "masked"
            else f"systemctl --user unmask {name}",
        )
    if state == "activating" and unit.get("SubState") == "auto-restart":
        return Explanation(f"{_cause(unit)}; it is about to start again", _journal(name))
    if state == "inactive" and sockets is not None:
        return _without_process(sockets, holder)
    if state != "failed":
        return None
    if unit.get("Result") == "exit-code" and unit.get("ExecMainStatus") == str(_CONFIGURATION):
        return Explanation(
            "the configuration is wrong, so it is not started again",
            f"omnimind config check; then systemctl --user restart {name}",
        )
    limit = _limit(unit)
    return Explanation(
        f"{_cause(unit)}{limit}",
        f"{_journal(name)}; when the cause is gone: "
        f"systemctl --user reset-failed {name} && systemctl --user start {name}",
    )


def _without_process(sockets: Mapping[str, str], holder: str | None) -> Explanation | None:
    name = sockets.get("Id", "")
    if sockets.get("ActiveState") == "active":
        return Explanation(
            "it does not run; the next call starts it", f"to prevent that: systemctl --user stop {name}"
        )
    if sockets.get("ActiveState") != "failed":
        return None
    held = f": {holder} holds its port" if holder else ""
    return Explanation(
        f"its sockets could not be opened{held}",
        f"stop that process yourself, or choose another port in the configuration, omnimind systemd install, and "
        f"systemctl --user restart {name}"
        if holder
        else f"{_journal(name)}; then systemctl --user restart {name}",
    )


def _cause(unit: Mapping[str, str]) -> str:
    result, status = unit.get("Result", ""), unit.get("ExecMainStatus", "0")
    if result == "exit-code":
        if status.isdigit() and int(status) in _SET_UP:
            return f"systemd could not set up its process (exit code {status}); try --hardening=off"
        return f"it ended with exit code {status}"
    if result == "signal":
        return f"it was killed by signal {status}"
    return _RESULTS.get(result, f"result {result}")


def _limit(unit: Mapping[str, str]) -> str:
    burst, restarts = unit.get("StartLimitBurst", ""), unit.get("NRestarts", "0")
    if burst.isdigit() and restarts.isdigit() and int(restarts) >= int(burst) > 0:
        return f"; {burst} starts within {unit.get('StartLimitIntervalUSec', 'the interval')} are the limit"
    return ""


def _journal(name: str) -> str:
    return f"see journalctl --user -u {name} -n 20"
