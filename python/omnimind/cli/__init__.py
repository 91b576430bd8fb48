"""The `omnimind` command: one module a command, imported only when that command runs.

Rule: this module imports next to nothing, so that help is there at once; every error a person meets is
`error[OMxxxx]` with a help line on stderr, never a traceback (`OMNIMIND_DEBUG=1` shows it). Data goes to
stdout, everything else to stderr.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Final

from omnimind.errors import Exit, OmniMindError, UsageError, closest

COMMANDS: Final[dict[str, str]] = {
    "up": "start the fleet in the foreground",
    "serve": "serve one built-in server on its own port",
    "status": "show the servers of the running fleet",
    "down": "stop the running fleet, or clear up what earlier runs left",
    "start": "start one server that was stopped or is parked",
    "stop": "stop one server",
    "restart": "replace processes by fresh ones, without a failed call",
    "reload": "take a changed configuration over",
    "monitor": "show how long calls take, by the kernel's clock or the gateway's",
    "logs": "show what a server wrote to stderr",
    "token": "add, list, renew and remove bearer tokens",
    "config": "check the configuration, print its schema or its path",
    "list": "list the tools that the running fleet offers",
    "call": "call one tool of the running fleet",
    "tokens": "say what lists of tools cost a model in tokens",
    "cache": "show, empty and question the gateway's cache",
    "pool": "show the connections to servers over HTTP",
    "compress": "say what is in a file in fewer tokens",
    "expand": "print the original of what was cut, or a part of it",
    "stress": "send many calls by the clock, and say how long they took",
    "bench": "measure a fleet by three clocks, and say what follows",
    "connect-info": "print the endpoint, the token and an entry for clients",
    "doctor": "check this machine, the ports and the state folder",
    "systemd": "install, remove and show the fleet's systemd user units",
    "explain": "say what an error code means",
    "version": "print the version",
}

_MODULES: Final[dict[str, str]] = {"list": "list_tools", "connect-info": "connect_info"}
"""Commands whose module has another name; a submodule called `list` would hide the built-in here."""

_USAGE = "usage: omnimind COMMAND [OPTIONS]"


def main(argv: Sequence[str]) -> int:
    """Run one command; the exit code is one of `errors.Exit`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(list(argv))
        sys.stdout.flush()
        return code
    except OmniMindError as error:
        return _report(error)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILURE
    except Exception as fault:
        if os.environ.get("OMNIMIND_DEBUG"):
            raise
        return _report(_unexpected(fault))


def overview() -> str:
    """What `omnimind --help` prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "OmniMind keeps a fleet of MCP servers alive, fast and cheap in tokens, behind one endpoint.",
            "",
            _USAGE,
            "",
            "commands:",
            *lines,
            "",
            "omnimind COMMAND --help says more. Exit codes: 0 done, 1 failed, 2 wrong usage,",
            "3 no fleet runs, 4 the configuration is invalid, 5 the tool answered with an error.",
        ]
    )


def _run(argv: list[str]) -> int:
    first = argv[0] if argv else "--help"
    if first in ("-h", "--help", "help"):
        print(overview())
        return Exit.OK
    if first in ("-V", "--version"):
        first = "version"
    if first not in COMMANDS:
        raise _no_command(first)
    command = import_module(f"omnimind.cli.{_MODULES.get(first, first)}")
    return int(command.run(argv[1:]))


def _no_command(word: str) -> UsageError:
    what = (
        f"the option {word} stands before the command"
        if word.startswith("-")
        else f"there is no command {word}"
    )
    near = closest(word, tuple(COMMANDS))
    return UsageError(
        "OM0100", what, help=f"did you mean omnimind {near}?" if near else "list them: omnimind --help"
    )


def _report(error: OmniMindError) -> int:
    from omnimind.cli import terminal

    sys.stdout.flush()
    print(error.render(terminal.has_color(sys.stderr)), file=sys.stderr)
    return error.exit_code


def _unexpected(fault: Exception) -> OmniMindError:
    return OmniMindError(
        "OM0500",
        f"something unexpected happened: {type(fault).__name__}: {fault}",
        help="run it again with OMNIMIND_DEBUG=1 to see where, and report that",
    )
