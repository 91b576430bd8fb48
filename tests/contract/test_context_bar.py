"""A hundred thousand tokens through the context server by real clients; in full by `make bar-context`.

Each client stores mixed documents and takes them back twice: with `get_context` and a question, and with
`compress_context`. The test knows what it has hidden in them and looks for it to the letter; tokens are counted by
tiktoken, which is none of our code, where its environment is made (the full run makes it).
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from fleet import Fleet
from papers import Paper, papers
from toolbox import Toolbox, prepare
from visitor import LEGACY, MODERN, said, visit

from omnimind.compression import tokens

FULL = bool(os.environ.get("OMNIMIND_FULL"))
SEEDS = [random.randrange(1_000_000) for _ in range(3)] if FULL else [7]
MAX_TOKENS, TARGET_TOKENS = 100_000, 25_000
FACTS = 0.93
"""Of values that are no error, the share that is there without anybody having asked for them: some ninety a context,
most often all but one or two."""

Call = tuple[str, dict[str, Any]]
Count = Callable[[str], int]

pytestmark = [pytest.mark.bar, pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Told:
    """What a client was told."""

    text: str
    data: dict[str, Any]


def python(_: Toolbox, url: str, era: str, calls: list[Call]) -> list[Told]:
    """The Python client's answers."""

    async def session() -> list[Told]:
        async with visit(url, era, mute=True) as client:
            found = []
            for tool, arguments in calls:
                result = await client.call_tool(tool, arguments)
                assert not result.is_error, said(result)
                found.append(Told(said(result), result.structured_content or {}))
            return found

    return anyio.run(session)


def typescript(box: Toolbox, url: str, era: str, calls: list[Call]) -> list[Told]:
    """The TypeScript client's answers."""
    script = os.path.join(os.path.dirname(__file__), "clients", "typescript_calls.mjs")
    mode = "auto" if era == MODERN else "legacy"
    command = [str(box.node), script, str(box.modules), url, mode]
    done = subprocess.run(
        command, input=json.dumps(calls), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    found = json.loads(done.stdout)
    assert not [one["text"] for one in found if one["failed"]]
    return [Told(one["text"], one["data"] or {}) for one in found]


CLIENTS = [(python, MODERN), (python, LEGACY), (typescript, MODERN), (typescript, LEGACY)]


@pytest.fixture(scope="module")
def count(toolbox: Toolbox) -> Iterator[Count]:
    """A tokenizer that is not ours, if there is one; its vocabulary lies in a package beside it."""
    if FULL:
        prepare(("compressors",), npm=False)
    interpreter = toolbox.python("compressors")
    if not interpreter.exists():
        yield tokens.count
        return
    script = (
        "import json, os, sys, importlib.util as found\n"
        "home = found.find_spec('litellm').submodule_search_locations[0]\n"
        "os.environ['TIKTOKEN_CACHE_DIR'] = os.path.join(home, 'litellm_core_utils', 'tokenizers')\n"
        "import tiktoken\n"
        "encoding = tiktoken.get_encoding('o200k_base')\n"
        "for line in sys.stdin:\n"
        "    print(len(encoding.encode(json.loads(line), disallowed_special=())), flush=True)\n"
    )
    with subprocess.Popen(
        [str(interpreter), "-I", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ask, answers = process.stdin, process.stdout

        def counted(text: str) -> int:
            ask.write(json.dumps(text) + "\n")
            ask.flush()
            return int(answers.readline())

        yield counted
        ask.close()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("client", "era"), CLIENTS if FULL else [CLIENTS[0], CLIENTS[2]])
def test_a_hundred_thousand_tokens_come_back_in_a_quarter_with_all_that_is_critical(
    toolbox: Toolbox,
    count: Count,
    client: Callable[[Toolbox, str, str, list[Call]], list[Told]],
    era: str,
    seed: int,
) -> None:
    own = papers(seed)
    asked = next(paper.document for paper in own if paper.kind == "prose").questions[0]
    stored = [
        ("context__store_context", {"content": paper.document.text, "level": "project", "title": paper.kind})
        for paper in own
    ]
    bounds = {"max_tokens": MAX_TOKENS, "target_tokens": TARGET_TOKENS}
    wanted = [
        ("context__get_context", {"query": asked.text, **bounds}),
        ("context__compress_context", {"target_tokens": TARGET_TOKENS}),
    ]
    with Fleet({"context": {}}) as fleet:
        *kept, got, pressed = client(toolbox, fleet.aggregate, era, [*stored, *wanted])
    whole = sum(count(paper.document.text) for paper in own)
    assert whole >= MAX_TOKENS
    included = {one.data["id"]: paper for one, paper in zip(kept, own, strict=True)}
    taken = [included[name] for name in got.data["included"]]
    for name, told, there in (("get_context", got, taken), ("compress_context", pressed, own)):
        shares = judged(told, there, count)
        print(f"{client.__name__} {era}, seed {seed}, {name}: {shares}")
    assert asked.answer in got.text
    assert got.data["tokens_before"] >= 0.9 * MAX_TOKENS
    assert pressed.data["tokens_before"] >= MAX_TOKENS


def judged(told: Told, there: list[Paper], count: Count) -> str:
    """Checks what was told of these papers, and says what it was."""
    used = count(told.text)
    assert used <= TARGET_TOKENS
    assert used == told.data["tokens"] == tokens.count(told.text)
    assert told.data["critical_info_preserved"] is True
    critical = [value for paper in there for value in paper.critical]
    assert not [value for value in critical if value not in told.text]
    facts = [value for paper in there for value in paper.facts]
    kept = sum(value in told.text for value in facts)
    assert kept >= FACTS * len(facts)
    before = told.data["tokens_before"]
    return f"{used:,} of {before:,} tokens, {len(critical)} of {len(critical)} critical, {kept} of {len(facts)} facts"
