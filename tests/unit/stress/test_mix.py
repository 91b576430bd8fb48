"""Mixes from files and from what is offered; mistakes are named with their place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from omnimind.errors import UsageError
from omnimind.stress import mix

SERVERS = ("memory", "git", "git__hub")


def read(folder: Path, document: object) -> mix.Mix:
    file = folder / "mix.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return mix.read(file, SERVERS)


def test_a_mix_has_calls_sizes_servers_and_principals(tmp_path: Path) -> None:
    (tmp_path / "ann.token").write_text("abc\n")
    found = read(
        tmp_path,
        {
            "calls": [
                {"tool": "memory__add", "arguments": {"text": "$PAD"}, "weight": 3, "sizes_bytes": [1, 9]},
                {
                    "tool": "git__hub__look",
                    "arguments": '{"n": $NUMBER}',
                    "deadline_ms": [5, 9],
                    "class": "normal",
                },
                {"tool": "look", "server": "elsewhere"},
            ],
            "principals": [{"name": "ann", "token_file": "ann.token"}, {"name": "bob"}],
        },
    )
    assert [(call.server, call.size_bytes, call.weight) for call in found.calls] == [
        ("memory", 1, 3),
        ("memory", 9, 3),
        ("git__hub", 0, 1),
        ("elsewhere", 0, 1),
    ]
    assert json.loads(found.calls[0].arguments) == {"text": "$PAD"}
    assert (found.calls[2].arguments, found.calls[2].deadline_ms) == ('{"n": $NUMBER}', (5, 9))
    assert [(who.name, who.token) for who in found.principals] == [("ann", "abc"), ("bob", None)]
    assert "abc" not in repr(found)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{", "it is not JSON"),
        ([], 'a list "calls"'),
        ({"calls": []}, "no call has a weight above 0"),
        ({"calls": [{"tool": "x", "weight": 0}]}, "no call has a weight above 0"),
        ({"calls": [{}]}, 'calls[0] is not an object with a "tool"'),
        ({"calls": [{"tool": "x", "wieght": 1}]}, "calls[0] has no key 'wieght'; did you mean 'weight'?"),
        ({"calls": [{"tool": "x", "weight": -1}]}, "calls[0].weight is not a whole number from 0: -1"),
        ({"calls": [{"tool": "x", "arguments": 3}]}, "calls[0].arguments is neither"),
        ({"calls": [{"tool": "x", "sizes_bytes": []}]}, "calls[0].sizes_bytes is not a list"),
        ({"calls": [{"tool": "x", "deadline_ms": 5}]}, "calls[0].deadline_ms is not a list"),
        ({"calls": [{"tool": "x"}], "principals": [{}]}, "principals[0] is not an object"),
        ({"calls": [{"tool": "x"}], "principals": [{"name": "a", "token_file": "no"}]}, "cannot be read"),
    ],
)
def test_a_mistake_in_a_mix_is_named(tmp_path: Path, document: object, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        read(tmp_path, document)
    assert raised.value.code == "OM0901"
    assert said in str(raised.value)


def tool(name: str, *, reads: bool = False, required: tuple[str, ...] = ()) -> dict[str, Any]:
    schema = {"type": "object", "required": list(required)}
    return {"name": name, "inputSchema": schema, "annotations": {"readOnlyHint": reads}}


def test_of_ours_the_cheapest_of_each_server_that_runs_is_called() -> None:
    names = (
        "memory__open_nodes",
        "git__git_list_repositories",
        "memory__read_graph",
        "python__list_sessions",
    )
    found = mix.harmless([tool(name, reads=True) for name in names], ["memory", "git"])
    assert [(call.tool, call.server) for call in found.calls] == [
        ("memory__open_nodes", "memory"),
        ("git__git_list_repositories", "git"),
    ]


def test_of_others_only_what_says_it_reads_and_asks_for_nothing() -> None:
    tools = [tool("a", reads=True, required=("x",)), tool("open_nodes"), tool("c", reads=True)]
    assert [call.tool for call in mix.harmless(tools, ["other"]).calls] == ["c"]
    with pytest.raises(UsageError, match="no tool there is known to be harmless"):
        mix.harmless(tools[:2], ["other"])
