"""A server asked as the gateway asks it: on a connection that is believed, with the stamps it puts on answers."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import anyio
from mcp import Client
from mcp.server import MCPServer
from mcp.types import CallToolResult

from omnimind.servers import depends, principal

Stamps = list[dict[str, Any]]
Ask = Callable[..., tuple[CallToolResult, Stamps | None]]


def ask_keyed(server: MCPServer, work: Callable[[Client], Any], *, keyed: bool = True) -> Any:
    """What `work` makes of a client whose connection opened with the key."""

    async def run() -> Any:
        if keyed:
            principal.trust_connection()
        async with Client(server) as client:
            return await work(client)

    return copy_context().run(anyio.run, run)


async def call_as(
    client: Client, tool: str, arguments: dict[str, Any], who: str = "ann", role: str = "user"
) -> tuple[CallToolResult, Stamps | None]:
    """One call, and the stamps of its answer."""
    meta: Any = {principal.META_KEY: who, principal.ROLE_KEY: role}
    result = await client.call_tool(tool, arguments, meta=meta)
    return result, (result.meta or {}).get(depends.META_KEY)


def stamps_of(
    server: MCPServer, tool: str, *, who: str = "ann", role: str = "user", **arguments: Any
) -> Stamps | None:
    """The stamps of an answer; it must be one."""
    result, stamps = ask_keyed(server, lambda client: call_as(client, tool, arguments, who, role))
    assert not result.is_error, result.content
    return None if stamps is None else list(stamps)


def holds(stamps: Stamps) -> bool:
    """What the gateway asks at every hit: are these files what they were."""
    for stamp in stamps:
        try:
            found = os.stat(stamp["path"])
        except FileNotFoundError:
            if not (stamp.get("missing") or stamp.get("empty")):
                return False
            continue
        if stamp.get("missing"):
            return False
        if stamp.get("empty"):
            if found.st_size or not stat.S_ISREG(found.st_mode):
                return False
            continue
        now = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if now != (stamp["inode"], stamp["size"], stamp["mtime_ns"], stamp["ctime_ns"]):
            return False
    return True


def names(stamps: Stamps | None) -> list[str]:
    """The last parts of the paths; what is missing is marked."""
    return [os.path.basename(one["path"]) + ("?" if one.get("missing") else "") for one in stamps or []]


def elsewhere(code: str, *arguments: str) -> None:
    """Run code in another process."""
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=60)
