"""Fewer tokens for the same facts: the typed face of the Rust parts.

    compressed = omnimind.Compressor().compress(text, target_tokens=25_000, query="why did the refund fail?")
    compressed.content                   # what a model reads; never above the target
    compressed.critical_info_preserved   # or what is missing, in compressed.missing
    decompress(compressed)               # the original, if nothing was left out

Modules: `face` is the compressor, imported when it is asked for; `tokens` counts; `tool_lists` tells what tools cost.
"""

TYPE_CHECKING = False  # `typing` would cost who only counts tokens
if TYPE_CHECKING:
    from typing import Any

    from omnimind.compression.face import (
        Block,
        Compressed,
        Compressor,
        Kept,
        Missing,
        Omission,
        SemanticCompressor,
        decompress,
    )

__all__ = [
    "Block",
    "Compressed",
    "Compressor",
    "Kept",
    "Missing",
    "Omission",
    "SemanticCompressor",
    "decompress",
]


def __getattr__(name: str) -> "Any":
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("omnimind.compression.face"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
