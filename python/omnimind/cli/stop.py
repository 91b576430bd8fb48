"""`omnimind stop`: stop the running fleet and wait until it is gone."""

from __future__ import annotations

import time
from collections.abc import Sequence

from omnimind import settings
from omnimind.cli import fleet, options, terminal
from omnimind.errors import Exit, FleetError


def run(argv: Sequence[str]) -> int:
    """Stop the fleet."""
    parser = options.parser("stop", "Stop the running fleet and wait until it is gone.")
    options.add_state(parser)
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=options.count, default=60, help="how long to wait"
    )
    arguments = parser.parse_args(argv)
    state = settings.state_dir(arguments.state)
    guard = fleet.holder(state)
    fleet.ask(state, {"cmd": "stop"})
    until = time.monotonic() + arguments.timeout
    while guard is not None and fleet.holder(state) == guard:
        if time.monotonic() > until:
            raise FleetError(
                "OM0204",
                f"the fleet still runs after {arguments.timeout} s",
                help="see what it waits for: omnimind status",
            )
        time.sleep(0.05)
    terminal.say("stopped")
    return Exit.OK
