"""Options that commands share, and a parser whose errors look like all others."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn

from omnimind.errors import UsageError


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `UsageError`."""

    def error(self, message: str) -> NoReturn:
        """Called by argparse for every mistake on the command line."""
        raise UsageError("OM0100", message, help=f"see: {self.prog} --help")


def parser(command: str, description: str) -> Parser:
    """The parser of one command."""
    return Parser(prog=f"omnimind {command}", description=description, allow_abbrev=False)


def add_state(to: Any) -> None:
    """`--state DIR`, for every command that speaks with a fleet or its folder."""
    to.add_argument(
        "--state", metavar="DIR", type=Path, help="the state folder (default: the user's, or OMNIMIND_STATE)"
    )


def add_config(to: Any) -> None:
    """`--config FILE`."""
    to.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help="the configuration (default: mcp_servers.json in the user's folder)",
    )


def add_json(to: Any) -> None:
    """`--json`."""
    to.add_argument("--json", action="store_true", help="print JSON")


def port(text: str) -> int:
    """A port number on the command line."""
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: a number from 0 (any free one) to 65535")
    return int(text)


def count(text: str) -> int:
    """A number that is not negative."""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number that is 0 or more")
    return int(text)
