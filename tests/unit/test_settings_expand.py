"""References in strings: what each form yields, and properties that hold for any text."""

from __future__ import annotations

import contextlib
import json
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnimind.errors import SettingsError
from omnimind.settings import document
from omnimind.settings.expand import Expander, Unexpandable, read_env_file

NAMES = st.text(string.ascii_letters + "_", min_size=1, max_size=8).filter(lambda name: name != "userHome")
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=40)


def expand(text: str, folder: Path = Path("/nowhere"), **environ: str) -> str:
    return Expander(environ, folder).expand(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain $5 {x} $", "plain $5 {x} $"),
        ("${env:A}-${A}", "1-1"),
        ("${env:NOPE:-d}", "d"),
        ("${NOPE:-}", ""),
        ("${env:EMPTY:-d}", "d"),
        ("${env:EMPTY}", ""),
        ("${env:NOPE:-a:-b}", "a:-b"),
        ("$${A} ${A}", "${A} 1"),
        ("a${/}b${pathSeparator}c", "a/b/c"),
        ("${env:NESTED}", "${A}"),
    ],
)
def test_each_form_yields_its_value(text: str, expected: str) -> None:
    assert expand(text, A="1", EMPTY="", NESTED="${A}") == expected


@pytest.mark.parametrize(
    "text",
    [
        "${",
        "${}",
        "${env:}",
        "${env:A B}",
        "${workspaceFolder}",
        "${workspaceFolder:x}",
        "${input:a}",
        "${1}",
        "${a-b}",
    ],
)
def test_what_has_no_value_is_an_error_with_help(text: str) -> None:
    with pytest.raises(Unexpandable) as caught:
        expand(text)
    assert caught.value.help


def test_a_file_is_read_from_beside_the_settings_without_its_last_newline(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n\n")
    assert expand("Bearer ${file:key}", tmp_path) == "Bearer s3cret\n"
    assert expand(f"${{file:{tmp_path / 'key'}}}", Path("/")) == "s3cret\n"


@pytest.mark.parametrize("content", [b"\xff", b"x" * 70_000, b"a\0b"])
def test_a_file_that_is_not_a_short_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(Unexpandable):
        expand("${file:key}", tmp_path)


@given(name=NAMES, value=TEXTS, before=TEXTS, after=TEXTS)
def test_a_value_is_inserted_as_it_is_and_never_expanded_again(
    name: str, value: str, before: str, after: str
) -> None:
    clean_before, clean_after = before.replace("$", ""), after.replace("$", "")
    text = f"{clean_before}${{env:{name}}}{clean_after}"
    assert expand(text, **{name: value}) == clean_before + value + clean_after


@given(text=TEXTS)
def test_an_escaped_text_comes_back_as_it_was(text: str) -> None:
    assert expand(text.replace("${", "$${")) == text or "$${" in text


@given(text=TEXTS)
def test_any_text_is_expanded_or_refused(text: str) -> None:
    if "${" not in text:
        assert expand(text) == text
        return
    with contextlib.suppress(Unexpandable):
        expand(text)


@given(
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**30), 10**30)
        | st.floats(allow_nan=False, allow_infinity=False)
        | TEXTS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
        max_leaves=20,
    ),
    indent=st.sampled_from([None, 1, 4]),
)
def test_the_reader_with_places_reads_what_json_wrote(value: object, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    assert document.parse(text, Path("x")).root.plain() == value


@given(text=TEXTS | st.text('{}[]":,0123456789truefalsn \\/*', max_size=40))
def test_any_text_is_read_as_json_reads_it_or_refused(text: str) -> None:
    try:
        found = document.parse(text, Path("x")).root.plain()
    except SettingsError:
        return
    if "/" not in text:
        assert found == json.loads(text)


@pytest.mark.parametrize("line", ["A", "=1", "1A=2", "A B=1"])
def test_a_line_of_an_env_file_that_is_not_a_variable_is_refused(line: str) -> None:
    with pytest.raises(Unexpandable, match="line 2"):
        read_env_file(f"X=1\n{line}\n")
