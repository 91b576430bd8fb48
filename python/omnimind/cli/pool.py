"""`omnimind pool`: the connections to every server that is reached over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from omnimind import settings
from omnimind.cli import fleet, limits_view, options, terminal
from omnimind.errors import Exit

_HEAD: Final = (
    "SERVER",
    "HTTP",
    "OPEN",
    "BUSY",
    "IDLE",
    "MAX",
    "IDLE LIMIT",
    "WAITING",
    "OPENED",
    "REUSED",
    "WAITED",
    "REFUSED",
)
CLOSED: Final[dict[str, str]] = {
    "broken": "broken",
    "idle": "rested too long",
    "age": "old",
    "peer": "closed by the server",
    "asked": "the server asked for it",
    "cancelled": "the call on it was given up",
    "surplus": "not needed",
}
"""Why a connection was closed (`rust/gateway/src/pool/tally.rs`)."""
_COLORS: Final[dict[str, str]] = {"0": "dim", "-": "dim"}


def run(argv: Sequence[str]) -> int:
    """Print the pools."""
    parser = options.parser("pool", "Show the connections to servers that are reached over HTTP.")
    options.add_state(parser)
    options.add_json(parser)
    arguments = parser.parse_args(argv)
    state = settings.state_dir(arguments.state)
    found = fleet.ask(state, {"cmd": "pool"}, fleet.GATEWAY_PATIENCE_S)
    found.pop("ok", None)
    if arguments.json:
        terminal.print_json(found)
    elif found["servers"] or found["unused"]:
        print(view(found))
    else:
        print('no server is reached over HTTP: none has a "url" with http or https')
    return Exit.OK


def view(found: Mapping[str, Any]) -> str:
    """One row a server; then what was closed and why, and who is left alone for now."""
    rows = [row for row in found["servers"] if isinstance(row, dict)]
    lines = [terminal.table(_HEAD, [_row(row) for row in rows], _COLORS)]
    for row in rows:
        name, closed = terminal.printable(row["name"]), limits_view.counted(row["closed"], CLOSED)
        if row["ejected_ms"]:
            wait = limits_view.time(row["ejected_ms"])
            lines.append(
                f"  {name}: {terminal.paint('ejected', 'red')}: it failed too often; asked again in {wait}"
            )
        if closed:
            lines.append(f"  {name}: closed {closed}")
    if found["unused"]:
        lines.append(f"not called yet: {', '.join(found['unused'])}")
    return "\n".join(lines)


def _row(row: Mapping[str, Any]) -> list[object]:
    idle = limits_view.time(row["idle_limit_ms"])
    counts = [row[key] for key in ("opened", "reused", "waited", "refused")]
    return [
        row["name"],
        row["http"],
        *(row[key] for key in ("open", "busy", "idle", "max")),
        f"{idle}, learned" if row["learned"] else idle,
        row["waiting"],
        *counts,
    ]
