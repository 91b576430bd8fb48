"""`omnimind connect-info`: the endpoint of the running fleet, the token, an entry ready to paste.

The token is shown on a terminal only, or when asked for; elsewhere its file is named and the entry refers
to the environment variable OMNIMIND_TOKEN, which Claude Code expands by itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from omnimind import settings, tokens
from omnimind.cli import connection, fleet, options, terminal
from omnimind.errors import Exit


def run(argv: Sequence[str]) -> int:
    """Print how to connect."""
    parser = options.parser("connect-info", "Print the endpoint, the token and an entry for clients.")
    parser.add_argument(
        "--show-token", action="store_true", help="print the token also where there is no terminal"
    )
    options.add_state(parser)
    options.add_json(parser)
    arguments = parser.parse_args(argv)
    state = settings.state_dir(arguments.state)
    record = fleet.need(state)
    shown = arguments.show_token or (sys.stdout.isatty() and not arguments.json)
    if arguments.json:
        url = connection.endpoint(record)
        token = tokens.local_token(state) if shown and record.token_file else None
        entry = connection.entry(url, token or (_reference() if record.token_file else None))
        terminal.print_json(
            {"endpoint": url, "servers": record.servers, "token_file": record.token_file, "entry": entry}
        )
    else:
        print(text(state, record, shown))
    return Exit.OK


def text(state: Path, record: fleet.Record, show_token: bool) -> str:
    """The lines for people; `omnimind up` prints them too."""
    url = connection.endpoint(record)
    token = None
    lines = [f"endpoint    {url}"]
    if not record.token_file:
        lines.append("token       none is needed (--no-auth)")
    elif show_token:
        token = tokens.local_token(state)
        lines.append(f"token       {token}")
    else:
        token = _reference()
        lines.append(f"token file  {record.token_file}")
    entry = json.dumps(connection.entry(url, token), indent=2)
    return "\n".join([*lines, "", "entry for Claude Code, Cursor and other clients:", entry])


def _reference() -> str:
    return f"${{{connection.TOKEN_VARIABLE}}}"
