"""`omnimind list`: the tools that the running fleet offers on its aggregate endpoint."""

from __future__ import annotations

from collections.abc import Sequence

from omnimind import settings
from omnimind.cli import connection, options, terminal
from omnimind.errors import Exit


def run(argv: Sequence[str]) -> int:
    """Print the tools."""
    parser = options.parser("list", "List the tools that the running fleet offers.")
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=options.count, default=60, help="give up after (60)"
    )
    options.add_state(parser)
    options.add_json(parser)
    arguments = parser.parse_args(argv)
    with connection.client(settings.state_dir(arguments.state), arguments.timeout, tools="whole") as client:
        tools = client.tools()
    if arguments.json:
        terminal.print_json(tools)
        return Exit.OK
    rows = [(tool.get("name"), _first_line(tool.get("description") or tool.get("title"))) for tool in tools]
    print(terminal.table(("TOOL", "DESCRIPTION"), rows))
    return Exit.OK


def _first_line(text: object) -> str:
    line = str(text or "").strip().partition("\n")[0]
    return line if len(line) <= 90 else line[:89] + "…"
