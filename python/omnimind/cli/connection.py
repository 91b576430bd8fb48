"""From a state folder to a client of its fleet, and to what other clients must be told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from omnimind import tokens
from omnimind.cli import fleet

if TYPE_CHECKING:
    from omnimind.cli.mcp_client import Client

TOKEN_VARIABLE = "OMNIMIND_TOKEN"  # noqa: S105


def client(
    state_dir: Path, timeout_s: float, server: str | None = None, *, tools: str | None = None
) -> Client:
    """A client of the fleet that runs in this state folder, or of one of its servers; with the operator's token.

    `tools` is the form in which it is told tools (`whole`, `pruned`, `signatures`, `search`).
    """
    from omnimind.cli.mcp_client import Client

    record = fleet.need(state_dir)
    token = tokens.local_token(state_dir) if record.token_file else None
    url = endpoint(record, server)
    return Client(f"{url}?tools={tools}" if tools else url, token, timeout_s)


def endpoint(record: fleet.Record, server: str | None = None) -> str:
    """The URL of the aggregate endpoint, or of one server's own."""
    base = record.endpoint.rstrip("/").removesuffix("/mcp")
    return f"{base}/servers/{quote(server, safe='')}/mcp" if server else f"{base}/mcp"


def entry(url: str, token: str | None) -> dict[str, Any]:
    """What a client's configuration needs, in the form that Claude Code and Cursor read."""
    server: dict[str, Any] = {"type": "http", "url": url}
    if token:
        server["headers"] = {"Authorization": f"Bearer {token}"}
    return {"mcpServers": {"omnimind": server}}
