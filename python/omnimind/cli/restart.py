"""`omnimind restart NAME`: restart one server of the running fleet; a parked one starts again."""

from __future__ import annotations

from collections.abc import Sequence

from omnimind import settings
from omnimind.cli import fleet, options, terminal
from omnimind.errors import Exit


def run(argv: Sequence[str]) -> int:
    """Restart a server."""
    parser = options.parser("restart", "Restart one server; a parked one starts again.")
    parser.add_argument("name", metavar="NAME", help="the server")
    options.add_state(parser)
    arguments = parser.parse_args(argv)
    state = settings.state_dir(arguments.state)
    name = fleet.server_name(state, arguments.name)
    fleet.ask(state, {"cmd": "restart", "server": name})
    terminal.say(f"restarting {name}; see omnimind status")
    return Exit.OK
