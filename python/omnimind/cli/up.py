"""`omnimind up`: the fleet in the foreground.

The settings are read here first, so that a mistake is said before anything starts. Then this process becomes
the fleet's guard (exec: same pid, same terminal, Ctrl-C stops all), and a small child of it waits until
the fleet is ready, prints how to connect, and ends.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omnimind import settings
from omnimind.cli import fleet, options, terminal

_POLL_S = 0.05


def run(argv: Sequence[str]) -> int:
    """Start the fleet; does not return unless that fails."""
    parser = options.parser("up", "Start the fleet in the foreground; Ctrl-C stops it.")
    options.add_config(parser)
    options.add_state(parser)
    parser.add_argument("--port", type=options.port, help="the gateway's port; 0 takes any free one (4320)")
    parser.add_argument(
        "--no-auth", action="store_true", help="accept calls from this machine without a token"
    )
    parser.add_argument(
        "--max-restart-attempts",
        metavar="N",
        type=options.count,
        help="crashes in the window that park a server (3)",
    )
    parser.add_argument(
        "--give-up",
        choices=("park", "exit"),
        help="park a server that keeps failing, or end the fleet with code 1 (park)",
    )
    arguments = parser.parse_args(argv)
    found = settings.load(
        arguments.config,
        arguments.state,
        port=arguments.port,
        auth=False if arguments.no_auth else None,
        max_restart_attempts=arguments.max_restart_attempts,
        give_up=arguments.give_up,
    )
    for note in found.notes:
        terminal.say(f"note: {terminal.printable(note)}")
    _say_if_untraced()
    command = orchestrator_command(arguments)
    sys.stdout.flush()
    guard = os.getpid()
    if os.fork() == 0:
        _announce_and_exit(found.state_dir, guard)
    os.execv(command[0], command)  # noqa: S606


def _say_if_untraced() -> None:
    """Traces that are asked for and cannot be had: that is said, and no reason not to start."""
    if any(name.startswith("OTEL_") for name in os.environ):
        from omnimind.gateway import exporting

        exporting.asked(os.environ)


def orchestrator_command(arguments: Any) -> list[str]:
    """The command line of the fleet's guard."""
    from omnimind.orchestrator.guard import import_flags

    command = [sys.executable, *import_flags(), "-m", "omnimind.orchestrator"]
    for option in ("config", "state", "port", "max_restart_attempts", "give_up"):
        value = getattr(arguments, option)
        if value is not None:
            command.append(f"--{option.replace('_', '-')}={value}")
    return [*command, "--no-auth"] if arguments.no_auth else command


def _announce_and_exit(state: Path, guard: int) -> None:
    """In the child: say how to connect once the fleet is ready; end with the guard."""
    code = 0
    try:
        if wait_until_ready(state, guard):
            from omnimind.cli import connect_info

            record = fleet.need(state)
            print(connect_info.text(state, record, sys.stdout.isatty()), flush=True)
    except BaseException:
        code = 1
    finally:
        os._exit(code)


def wait_until_ready(state: Path, guard: int) -> bool:
    """True once the fleet of this guard is ready; False when the guard is gone."""
    while os.getppid() == guard:
        record = fleet.find(state)
        if record is not None and record.pid == guard:
            return True
        time.sleep(_POLL_S)
    return False
