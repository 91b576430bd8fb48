"""One compressor of another package, run in that package's own environment.

Reads one JSON object a line (`text`, `query`, `ratio`) and answers with one (`text`, `ms`): the library call alone is
timed, after a first one that is not. It imports nothing of ours, since nothing of ours is installed there.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from importlib import import_module

Compress = Callable[[str, str, float], str]


def headroom_default() -> Compress:
    """The documented call, with the text as a tool's result."""
    compress = import_module("headroom").compress

    def run(text: str, query: str, _ratio: float) -> str:
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


def headroom_crusher() -> Compress:
    """Its extractive compressor for any text, at our ratio."""
    crusher = import_module("headroom.transforms.text_crusher").TextCrusher()
    return lambda text, query, ratio: str(crusher.compress(text, query, ratio).compressed)


def tokenfold() -> Compress:
    compress = import_module("tokenfold").compress
    return lambda text, _query, _ratio: str(compress(text).text)


def logzip() -> Compress:
    compress = import_module("logzip").compress
    return lambda text, _query, _ratio: str(compress(text).render())


def toon() -> Compress:
    """JSON alone; other texts stay as they are."""
    dumps = import_module("toons").dumps

    def run(text: str, _query: str, _ratio: float) -> str:
        try:
            return str(dumps(json.loads(text)))
        except ValueError:
            return text

    return run


PEERS: dict[str, Callable[[], Compress]] = {
    "headroom": headroom_default,
    "headroom TextCrusher": headroom_crusher,
    "tokenfold": tokenfold,
    "logzip": logzip,
    "toon": toon,
}


def main(name: str) -> None:
    logging.disable(logging.CRITICAL)
    out, sys.stdout = sys.stdout, sys.stderr
    compress = PEERS[name]()
    compress("one line\n" * 20, "one", 0.25)
    for line in sys.stdin:
        asked = json.loads(line)
        begun = time.perf_counter()
        try:
            text = compress(asked["text"], asked["query"], asked["ratio"])
        except Exception as failure:
            answer = {"failure": f"{type(failure).__name__}: {failure}"}
        else:
            answer = {"text": text, "ms": (time.perf_counter() - begun) * 1000}
        out.write(json.dumps(answer) + "\n")
        out.flush()


if __name__ == "__main__":
    main(sys.argv[1])
