"""OmniMind keeps a fleet of MCP servers alive, fast and cheap in tokens, behind one endpoint.

Importing this package costs next to nothing; the orchestrator and every command depend on that.
"""

from __future__ import annotations

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("omnimind")
        except PackageNotFoundError:
            return "0+unknown"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
