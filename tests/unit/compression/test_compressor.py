"""`omnimind.Compressor`: the target is a promise, and the account of what was kept is true."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import omnimind
from omnimind.compression import SemanticCompressor, tokens

COMPRESSOR = omnimind.Compressor()
ID = "7f3a9c1e-55aa-4b1c-9d2e-000000000017"


def log(lines: int = 600) -> str:
    rows = [
        f"2026-03-01 10:{at // 60:02}:{at % 60:02} INFO http GET /orders/{at * 7} 200 in {at % 31} ms"
        for at in range(lines)
    ]
    rows[lines // 2] = f"2026-03-01 10:05:00 ERROR payments refund {ID} failed: ledger closed"
    return "\n".join(rows) + "\n"


def test_a_quarter_of_a_log_has_what_is_asked_for() -> None:
    text = log()
    before = tokens.count(text)
    pressed = COMPRESSOR.compress(text, before // 4, "why did the refund fail?")
    assert pressed.tokens_before == before
    assert pressed.tokens_after == tokens.count(pressed.content) <= before // 4
    assert ID in pressed.content
    assert pressed.critical["id"].total >= 1
    assert pressed.handle in pressed.content.splitlines()[0]
    assert sum(gap.units for gap in pressed.omissions) > 0
    assert {block.kind for block in pressed.blocks} == {"log"}


def test_what_fits_and_has_no_shorter_form_stays_as_it_is() -> None:
    pressed = COMPRESSOR.compress("One.\nTwo.\n", 100)
    assert pressed.content == "One.\nTwo.\n"
    assert pressed.critical_info_preserved
    assert not pressed.omissions


def test_a_target_too_small_is_met_and_what_is_missing_is_said() -> None:
    pressed = COMPRESSOR.compress(log(), 1)
    assert pressed.tokens_after <= 1
    assert not pressed.critical_info_preserved
    assert pressed.missing_count >= len(pressed.missing) > 0


def test_values_are_the_json_they_make_and_bytes_are_utf_8() -> None:
    value: list[Any] = [{"id": at, "name": f"größe {at}"} for at in range(50)]
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert COMPRESSOR.compress(value, None) == COMPRESSOR.compress(text, None)
    assert COMPRESSOR.compress(text.encode(), 60) == COMPRESSOR.compress(text, 60)
    assert COMPRESSOR.compress(b"\xff ok", None).content == "\ufffd ok"
    assert COMPRESSOR.compress("a\ud800b", None).content == "a?b"


def test_a_negative_target_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="target_tokens"):
        COMPRESSOR.compress("x", -1)


def test_a_context_goes_in_as_a_dict_and_comes_out_as_one() -> None:
    orders = [{"id": at, "state": "paid", "note": None} for at in range(6_000)]
    orders[4_000]["note"] = "refund refused: limit of 500 EUR"
    told = SemanticCompressor().compress_context({"orders": orders})
    assert json.loads(json.dumps(told)) == told
    assert told["tokens_after"] == tokens.count(told["content"]) <= 25_000 < told["tokens_before"]
    assert told["critical_info_preserved"] is True
    assert told["missing"] == []
    assert "limit of 500 EUR" in told["content"]
    short = SemanticCompressor().compress_context({"log": log().splitlines()}, 1)
    assert short["critical_info_preserved"] is False
    assert short["missing_count"] >= len(short["missing"]) > 0
    assert {"why", "lines", "text"} == set(short["missing"][0])


def test_an_outcome_cannot_be_changed() -> None:
    pressed = COMPRESSOR.compress("x", 10)
    with pytest.raises(dataclasses.FrozenInstanceError):
        pressed.content = "y"  # type: ignore[misc]
    with pytest.raises(TypeError):
        pressed.critical["id"] = None  # type: ignore[index]


def test_other_threads_go_on_while_a_text_is_compressed() -> None:
    text = log(20_000)
    ended = threading.Event()
    steps = 0

    def compress() -> None:
        COMPRESSOR.compress(text, 10_000, "refund")
        ended.set()

    thread = threading.Thread(target=compress)
    thread.start()
    while not ended.is_set():
        steps += 1
        time.sleep(0.001)
    thread.join()
    assert steps > 3


@given(st.text(max_size=400), st.integers(0, 60), st.text(max_size=20))
def test_no_text_breaks_the_promise(text: str, target: int, query: str) -> None:
    pressed = COMPRESSOR.compress(text, target, query)
    assert pressed.tokens_after <= target
    assert pressed.tokens_after == tokens.count(pressed.content)
    assert pressed == COMPRESSOR.compress(text, target, query)
