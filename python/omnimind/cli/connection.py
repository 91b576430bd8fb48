"""From a state folder to a client of its fleet, and to what other clients must be told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from omnimind import tokens
from omnimind.cli import fleet

if TYPE_CHECKING:
    from omnimind.cli.mcp_client import Client

TOKEN_VARIABLE = "OMNIMIND_TOKEN"  # noqa: S105


def client(state_dir: Path, timeout_s: float) -> Client:
    """A client of the fleet that runs in this state folder, with the local operator's token."""
    from omnimind.cli.mcp_client import Client

    record = fleet.need(state_dir)
    token = tokens.local_token(state_dir) if record.token_file else None
    return Client(endpoint(record), token, timeout_s)


def endpoint(record: fleet.Record) -> str:
    """The URL of the aggregate endpoint."""
    return (
        record.endpoint
        if record.endpoint.rstrip("/").endswith("/mcp")
        else record.endpoint.rstrip("/") + "/mcp"
    )


def entry(url: str, token: str | None) -> dict[str, Any]:
    """What a client's configuration needs, in the form that Claude Code and Cursor read."""
    server: dict[str, Any] = {"type": "http", "url": url}
    if token:
        server["headers"] = {"Authorization": f"Bearer {token}"}
    return {"mcpServers": {"omnimind": server}}
