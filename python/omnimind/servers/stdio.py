"""A built-in server on its standard streams, for the one client that started it.

It gives up what it does not need as it does in a fleet. Its principal is `local`, so it works on the same data as
the fleet does for whoever is alone on the machine; two processes may do so at once.
"""

from __future__ import annotations

from pathlib import Path

from omnimind.servers import ServerContext, build, sandbox, worker


def run(name: str, state_dir: Path, args: list[str]) -> None:
    """Serve until the client closes our input. Raises KeyError, ValueError or Problem if it cannot be built."""
    worker.log_to_stderr()
    server = build(ServerContext(name, state_dir, args))
    sandbox.confine(name, state_dir, args)
    server.run("stdio")
