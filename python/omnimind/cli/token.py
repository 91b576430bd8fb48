"""`omnimind token`: principals and their bearer tokens; a running fleet learns of every change at once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from omnimind import settings, tokens
from omnimind.cli import fleet, options, terminal
from omnimind.errors import Exit, OmniMindError


def run(argv: Sequence[str]) -> int:
    """Run one of add, list, renew, remove."""
    arguments = _parser().parse_args(argv)
    return int(arguments.act(settings.state_dir(arguments.state), arguments))


def _parser() -> argparse.ArgumentParser:
    parser = options.parser("token", "Add, list, renew and remove bearer tokens.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    add = actions.add_parser("add", help="add a principal and print its token once")
    add.add_argument("name", metavar="NAME")
    add.add_argument(
        "--role", choices=tokens.ROLES, default="user", help="operator may also see metrics (user)"
    )
    add.add_argument("--tenant", metavar="T", help="whose limits it shares (default: its name)")
    add.add_argument(
        "--class", dest="class_", choices=tokens.CLASSES, default="normal", help="priority (normal)"
    )
    add.set_defaults(act=_add)
    list_ = actions.add_parser("list", help="list the principals")
    list_.set_defaults(act=_list)
    renew = actions.add_parser("renew", help="give a principal a new token; the old one stops working")
    renew.add_argument("name", metavar="NAME")
    renew.set_defaults(act=_renew)
    remove = actions.add_parser("remove", help="remove a principal; its token stops working")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(act=_remove)
    for action in (add, list_, renew, remove):
        options.add_state(action)
    for action in (add, list_, renew):
        options.add_json(action)
    return parser


def _add(state: Path, arguments: argparse.Namespace) -> int:
    token = tokens.add(
        state, arguments.name, role=arguments.role, tenant=arguments.tenant, class_=arguments.class_
    )
    return _print_once(state, arguments, token)


def _renew(state: Path, arguments: argparse.Namespace) -> int:
    return _print_once(state, arguments, tokens.renew(state, arguments.name))


def _remove(state: Path, arguments: argparse.Namespace) -> int:
    tokens.remove(state, arguments.name)
    terminal.say(f"removed {arguments.name}")
    _reload(state)
    return Exit.OK


def _list(state: Path, arguments: argparse.Namespace) -> int:
    found = tokens.principals(state)
    if arguments.json:
        public = [{k: v for k, v in principal.as_json().items() if k != "sha256"} for principal in found]
        terminal.print_json(public)
        return Exit.OK
    rows = [(principal.name, principal.role, principal.class_, principal.tenant) for principal in found]
    print(terminal.table(("NAME", "ROLE", "CLASS", "TENANT"), rows))
    return Exit.OK


def _print_once(state: Path, arguments: argparse.Namespace, token: str) -> int:
    if arguments.json:
        terminal.print_json({"name": arguments.name, "token": token})
    else:
        print(token, flush=True)
        terminal.say(f"this is the token of {arguments.name}; it is not shown again")
    _reload(state)
    return Exit.OK


def _reload(state: Path) -> None:
    """Tell a running fleet. The change is on disk already, so a deaf fleet is a warning, not a failure."""
    try:
        fleet.tell(state, {"cmd": "reload-tokens"})
    except OmniMindError as error:
        terminal.say(f"warning: the running fleet did not take the change: {error.what}")
