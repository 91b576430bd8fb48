"""`omnimind reload`: have the running fleet read its configuration again, and say what that changed.

A file with a mistake changes nothing: the error is the fleet's own, with file, line and key.
"""

from __future__ import annotations

from collections.abc import Sequence

from omnimind import settings
from omnimind.cli import fleet, options, terminal
from omnimind.errors import Exit

PATIENCE_S = 600.0


def run(argv: Sequence[str]) -> int:
    """Reload."""
    parser = options.parser("reload", "Take a changed configuration over while the fleet runs.")
    options.add_state(parser)
    options.add_json(parser)
    arguments = parser.parse_args(argv)
    state = settings.state_dir(arguments.state)
    answer = fleet.ask(state, {"cmd": "reload"}, timeout_s=PATIENCE_S)
    answer.pop("ok", None)
    kept: dict[str, str] = answer.get("kept") or {}
    if arguments.json:
        terminal.print_json(answer)
    else:
        terminal.say(f"reloaded: {terminal.printable(str(answer.get('text', '')))}")
        for name in kept:
            terminal.say(f"  help: see why {name} was not renewed: omnimind logs {name}")
    return Exit.FAILURE if kept else Exit.OK
