"""What the plane is told of the encoder of the cache's semantic level: its files, or why there is none.

Rule: nothing is looked for, and nothing imported, unless a tool is configured for that level.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

UNUSED: Final = (
    "no tool was configured for it when the gateway started; once one is: omnimind restart gateway"
)


def of(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """The member `encoder` of the plane's first message, for this configuration."""
    caches = (server.get("cache", {}) for server in snapshot["servers"])
    if not any(tool.get("semantic") for cache in caches for tool in cache.get("tools", {}).values()):
        return {"off": UNUSED}
    from omnimind.encoder import NoEncoder, find_encoder

    found = find_encoder()
    if isinstance(found, NoEncoder):
        return {"off": found.reason}
    return {"files": {"weights": str(found.weights), "tokenizer": str(found.tokenizer)}}
