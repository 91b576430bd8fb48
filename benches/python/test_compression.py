"""What compressing a result for a model costs, beside zlib packing the same bytes."""

from __future__ import annotations

import json
import random
import zlib

import pytest

from benches.python.rounds import Beside
from omnimind import Compressor
from omnimind.compression import Compressed


def table(rows: int = 200) -> str:
    chance = random.Random(7)
    made = [
        {
            "id": number,
            "host": f"node-{number % 9}",
            "status": chance.choice(["ok", "ok", "ok", "failed"]),
            "ms": chance.randrange(900),
        }
        for number in range(rows)
    ]
    return json.dumps(made)


def log(lines: int = 300) -> str:
    chance = random.Random(8)
    made = [
        f"2026-11-22T10:{number // 60:02}:{number % 60:02}Z INFO worker {chance.randrange(9)} served /mcp "
        f"in {chance.randrange(90)} ms"
        for number in range(lines)
    ]
    made[lines // 2] = "2026-11-22T10:02:30Z ERROR worker 4 died: out of memory (killed, 137)"
    return "\n".join(made)


@pytest.mark.benchmark(group="compressor")
@pytest.mark.parametrize("text", [table(), log()], ids=["table", "log"])
@pytest.mark.parametrize("budget", [None, 500], ids=["lossless", "budget"])
def test_compress(beside: Beside, text: str, budget: int | None) -> None:
    compressor, raw = Compressor(), text.encode()
    found = beside(lambda: compressor.compress(text, budget), lambda: zlib.compress(raw))
    assert isinstance(found, Compressed)
    assert found.tokens_after < found.tokens_before
