"""One compressor of another package, run in that package's own environment.

Reads one JSON object a line (`text`, `query`, `ratio`, `kind`) and answers with one (`text`, `ms`): the library call
alone is timed, after a first one that is not. It imports nothing of ours, since nothing of ours is installed there.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from importlib import import_module

Compress = Callable[[str, str, float, str], str]
"""Of the text, the query, the ratio and the kind of document, which only who is picked by hand is told."""

_BY_HAND = {
    **dict.fromkeys(("json", "jsonl", "tools"), ("smart_crusher", "SmartCrusher", "crush")),
    **dict.fromkeys(
        ("log", "syslog", "logfmt", "build", "trace"), ("log_compressor", "LogCompressor", "compress")
    ),
    **dict.fromkeys(("csv", "columns"), ("tabular_ingest", "TabularCompressor", "compress")),
    "code": ("code_compressor", "CodeAwareCompressor", "compress"),
    "diff": ("diff_compressor", "DiffCompressor", "compress"),
    "search": ("search_compressor", "SearchCompressor", "compress"),
    "html": ("html_extractor", "HTMLExtractor", "extract"),
}
"""Modules of headroom's transforms, classes and methods by the first word of a kind, as its own router pairs them."""


def headroom_default() -> Compress:
    """The documented call, with the text as a tool's result."""
    compress = import_module("headroom").compress

    def run(text: str, query: str, _ratio: float, _kind: str) -> str:
        call = {"id": "call_1", "type": "function", "function": {"name": "fetch", "arguments": "{}"}}
        messages = [
            {"role": "user", "content": query},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": text},
            {"role": "user", "content": query},
        ]
        content = compress(messages, model="gpt-4o").messages[2]["content"]
        return content if isinstance(content, str) else json.dumps(content)

    return run


def headroom_by_hand() -> Compress:
    """The compressor that its router would choose for the kind of document, without the router; for prose, for which it
    would ask a model that the package does not hold, its extractive one, at our ratio."""
    prose = headroom_crusher()
    made = {
        kind: getattr(getattr(import_module(f"headroom.transforms.{module}"), name)(), method)
        for kind, (module, name, method) in _BY_HAND.items()
    }

    def run(text: str, query: str, ratio: float, kind: str) -> str:
        one = made.get(kind.partition("-")[0])
        if one is None:
            return prose(text, query, ratio, kind)
        found = one(text) if kind == "html" else one(text, query)
        return str(found.extracted if kind == "html" else found.compressed)

    return run


def headroom_crusher() -> Compress:
    """Its extractive compressor for any text, at our ratio."""
    crusher = import_module("headroom.transforms.text_crusher").TextCrusher()
    return lambda text, query, ratio, _kind: str(crusher.compress(text, query, ratio).compressed)


def tokenfold() -> Compress:
    compress = import_module("tokenfold").compress
    return lambda text, _query, _ratio, _kind: str(compress(text).text)


def logzip() -> Compress:
    compress = import_module("logzip").compress
    return lambda text, _query, _ratio, _kind: str(compress(text).render())


def toon() -> Compress:
    """JSON alone; other texts stay as they are."""
    dumps = import_module("toons").dumps

    def run(text: str, _query: str, _ratio: float, _kind: str) -> str:
        try:
            return str(dumps(json.loads(text)))
        except ValueError:
            return text

    return run


PEERS: dict[str, Callable[[], Compress]] = {
    "headroom": headroom_default,
    "headroom by hand": headroom_by_hand,
    "headroom TextCrusher": headroom_crusher,
    "tokenfold": tokenfold,
    "logzip": logzip,
    "toon": toon,
}


def main(name: str) -> None:
    logging.disable(logging.CRITICAL)
    out, sys.stdout = sys.stdout, sys.stderr
    compress = PEERS[name]()
    compress("one line\n" * 20, "one", 0.25, "text")
    for line in sys.stdin:
        asked = json.loads(line)
        begun = time.perf_counter()
        try:
            text = compress(asked["text"], asked["query"], asked["ratio"], asked["kind"])
        except Exception as failure:
            answer: dict[str, object] = {"failure": f"{type(failure).__name__}: {failure}"}
        else:
            answer = {"text": text, "ms": (time.perf_counter() - begun) * 1000}
        out.write(json.dumps(answer) + "\n")
        out.flush()


if __name__ == "__main__":
    main(sys.argv[1])
