"""The limits that the pages of filesystem, memory and thinking name are the limits that hold."""

from __future__ import annotations

import re

import pytest

from omnimind.servers.filesystem import limits as filesystem
from omnimind.servers.memory import limits as memory
from omnimind.servers.memory import similar
from omnimind.servers.thinking import export, store
from tests.docs.pages import table
from tests.fleet import ROOT

MIB = 1024 * 1024

HOLDING = {
    "filesystem": {
        "text in one answer": [f"{filesystem.READ_BYTES // MIB} MiB"],
        "media in one answer": [f"{filesystem.MEDIA_BYTES // MIB} MiB"],
        "one write": [f"{filesystem.WRITE_BYTES // MIB} MiB"],
        "a file to edit, and edits of it in one call": [
            f"{filesystem.EDIT_BYTES // MIB} MiB",
            filesystem.EDITS,
        ],
        "files in one read_multiple_files": [filesystem.FILES],
        "entries of one listing": [filesystem.ENTRIES],
        "entries and depth of a tree": [filesystem.TREE_ENTRIES, filesystem.DEPTH],
        "matches of a search": [filesystem.MATCHES, f"with limit {filesystem.MOST_MATCHES:,}"],
        "entries a search looks at": [filesystem.VISITED],
        "length of a path and of a pattern": [
            f"{filesystem.PATH_BYTES:,} bytes",
            f"{filesystem.PATTERN_CHARACTERS:,} characters",
        ],
    },
    "memory": {
        "entities, relations, observations or ids in one call": [memory.BATCH],
        "characters of a name": [memory.NAME_CHARACTERS],
        "characters of a text": [memory.TEXT_CHARACTERS],
        "tags of a memory": [memory.TAGS],
        "characters of metadata": [memory.METADATA_CHARACTERS],
        "memories in one answer": [memory.PAGE],
        "memories compared for consolidation, the latest; comparisons (compared says how far they came)": [
            memory.COMPARED,
            similar.COMPARISONS,
        ],
        "characters of one export": [memory.ANSWER_CHARACTERS],
    },
    "thinking": {
        "characters of a thought": [store.THOUGHT_CHARACTERS],
        "characters of a title or a branch's name": [store.NAME_CHARACTERS],
        "steps of a session": [store.STEPS],
        "branches of a session": [store.BRANCHES],
        "sessions": [store.SESSIONS],
        "days that an untouched session is kept": [store.KEEP_DAYS],
        "characters of one answer": [export.ANSWER_CHARACTERS],
        "steps, sessions in one part of a list": [1_000, 200],
    },
}


@pytest.mark.parametrize("server", HOLDING)
def test_the_limits_of_a_page_are_true(server: str) -> None:
    rows = {row[0]: row[1] for row in table(ROOT / "docs" / "servers" / f"{server}.md", "limit")}
    said = {name: re.split(r"[,;] ", figures) for name, figures in rows.items()}
    wanted = {
        name: [f"{figure:,}" if isinstance(figure, int) else figure for figure in figures]
        for name, figures in HOLDING[server].items()
    }
    assert said == wanted
