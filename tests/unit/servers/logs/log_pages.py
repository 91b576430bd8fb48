"""Searching page by page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcp import Client
from server_session import Session

Texts = Callable[..., list[str]]


def pages(server: Session, cursor: str | None = None, **arguments: Any) -> list[str]:
    """All pages of a search, as texts."""

    async def turn(client: Client) -> list[str]:
        found, following = [], cursor
        while True:
            more = {"cursor": following} if following else {}
            result = await client.call_tool("search_logs", {**arguments, **more})
            page = result.structured_content
            assert page is not None, result.content
            found += [one["text"] for one in page["records"]]
            following = page.get("cursor")
            assert (following is not None) == page["more"]
            if following is None:
                return found

    texts: list[str] = server.ask(turn)
    return texts
