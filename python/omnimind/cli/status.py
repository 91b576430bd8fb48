"""`omnimind status`: the servers of the running fleet; `--limits` and `--health`: what the gateway lets through."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from omnimind import settings
from omnimind.cli import fleet, options, terminal
from omnimind.errors import Exit

_COLORS: Final[dict[str, str]] = {
    "ready": "green",
    "starting": "yellow",
    "degraded": "yellow",
    "backoff": "yellow",
    "draining": "yellow",
    "parked": "red",
    "stopped": "dim",
    "disabled": "dim",
}


def run(argv: Sequence[str]) -> int:
    """Print the fleet's state."""
    parser = options.parser("status", "Show the servers of the running fleet.")
    views = parser.add_mutually_exclusive_group()
    views.add_argument(
        "--limits",
        action="store_true",
        help="instead: how many calls run and wait at each server, and what is refused",
    )
    views.add_argument("--health", action="store_true", help="instead: what the limits know of this machine")
    options.add_state(parser)
    options.add_json(parser)
    arguments = parser.parse_args(argv)
    state = settings.state_dir(arguments.state)
    if arguments.limits or arguments.health:
        return _limits(state, arguments)
    answer = fleet.ask(state, {"cmd": "status"})
    answer.pop("ok", None)
    for row in _rows(answer):
        row["rss_bytes"], row["cpu_s"] = _usage(row.get("pid"))
    if arguments.json:
        terminal.print_json(answer)
        return Exit.OK
    rows = _rows(answer)
    keys = ("name", "state", "tier", "kind", "pid", "memory", "cpu", "restarts", "port")
    cells = [[{**row, **_rendered(row)}.get(key) for key in keys] for row in rows]
    print(terminal.table([key.upper() for key in keys], cells, _COLORS))
    for row in rows:
        _explain(row)
    _print_gateway(answer.get("gateway"))
    _print_logs(answer.get("logs"))
    return Exit.OK


def _limits(state: Path, arguments: argparse.Namespace) -> int:
    """One of the views of the gateway's limits; as JSON whatever the gateway says."""
    from omnimind.cli import limits_view

    found = fleet.ask_gateway(state, {"cmd": "limits"}, "limits")
    if arguments.json:
        terminal.print_json(found)
    else:
        print(limits_view.health(found) if arguments.health else limits_view.limits(found))
    return Exit.OK


def _rows(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in answer.get("servers", []) if isinstance(row, dict)]


def _usage(pid: object) -> tuple[int | None, float | None]:
    """Resident memory, and CPU seconds used since the start, of a server's process; None without one."""
    if not isinstance(pid, int):
        return None, None
    import psutil

    try:
        process = psutil.Process(pid)
        times = process.cpu_times()
        return process.memory_info().rss, round(times.user + times.system, 2)
    except psutil.Error:
        return None, None


def _rendered(row: dict[str, Any]) -> dict[str, str | None]:
    """Memory and CPU time as a person reads them."""
    rss_bytes, cpu_s = row["rss_bytes"], row["cpu_s"]
    return {
        "kind": "unit" if row.get("owner") == "systemd" else row.get("kind"),
        "memory": None if rss_bytes is None else f"{rss_bytes / 2**20:.0f} MB",
        "cpu": None if cpu_s is None else f"{cpu_s:.1f} s",
    }


def _print_gateway(gateway: object) -> None:
    if not isinstance(gateway, dict):
        return
    state = str(gateway.get("state"))
    words = [
        f"\ngateway {terminal.paint(state, _COLORS.get(state, 'green'))}",
        f"endpoint {gateway.get('endpoint')}",
    ]
    words += [f"restarts {gateway['restarts']}"] if gateway.get("restarts") else []
    words += [f"why: {terminal.printable(str(gateway['reason']))}"] if gateway.get("reason") else []
    print(", ".join(words))


def _print_logs(trouble: object) -> None:
    """Log lines that could not be written; nothing as long as all could."""
    if not isinstance(trouble, dict):
        return
    names = ", ".join(str(name) for name in trouble.get("logs", ()))
    why = trouble.get("why")
    state = f"still so: {terminal.printable(str(why))}" if why else "over by now"
    print(f"logs: {trouble.get('lost_lines')} lines lost ({names}), {state}")


def _explain(row: dict[str, Any]) -> None:
    """Why a server is not ready and what helps, when it is tried again, and the last words of its process."""
    if row.get("state") == "ready" and not row.get("reason"):
        return
    lines = (
        ("why", row.get("reason")),
        ("help", row.get("fix")),
        ("next start", _retry(row)),
        ("last line", row.get("last_stderr")),
    )
    for word, text in lines:
        if text:
            print(f"  {row.get('name')}: {word}: {terminal.printable(str(text))}")


def _retry(row: dict[str, Any]) -> str | None:
    name, retry_s = row.get("name"), row.get("retry_after_s")
    match row.get("state"):
        case "parked":
            when = f"in {retry_s:.0f} s, or when it is called" if retry_s is not None else "when it is called"
            return f"{when}; at once: omnimind start {name}"
        case "backoff" if retry_s is not None:
            return f"in {retry_s:.1f} s"
        case "stopped":
            return f"omnimind start {name}"
    return None
