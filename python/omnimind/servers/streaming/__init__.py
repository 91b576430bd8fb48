"""Long results a page at a time, for tools and resources of any server: `omnimind.stream()`.

    @server.tool()
    @omnimind.stream()
    async def rows(table: str) -> AsyncIterator[Row]:
        async for row in database.select(table):
            yield row

Modules: `face` is the decorator, `live` runs a producer for as long as somebody may want more of it, `cursors` seals
what says where to go on.
"""

from omnimind.servers.streaming.cursors import CursorError
from omnimind.servers.streaming.face import Page, stream

__all__ = ["CursorError", "Page", "stream"]
