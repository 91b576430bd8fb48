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
    if arguments.json:
        terminal.print_json(answer)
        return Exit.OK
    rows = [row for row in answer.get("servers", []) if isinstance(row, dict)]
    cells = [
        [row.get(key) for key in ("name", "state", "tier", "kind", "pid", "restarts", "port")] for row in rows
    ]
    print(terminal.table(("NAME", "STATE", "TIER", "KIND", "PID", "RESTARTS", "PORT"), cells, _COLORS))
    for row in rows:
        _explain(row)
    _print_gateway(answer.get("gateway"))
    return Exit.OK


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
