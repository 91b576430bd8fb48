"""What was compressed with nothing left out is read back; the names of kinds are the same in Rust, stubs and face."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import omnimind
from omnimind.compression import decompress, face
from omnimind.compression.face import Compressed

COMPRESSOR = omnimind.Compressor()
WORDS = st.text("abcäß語 _-/.:,\"'{}", max_size=12)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"id": st.integers(), "name": WORDS, "on": st.booleans()}, optional={"note": WORDS}
    ),
    max_size=30,
)
LOGS = st.lists(
    st.tuples(st.integers(0, 59), st.sampled_from(("took {} ms", "user {} in", "{} requests left")), WORDS),
    max_size=30,
).map(
    lambda lines: "".join(
        f"2026-03-01 10:00:{second:02} INFO {text.format(said)}\n" for second, text, said in lines
    )
)
TABLES = st.lists(st.tuples(WORDS, st.integers()), max_size=20).map(
    lambda rows: "".join(f"{name!r:<20}{number:>20}  Running\n" for name, number in rows)
)


def read_back(data: Any) -> str:
    return decompress(COMPRESSOR.compress(data, None))


@given(
    st.one_of(
        st.text(max_size=300), LOGS, TABLES, st.tuples(LOGS, TABLES, st.text(max_size=60)).map("\n".join)
    )
)
def test_every_text_is_read_back(text: str) -> None:
    if any(block.kind in ("json", "jsonl", "tools") for block in COMPRESSOR.compress(text, None).blocks):
        return
    assert read_back(text) == text


@given(ROWS)
def test_every_value_is_read_back(rows: list[dict[str, Any]]) -> None:
    assert json.loads(read_back(rows)) == rows
    lines = "\n".join(json.dumps(row) for row in rows)
    assert [json.loads(line) for line in read_back(lines).splitlines()] == rows


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"2026-03-01 10:{at // 60:02}:{at % 60:02} INFO GET /orders/{at} 200\n" for at in range(300)),
        "".join(f"src/a.rs:{at}:    let x = {at};\n" for at in range(60)),
        "name,age,state\n" + "".join(f"n{at},{at},shipped as ordered\n" for at in range(90)),
    ],
)
def test_shorter_forms_are_used_and_read_back(text: str) -> None:
    pressed = COMPRESSOR.compress(text, None)
    assert pressed.tokens_after < pressed.tokens_before
    assert {block.form for block in pressed.blocks} == {"whole"}
    assert pressed.content.encode()[slice(*pressed.blocks[0].printed)].decode() == pressed.content
    assert decompress(pressed) == text


def test_what_was_cut_is_not_read_back_and_it_is_said_where_the_original_is() -> None:
    pressed = COMPRESSOR.compress("".join(f"line {at} of many words\n" for at in range(400)), 200)
    with pytest.raises(ValueError, match=f"left out .* omnimind://context/{pressed.handle}"):
        decompress(pressed)


def test_a_content_that_is_no_longer_its_own_is_refused() -> None:
    pressed = COMPRESSOR.compress(
        "".join(f"2026-03-01 10:00:{at:02} INFO up {at}\n" for at in range(60)), None
    )
    fields = {name: getattr(pressed, name) for name in Compressed.__dataclass_fields__}
    with pytest.raises(ValueError, match="do not describe this content"):
        decompress(Compressed(**fields | {"content": pressed.content[:20]}))


EVERY_CRITICAL = """\
order 7f3a9c1e-55aa-4b1c-9d2e-000000000017 of 5883 requests on 2026-03-01 in /srv/app/main.py
see https://a.example.net/x with v1.2.3 from 10.0.0.7 said "no such user" and must not
ERROR: disk failed
make: exit code 137
"""


def test_kinds_of_critical_values_have_one_name_everywhere() -> None:
    assert set(COMPRESSOR.compress(EVERY_CRITICAL, None).critical) == set(get_args(face.Critical))
    stub = ast.parse((Path(face.__file__).parents[1] / "_core.pyi").read_text())
    told = {
        node.target.id: {word.value for word in ast.walk(node.value) if isinstance(word, ast.Constant)}
        for node in ast.walk(stub)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None
    }
    assert told["_Critical"] == set(get_args(face.Critical))
    assert told["_Kind"] == set(get_args(face.Kind))
