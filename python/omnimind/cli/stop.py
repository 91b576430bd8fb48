"""`omnimind stop NAME`: stop one server until `omnimind start NAME`; without a name, what `down` does."""

from __future__ import annotations

from collections.abc import Sequence

from omnimind import settings
from omnimind.cli import down, fleet, options, terminal
from omnimind.errors import Exit


def run(argv: Sequence[str]) -> int:
    """Stop a server, or all."""
    parser = options.parser("stop", "Stop one server, or, without a name, the fleet (as omnimind down).")
    parser.add_argument("name", metavar="NAME", nargs="?", help="the server")
    options.add_state(parser)
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=options.count,
        default=down.DEFAULT_TIMEOUT_S,
        help="how long to wait",
    )
    arguments = parser.parse_args(argv)
    state = settings.state_dir(arguments.state)
    if arguments.name is None:
        down.stop(state, arguments.timeout)
        terminal.say("stopped")
        return Exit.OK
    name = fleet.server_name(state, arguments.name)
    fleet.ask(state, {"cmd": "stop", "server": name}, timeout_s=float(arguments.timeout))
    terminal.say(f"stopped {name}; the others go on. Start it again: omnimind start {name}")
    return Exit.OK
