"""`python -m omnimind.servers NAME`: one built-in server, started without the orchestrator's zygote.

    python -m omnimind.servers memory --stdio --state DIR -- ARGS
    python -m omnimind.servers memory --listen-fd N --key-fd M [--pulse-fd P] --state DIR -- ARGS

The first speaks MCP on its standard streams, to one user. The second serves an inherited, listening Unix
socket; the instance key (32 bytes, or 64 hex characters) is read from a pipe, so that it stands in no
command line and no environment.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

from omnimind.servers import names


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and serve until the client goes away or SIGTERM."""
    given = sys.argv[1:] if argv is None else argv
    at = given.index("--") if "--" in given else len(given)
    parser = _parser()
    options = parser.parse_args(given[:at])
    args = given[at + 1 :]
    if options.stdio == (options.listen_fd is not None) or (options.listen_fd is None) != (
        options.key_fd is None
    ):
        parser.error("say either --stdio, or both --listen-fd and --key-fd")
    from omnimind.servers import stdio, worker
    from omnimind.servers.problem import Problem
    from omnimind.servers.pulse import Pulse

    try:
        if options.stdio:
            stdio.run(options.name, options.state, args)
        else:
            listener = socket.socket(fileno=options.listen_fd)
            pulse = None if options.pulse_fd is None else Pulse(options.pulse_fd, options.heartbeat_ms)
            worker.run(options.name, listener, read_key(options.key_fd), options.state, args, pulse)
    except (KeyError, ValueError, Problem) as refusal:
        parser.error(str(refusal.args[0]))
    return 0


def read_key(descriptor: int) -> bytes:
    """The instance key from a pipe, raw or in hex; the pipe is closed."""
    with os.fdopen(descriptor, "rb") as pipe:
        said = pipe.read(66)
    return said if len(said) == 32 else bytes.fromhex(said.decode("ascii"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m omnimind.servers", description="Run one built-in server."
    )
    parser.add_argument("name", help=f"one of: {', '.join(names())}")
    parser.add_argument("--state", type=Path, required=True, help="the state folder")
    parser.add_argument("--listen-fd", type=int, help="an inherited, listening Unix socket")
    parser.add_argument("--key-fd", type=int, help="an inherited pipe with the instance key")
    parser.add_argument("--pulse-fd", type=int, help="an inherited pipe that takes the heartbeat")
    parser.add_argument("--heartbeat-ms", type=int, default=1000, help="how often it beats")
    parser.add_argument("--stdio", action="store_true", help="speak MCP on the standard streams instead")
    parser.epilog = "What follows -- are the server's own arguments."
    return parser


if __name__ == "__main__":
    sys.exit(main())
