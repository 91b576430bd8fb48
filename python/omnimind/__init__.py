"""OmniMind keeps a fleet of MCP servers alive, fast and cheap in tokens, behind one endpoint.

Importing this package costs next to nothing; the orchestrator and every command depend on that.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` would cost every process that imports this package
if TYPE_CHECKING:
    import os
    from typing import Any

    from mcp.server import MCPServer
    from mcp.server.lowlevel import Server

    from omnimind.cache import Cache

__all__ = ["Cache", "__version__", "serve"]


def serve(
    server: MCPServer | Server[Any],
    *,
    port: int = 8000,
    host: str = "127.0.0.1",
    name: str | None = None,
    state: str | os.PathLike[str] | None = None,
    auth: bool = True,
    json_logs: bool = False,
) -> None:
    """Serve your own `mcp` SDK server at `http://127.0.0.1:8000/mcp`, with OmniMind's front before it.

        from mcp.server import MCPServer
        import omnimind

        server = MCPServer("weather")
        ...
        omnimind.serve(server, port=8000)

    The front is the gateway's: both protocol eras, bearer tokens, Host and Origin checks, limits on every
    request, streams and cancellation, in Rust on threads of its own. Your tools run in this process, on one
    asyncio loop, in the main thread. The call blocks; SIGTERM and Ctrl-C stop it: no new requests, what is
    under way has some seconds to finish, and it returns. A tool that even then does not end, such as a thread
    stuck in a system call, ends with the process; a second Ctrl-C ends it at once.

    `port` 0 takes any free one. `host` must be a loopback address; put a TLS proxy in front for others.
    Tokens are those of the state folder (`omnimind token add NAME`; the first run makes one for this machine,
    in the file `token` there). `state` moves that folder. `auth=False` lets everybody on this machine in.
    Logging is left alone if you have set it up; else lines go to stderr, as JSON with `json_logs` or under
    systemd. As a systemd service of `Type=notify` it says when it is ready, stopping and (`WatchdogSec=`)
    alive, and takes the socket that a socket unit passes.

    Raises `omnimind.errors.OmniMindError` if the port is held, the state folder cannot be used, or the server
    does not answer.
    """
    from importlib import import_module
    from pathlib import Path

    # By name: what is imported here would count as imported by everybody who asks for the version.
    front = import_module("omnimind.serving.anyones")
    front.serve(server, port, host, name, None if state is None else Path(state), auth, json_logs)


def __getattr__(name: str) -> Any:
    if name == "Cache":
        from importlib import import_module

        return import_module("omnimind.cache").Cache
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("omnimind")
        except PackageNotFoundError:
            return "0+unknown"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
