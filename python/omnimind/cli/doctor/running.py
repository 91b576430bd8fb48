"""The fleet that runs in this state folder, if one does: what is not ready, and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import omnimind
from omnimind.cli import fleet
from omnimind.cli.doctor.finding import Finding, fail, ok, warn
from omnimind.errors import NoFleetError, OmniMindError


def examine(state: Path) -> Iterator[Finding]:
    """Every finding about the running fleet."""
    try:
        answer = fleet.ask(state, {"cmd": "status"})
    except NoFleetError:
        yield ok("fleet", "does not run")
        return
    except OmniMindError as error:
        yield fail("fleet", str(error), error.help or "omnimind logs orchestrator")
        return
    gateway = answer.get("gateway")
    gateway = gateway if isinstance(gateway, dict) else {}
    yield ok("fleet", f"runs at {gateway.get('endpoint')}")
    if answer.get("version") not in (None, omnimind.__version__):
        detail = f"version {answer['version']}, but {omnimind.__version__} is installed"
        yield warn("fleet", detail, "omnimind down, then omnimind up")
    yield from _gateway(gateway)
    for row in answer.get("servers", []):
        if isinstance(row, dict):
            yield _server(row)


def _gateway(gateway: dict[str, Any]) -> Iterator[Finding]:
    restarts, why = gateway.get("restarts") or 0, gateway.get("reason")
    if gateway.get("state") not in ("ready", "up"):
        detail = f"is {gateway.get('state')}" + (f": {why}" if why else "")
        yield fail("gateway", detail, "omnimind logs gateway")
    elif restarts and why:  # one without a reason was asked for
        detail = f"was restarted {restarts} times, last: {why}"
        yield warn("gateway", detail, "see why: omnimind logs gateway")


def _server(row: dict[str, Any]) -> Finding:
    name, state, why, fix = str(row.get("name")), row.get("state"), row.get("reason"), row.get("fix")
    check = f"running {name}"
    detail = f"{state}" + (f": {why}" if why else "")
    before = f"{fix}; " if fix else ""
    match state:
        case "ready" | "disabled" if not why:
            return ok(check, detail)
        case "ready":
            return warn(check, detail, fix or "mend that, then: omnimind reload")
        case "stopped":
            return ok(check, f"stopped by its operator; omnimind start {name}")
        case "parked":
            last = row.get("last_stderr")
            detail += f" (last line: {last})" if last else ""
            return fail(check, detail, f"{before}omnimind logs {name} says more; then: omnimind start {name}")
        case _:
            return warn(check, detail, f"{before}wait, or see omnimind logs {name}")
