"""`omnimind restart`: fresh processes, for one server, the gateway or all, without a failed call.

The successor answers before the old process is let go. `--now` ends the old one at once instead, which is
what a server that hangs may need. A parked server starts again either way.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omnimind import settings
from omnimind.cli import fleet, options, terminal
from omnimind.errors import Exit, UsageError

GATEWAY = "gateway"
PATIENCE_S = 600.0


def run(argv: Sequence[str]) -> int:
    """Restart a server, the gateway, or all in turn."""
    parser = options.parser("restart", "Replace processes by fresh ones, without a failed call.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("name", metavar="NAME", nargs="?", help="a server, or gateway")
    what.add_argument("--all", action="store_true", help="every server in turn, then the gateway")
    parser.add_argument("--now", action="store_true", help="end the old process at once: calls in it fail")
    options.add_state(parser)
    options.add_json(parser)
    arguments = parser.parse_args(argv)
    state = settings.state_dir(arguments.state)
    wanted = arguments.name
    if wanted is not None and wanted != GATEWAY:
        wanted = fleet.server_name(state, wanted)
    if arguments.now:
        return _at_once(state, wanted, arguments.json)
    if not arguments.json:
        terminal.say(f"renewing {wanted or 'all servers and the gateway'}")
    answer = fleet.ask(state, {"cmd": "roll", "server": wanted}, timeout_s=PATIENCE_S)
    return _report(answer, arguments.json)


def _at_once(state: Path, wanted: str | None, as_json: bool) -> int:
    if wanted is None or wanted == GATEWAY:
        raise UsageError(
            "OM0100", "--now is for one server", help="restart without it, or name a server: omnimind status"
        )
    fleet.ask(state, {"cmd": "restart", "server": wanted})
    if as_json:
        terminal.print_json({"restarting": wanted})
    else:
        terminal.say(f"restarting {wanted}; see omnimind status")
    return Exit.OK


def _report(answer: dict[str, Any], as_json: bool) -> int:
    kept: dict[str, str] = answer.get("kept") or {}
    if as_json:
        terminal.print_json({"renewed": answer.get("renewed", []), "kept": kept})
    else:
        for name in answer.get("renewed", []):
            terminal.say(f"  {name} is renewed")
        for name, why in kept.items():
            terminal.say(f"  {name} is not: {terminal.printable(str(why))}; help: omnimind logs {name}")
    return Exit.FAILURE if kept else Exit.OK
