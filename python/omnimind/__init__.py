"""OmniMind keeps a fleet of MCP servers alive, fast and cheap in tokens, behind one endpoint.

Importing this package costs next to nothing; the orchestrator and every command depend on that.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` would cost every process that imports this package
if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
    from typing import Any, ParamSpec, TypeVar

    from mcp.server import MCPServer
    from mcp.server.lowlevel import Server

    from omnimind.cache import Cache
    from omnimind.compression import Compressor
    from omnimind.limits import RateLimiter
    from omnimind.pool import ConnectionPool

    T = TypeVar("T")
    P = ParamSpec("P")

__all__ = ["Cache", "Compressor", "ConnectionPool", "RateLimiter", "__version__", "serve", "stream"]


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


def stream(
    *,
    page_items: int = 100,
    idle_s: float = 30.0,
    cursor_s: float = 24 * 3600,
    max_live: int = 64,
    key: bytes | None = None,
    resume: Callable[[Any], Any] | None = None,
    principal: Callable[[], str] | None = None,
) -> Callable[
    [Callable[P, AsyncIterable[T] | Iterable[T] | Awaitable[Iterable[T]]]], Callable[..., Awaitable[Any]]
]:
    """Make a tool or a resource of an `mcp` SDK server answer a long list a page at a time.

        @server.tool()
        @omnimind.stream()
        async def rows(table: str) -> AsyncIterator[Row]:
            async for row in database.select(table):
                yield row

    The tool answers `{"items": [...], "cursor": ...}` with the first `page_items`, and has one more parameter,
    `cursor`, to be called with for the next page. Items are taken only when a page is asked for, and one ahead, which
    tells whether there is more. The function runs in one task until its list ends, nobody has asked for `idle_s`, a
    client goes away while it waits for a page, or `max_live` others have begun; then its iterator is closed. Functions
    and iterators that are not asynchronous run in a thread of their own.

    A cursor is good for `cursor_s`, for the same principal, function and arguments. If its run is over, the function is
    run again and what was given is skipped; or it goes on after the last item itself: `resume` makes a short plain
    value of an item, and the function gets that as its parameter `after`, None at first. `key`, of 32 bytes or more,
    signs cursors so that they outlive this process. `principal` tells who calls, where one server has many callers.
    """
    from importlib import import_module

    settings: dict[str, Any] = {
        "page_items": page_items,
        "idle_s": idle_s,
        "cursor_s": cursor_s,
        "max_live": max_live,
        "key": key,
        "resume": resume,
    }
    if principal is not None:
        settings["principal"] = principal
    decorator: Callable[..., Any] = import_module("omnimind.servers.streaming").stream(**settings)
    return decorator


def __getattr__(name: str) -> Any:
    if name == "Cache":
        from importlib import import_module

        return import_module("omnimind.cache").Cache
    if name == "Compressor":
        from importlib import import_module

        return import_module("omnimind.compression").Compressor
    if name == "ConnectionPool":
        from importlib import import_module

        return import_module("omnimind.pool").ConnectionPool
    if name == "RateLimiter":
        from importlib import import_module

        return import_module("omnimind.limits").RateLimiter
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("omnimind")
        except PackageNotFoundError:
            return "0+unknown"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
