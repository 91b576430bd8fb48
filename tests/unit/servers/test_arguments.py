"""How tools take their arguments: what is unknown is ignored, what is misspelt is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from server_session import Session


@pytest.mark.parametrize("spelling", ["dry_run", "dryrun", "DRYRUN", "dry-run"])
def test_a_misspelt_dry_run_changes_nothing(filesystem: Session, folder: Path, spelling: str) -> None:
    (folder / "a").write_text("old")
    edits = [{"oldText": "old", "newText": "new"}]
    said = filesystem.problem("edit_file", path="a", edits=edits, **{spelling: True})
    assert f"{spelling}: there is no such parameter, dryRun is meant" in said
    assert (folder / "a").read_text() == "old"


def test_an_unknown_argument_is_ignored_as_by_the_reference(filesystem: Session, folder: Path) -> None:
    (folder / "a").write_text("text")
    assert filesystem.text("read_text_file", path="a", random_string="dummy") == "text"


@pytest.mark.parametrize("text", ["null", "[1]", '{"a": 1}', "true", "7", '"quoted"'])
def test_a_text_that_looks_like_json_stays_a_text(memory: Session, text: str) -> None:
    memory.data("store_memory", content=f"this holds {text}")
    memory.data("store_memory", content="something else")
    found = memory.data("retrieve_memories", query=text)["memories"]
    assert [one["content"] for one in found] == [f"this holds {text}"]


def test_a_list_that_comes_as_json_in_a_text_is_taken(memory: Session) -> None:
    memory.data("store_memory", content="x", tags='["a", "b"]')
    assert memory.data("retrieve_memories")["memories"][0]["tags"] == ["a", "b"]
