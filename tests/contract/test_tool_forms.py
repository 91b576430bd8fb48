"""The lists of tools of fifteen real servers, as each writes them on its pipe, and their shorter forms; in full by
`make bar-tool-lists`.

A hundred per cent is the text of the `tools/list` result as the servers send it. What the shorter forms still say is
held against it by `tool_forms`, which knows none of our code.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tool_forms import pruned_complaints, signature_complaints
from toolbox import Toolbox

from omnimind import catalog
from omnimind.compression import tokens, tool_lists

pytestmark = [pytest.mark.bar, pytest.mark.timeout(180)]

PRUNED, SIGNATURES = 0.50, 0.12
"""Of the tokens, at most so many."""
SERVERS, TOOLS = 8, 77


@dataclass(frozen=True)
class Listed:
    """What a server answered to `tools/list`, to the letter."""

    sent: str

    @property
    def tools(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.sent)["tools"]
        return found

    @property
    def costs(self) -> dict[str, int]:
        minified = json.dumps(json.loads(self.sent), ensure_ascii=False, separators=(",", ":"))
        forms = {
            "sent": self.sent,
            "minified": minified,
            "shown": tool_lists.shown(self.tools),
            "pruned": tool_lists.pruned(self.sent),
            "signatures": tool_lists.signatures(self.sent),
        }
        return {"tools": len(self.tools)} | {name: tokens.count(text) for name, text in forms.items()}


def ask(command: list[str]) -> Listed:
    """A server's own bytes: started on a pipe, greeted, asked."""
    hello = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "visitor", "version": "1"},
    }
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}},
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for message in messages:
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
            answer = ""
            while "id" in message and f'"id":{message["id"]}' not in answer.replace(" ", ""):
                answer = process.stdout.readline()
                assert answer, f"{command} said nothing"
        process.stdin.close()
        process.terminate()
    return Listed(result_of(answer))


def result_of(answer: str) -> str:
    """The text of `result` in an answer."""
    begin = re.search(r'"result"\s*:\s*', answer)
    assert begin is not None, answer[:200]
    result, end = json.JSONDecoder().raw_decode(answer, begin.end())
    assert "nextCursor" not in result
    return answer[begin.end() : end]


@pytest.fixture(scope="module")
def lists(toolbox: Toolbox) -> Iterator[dict[str, Listed]]:
    with tempfile.TemporaryDirectory(prefix="omt-") as name:
        folder = Path(name).resolve()
        subprocess.run(["git", "init", "--quiet", "-b", "main", str(folder / "repository")], check=True)
        npm = ("server-everything", "server-filesystem", "server-memory", "server-sequential-thinking")
        commands = {f"{one} (npm)": toolbox.npm_server(one) for one in npm}
        commands["server-filesystem (npm)"].append(str(folder))
        for one in ("mcp-server-git", "mcp-server-time"):
            commands[f"{one} (PyPI)"] = [str(toolbox.script("servers", one))]
        for builtin in catalog.BUILTINS:
            state = ["--state", str(folder / builtin.name)]
            commands[builtin.name] = [
                sys.executable,
                "-m",
                "omnimind.servers",
                builtin.name,
                "--stdio",
                *state,
            ]
        with ThreadPoolExecutor(3) as pool:
            yield dict(zip(commands, pool.map(ask, commands.values()), strict=True))


def test_half_the_tokens_in_the_protocols_form_and_an_eighth_as_signatures(lists: dict[str, Listed]) -> None:
    rows = {name: one.costs for name, one in lists.items()}
    theirs = [one for name, one in lists.items() if name.endswith(")")]
    ours = [one for name, one in lists.items() if not name.endswith(")")]
    whole = together([*theirs, *ours])
    print(
        table(
            rows
            | {"of others, as one": together(theirs), "ours, as one": together(ours), "all, as one": whole}
        )
    )
    assert len(rows) >= SERVERS
    assert whole["tools"] >= TOOLS
    assert whole["pruned"] <= PRUNED * whole["sent"]
    assert whole["signatures"] <= SIGNATURES * whole["sent"]


def together(lists: list[Listed]) -> dict[str, int]:
    """What servers send, and what is left of it in one list, as a client of all of them gets it."""
    tools = [tool for one in lists for tool in one.tools]
    return Listed(tool_lists.written(tools)).costs | {"sent": sum(tokens.count(one.sent) for one in lists)}


def table(rows: dict[str, dict[str, int]]) -> str:
    """Tokens, and in brackets the share of what was sent."""
    keys = list(next(iter(rows.values())))
    lines = [f"{'tokens':36}" + "".join(f"{key:>18}" for key in keys)]
    for name, row in rows.items():
        shares = {key: f" ({row[key] / row['sent']:.1%})" for key in keys if key not in ("tools", "sent")}
        lines.append(f"{name:36}" + "".join(f"{row[key]:,}{shares.get(key, '')}".rjust(18) for key in keys))
    return "\n".join(lines)


def test_the_protocols_form_says_all_that_a_call_needs(lists: dict[str, Listed]) -> None:
    for name, one in lists.items():
        pruned = json.loads(tool_lists.pruned(one.sent))["tools"]
        assert not (found := list(pruned_complaints(one.tools, pruned))), f"{name}: {found}"


def test_a_signature_names_every_parameter_its_type_and_its_choices(lists: dict[str, Listed]) -> None:
    for name, one in lists.items():
        found = list(signature_complaints(one.tools, tool_lists.signatures(one.sent)))
        assert not found, f"{name}: {found}"


def test_what_is_missing_is_found() -> None:
    schema = {
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "Where"},
            "mode": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
            "kind": {"enum": ["a", "b"]},
            "rows": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}},
        },
        "required": ["path"],
    }
    tool = {"name": "read", "description": "Reads. Much.", "inputSchema": schema, "title": "Read"}
    text = json.dumps([tool])
    pruned, line = tool_lists.pruned(text), tool_lists.signatures(text)
    assert not list(pruned_complaints([tool], json.loads(pruned)))
    assert not list(signature_complaints([tool], line))
    for there, gone in (
        ('"required":["path"]', '"required":[]'),
        ('"mode"', '"node"'),
        ('["a","b"]', '["a"]'),
        ('"Where"', '"There"'),
        ('"integer"', '"number"'),
        ('"read"', '"reed"'),
    ):
        assert there in pruned
        assert list(pruned_complaints([tool], json.loads(pruned.replace(there, gone)))), gone
    for there, gone in (
        ("mode?", "mode"),
        ("a|b", "a|c"),
        ("read(", "reed("),
        ("n?:int", "n?"),
        ("path,", ""),
    ):
        assert there in line, line
        assert list(signature_complaints([tool], line.replace(there, gone))), gone
