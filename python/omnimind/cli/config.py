"""`omnimind config`: check a configuration, print its JSON Schema, or say which file is read."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from omnimind import settings
from omnimind.cli import options, terminal
from omnimind.errors import Exit
from omnimind.settings.load import user_config_path

SCHEMA_FILE = Path(__file__).parent.parent / "mcp_servers.schema.json"


def run(argv: Sequence[str]) -> int:
    """Run one of check, schema, path."""
    parser = options.parser("config", "Check the configuration, print its schema or its path.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser("check", help="read a file as a fleet would; exit code 4 if it is invalid")
    check.add_argument(
        "file", metavar="FILE", nargs="?", type=Path, help="default: the file that up would read"
    )
    options.add_json(check)
    check.set_defaults(act=_check)
    schema = actions.add_parser("schema", help="print the JSON Schema of the file")
    schema.set_defaults(act=_schema)
    path = actions.add_parser("path", help="print which file is read")
    path.set_defaults(act=_path)
    arguments = parser.parse_args(argv)
    return int(arguments.act(arguments))


def _check(arguments: argparse.Namespace) -> int:
    found = settings.load(arguments.file)
    if arguments.json:
        terminal.print_json(
            {
                "file": str(found.config_path) if found.config_path else None,
                "servers": [
                    {
                        "name": server.name,
                        "kind": server.kind,
                        "tier": server.tier,
                        "port": server.port,
                        "enabled": server.enabled,
                    }
                    for server in found.servers
                ],
                "notes": list(found.notes),
            }
        )
        return Exit.OK
    rows = [(s.name, s.kind, s.tier, s.port, "yes" if s.enabled else "no") for s in found.servers]
    print(terminal.table(("NAME", "KIND", "TIER", "PORT", "ENABLED"), rows))
    for note in found.notes:
        terminal.say(f"note: {terminal.printable(note)}")
    terminal.say(f"ok: {found.config_path or 'no file; the built-in servers run'}")
    return Exit.OK


def _schema(_: argparse.Namespace) -> int:
    print(SCHEMA_FILE.read_text(encoding="utf-8"), end="")
    return Exit.OK


def _path(_: argparse.Namespace) -> int:
    print(user_config_path())
    if settings.config_path() is None:
        terminal.say("note: there is no such file; the built-in servers run without one")
    return Exit.OK
