"""Our thinking server in place of `@modelcontextprotocol/server-sequential-thinking`: what is not the same is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from reference import Answer, Pair, Step, ask, differences_listed, side_by_side
from toolbox import Toolbox

pytestmark = [pytest.mark.anyio, pytest.mark.bar, pytest.mark.timeout(120)]

TOOL = "sequentialthinking"

LISTED_OTHERWISE = {
    f"{TOOL}: read_only",  # it writes a step down: who believed the hint would answer the second from a cache
    f"{TOOL}: idempotent",  # and the second identical thought is a second step
    f"{TOOL}: more: session_id",  # theirs keeps one history a process
    f"{TOOL}: output",  # whole numbers are said to be whole, and the session's handle comes along
}

FIRST = {"thought": "t", "nextThoughtNeeded": True, "thoughtNumber": 1, "totalThoughts": 3}
NEXT = {**FIRST, "thoughtNumber": 2}

ALIKE = [
    FIRST,
    NEXT,
    {**NEXT, "thoughtNumber": 5},
    {**NEXT, "thoughtNumber": "3", "totalThoughts": "4"},
    {**NEXT, "thoughtNumber": 2.0},
    {**NEXT, "nextThoughtNeeded": "true"},
    {**NEXT, "nextThoughtNeeded": "FALSE", "isRevision": "True", "revisesThought": 1},
    {**NEXT, "branchFromThought": 1, "branchId": "x"},
    {**NEXT, "branchFromThought": 1, "branchId": "x"},
    {**NEXT, "branchFromThought": 2, "branchId": "y", "needsMoreThoughts": True},
    {**NEXT, "branchFromThought": 1},
    {**NEXT, "branchId": "z"},
    {**NEXT, "thought": ""},
    {**NEXT, "unknown": "ignored"},
    {**NEXT, "totalThoughts": 2**53 - 1},
]

REFUSED = [
    {},
    {key: value for key, value in FIRST.items() if key != "nextThoughtNeeded"},
    {**FIRST, "thoughtNumber": 0},
    {**FIRST, "thoughtNumber": 1.5},
    {**FIRST, "thoughtNumber": "many"},
    {**FIRST, "totalThoughts": -1},
    {**FIRST, "totalThoughts": 2**53},
    {**FIRST, "thought": 5},
    {**FIRST, "nextThoughtNeeded": "perhaps"},
    {**FIRST, "revisesThought": 0},
    {**FIRST, "branchId": 1},
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def pair(toolbox: Toolbox, tmp_path: Path) -> Any:
    async with side_by_side(
        (toolbox.npm_server("server-sequential-thinking"), []), "thinking", tmp_path
    ) as both:
        yield both


def without_handle(text: str) -> Any:
    """Ours names the session as well."""
    return {key: value for key, value in json.loads(text).items() if key != "sessionId"}


async def answers(pair: Pair, arguments: dict[str, Any]) -> tuple[Answer, Answer]:
    theirs, ours = [
        await ask(side, Step(TOOL, arguments, view=without_handle)) for side in (pair.theirs, pair.ours)
    ]
    if not ours.refused:
        assert len(ours.structured.pop("sessionId")) == 32
    return theirs, ours


async def test_every_tool_and_parameter_is_listed_alike(pair: Pair) -> None:
    assert await differences_listed(pair) == LISTED_OTHERWISE


async def test_the_same_thoughts_are_answered_alike(pair: Pair) -> None:
    for arguments in ALIKE:
        theirs, ours = await answers(pair, arguments)
        assert theirs == ours, arguments


async def test_the_same_thoughts_are_refused(pair: Pair) -> None:
    for arguments in REFUSED:
        theirs, ours = await answers(pair, arguments)
        assert (theirs.refused, ours.refused) == (True, True), arguments


async def test_another_first_thought_opens_a_session_where_theirs_goes_on(pair: Pair) -> None:
    for expected in ((1, 1), (2, 1)):
        theirs, ours = await answers(pair, FIRST)
        assert (
            theirs.structured["thoughtHistoryLength"],
            ours.structured["thoughtHistoryLength"],
        ) == expected
