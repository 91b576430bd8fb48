"""`omnimind start NAME`: start one server of the running fleet that was stopped or is parked."""

from __future__ import annotations

from collections.abc import Sequence

from omnimind import settings
from omnimind.cli import fleet, options, terminal
from omnimind.errors import Exit

PATIENCE_S = 60.0


def run(argv: Sequence[str]) -> int:
    """Start a server and wait until that has come to something."""
    parser = options.parser("start", "Start one server that was stopped or is parked.")
    parser.add_argument("name", metavar="NAME", help="the server")
    options.add_state(parser)
    arguments = parser.parse_args(argv)
    state = settings.state_dir(arguments.state)
    name = fleet.server_name(state, arguments.name)
    answer = fleet.ask(state, {"cmd": "start", "server": name}, timeout_s=PATIENCE_S)
    if answer.get("state") in ("ready", "degraded"):
        terminal.say(f"{name} is ready")
        return Exit.OK
    why = f": {terminal.printable(str(answer['reason']))}" if answer.get("reason") else ""
    terminal.say(f"{name} is {answer.get('state', 'starting')}{why}")
    return Exit.FAILURE
