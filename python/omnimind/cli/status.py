"""`omnimind status`: the servers of the running fleet."""

from __future__ import annotations

from collections.abc import Sequence
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
    options.add_state(parser)
    options.add_json(parser)
    arguments = parser.parse_args(argv)
    state = settings.state_dir(arguments.state)
    answer = fleet.ask(state, {"cmd": "status"})
    answer.pop("ok", None)
    for row in _rows(answer):
        row["rss_bytes"] = _rss_bytes(row.get("pid"))
    if arguments.json:
        terminal.print_json(answer)
        return Exit.OK
    rows = _rows(answer)
    keys = ("name", "state", "tier", "kind", "pid", "memory", "restarts", "port")
    cells = [[row.get(key) for key in keys] for row in ({**row, "memory": _memory(row)} for row in rows)]
    print(terminal.table([key.upper() for key in keys], cells, _COLORS))
    for row in rows:
        _explain(row)
    _print_gateway(answer.get("gateway"))
    return Exit.OK


def _rows(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in answer.get("servers", []) if isinstance(row, dict)]


def _rss_bytes(pid: object) -> int | None:
    """The resident memory of a server's process; None without a process to ask."""
    if not isinstance(pid, int):
        return None
    import psutil

    try:
        rss: int = psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return None
    return rss


def _memory(row: dict[str, Any]) -> str | None:
    rss_bytes = row["rss_bytes"]
    return None if rss_bytes is None else f"{rss_bytes / 2**20:.0f} MB"


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


def _explain(row: dict[str, Any]) -> None:
    """Why a server is not ready, with the last words of its process."""
    if row.get("state") == "ready" and not row.get("reason"):
        return
    for word, text in (("why", row.get("reason")), ("last line", row.get("last_stderr"))):
        if text:
            print(f"  {row.get('name')}: {word}: {terminal.printable(str(text))}")
