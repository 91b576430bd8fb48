"""`omnimind tokens`: what lists of tools cost, from a fleet or from a file."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fake_fleet import FakeFleet, result

from omnimind import cli
from omnimind.compression import tokens
from omnimind.errors import Exit

Capture = pytest.CaptureFixture[str]


def tool(name: str, words: int = 20) -> dict[str, Any]:
    return {
        "name": name,
        "title": name.title(),
        "description": "Looks for a word. " + "It takes its time. " * words,
        "inputSchema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {"word": {"type": "string", "title": "Word"}, "most": {"type": "integer"}},
            "required": ["word"],
            "additionalProperties": False,
        },
        "outputSchema": {"type": "object", "properties": {"found": {"type": "array", "title": "Found"}}},
    }


OWN = {"memory": [tool("search"), tool("open", 90)], "thinking": [tool("think", 3)]}


def serve(fleet: FakeFleet, silent: str = "") -> None:
    """The gateway's answers, each list in the form that the address asks for."""

    def respond(body: dict[str, Any]) -> tuple[int, str, bytes]:
        address = urlsplit(fleet.paths[-1])
        form = parse_qs(address.query)["tools"][0]
        parts = address.path.split("/")
        if parts[1] == "servers":
            assert form == "whole"
            if parts[2] == silent:
                error = {"jsonrpc": "2.0", "id": body["id"], "error": {"code": 50300, "message": "parked"}}
                return 503, "application/json", json.dumps(error).encode()
            return result(body, {"tools": OWN[parts[2]]})
        if form in ("signatures", "search"):
            return result(body, {"tools": [tool("call_tool", 8 if form == "signatures" else 1)]})
        named = [one | {"name": f"{server}__{one['name']}"} for server, own in OWN.items() for one in own]
        return result(
            body, {"tools": named if form == "whole" else [one | {"outputSchema": 0} for one in named]}
        )

    fleet.respond = respond


def figures(line: str) -> list[int]:
    return [int(word.replace(",", "")) for word in line.split()[1:] if word.replace(",", "").isdigit()]


def cost(tools: list[dict[str, Any]]) -> int:
    return tokens.count(json.dumps({"tools": tools}, separators=(",", ":")))


def test_a_line_a_server_the_dearest_first_and_a_bar_a_form(fleet: FakeFleet, capsys: Capture) -> None:
    serve(fleet)
    assert cli.main(["tokens"]) == Exit.OK
    out = capsys.readouterr().out
    assert all(len(line) <= 80 for line in out.splitlines())
    head, memory, thinking, everything, _, *bars = out.splitlines()
    assert head.split() == ["SERVER", "TOOLS", "WHOLE", "SHOWN", "PRUNED", "SIGNATURES"]
    assert [line.split()[0] for line in (memory, thinking, everything)] == ["memory", "thinking", "/mcp"]
    assert figures(memory)[:2] == [2, cost(OWN["memory"])]
    _, whole, shown, pruned, signatures = figures(memory)
    assert whole > shown > pruned > signatures
    assert [line.split()[0] for line in bars[1:5]] == ["whole", "pruned", "signatures", "search"]
    assert figures(bars[4])[0] == cost([tool("call_tool", 1)]), "what the gateway would send"
    assert figures(bars[1]) == figures(everything)[1:3], "sent, and shown"
    assert bars[1].count("█") > bars[3].count("█") >= bars[4].count("█") > 0
    assert bars[1].count("░") > 0
    assert bars[4].split()[2].startswith("-")


def test_json_has_every_tool_and_who_is_silent_is_said(fleet: FakeFleet, capsys: Capture) -> None:
    serve(fleet, silent="thinking")
    assert cli.main(["tokens", "--json"]) == Exit.OK
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (told["tokenizer"], told["exact"]) == ("o200k_base", True)
    (memory,) = told["servers"]
    assert memory["name"] == "memory"
    assert memory["tokens"]["whole"] == cost(OWN["memory"])
    assert [one["name"] for one in memory["tools"]] == ["search", "open"]
    assert set(told["paid"]) == {"whole", "pruned", "signatures", "search"}
    assert told["paid"]["whole"]["tokens"] > told["paid"]["whole"]["shown"]
    assert "parked" in told["not_counted"]["thinking"]
    assert "thinking is not counted" in err


def test_the_heaviest_tools_with_their_share(fleet: FakeFleet, capsys: Capture) -> None:
    serve(fleet)
    assert cli.main(["tokens", "--tools"]) == Exit.OK
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["TOOL", "WHOLE", "SHARE", "PRUNED"]
    assert [row.split(": ")[1].split()[0] for row in rows] == ["open", "search", "think"]
    assert sum(float(row.split()[-2].rstrip("%")) for row in rows) == pytest.approx(100, abs=0.3)


def test_one_server_is_asked_alone(fleet: FakeFleet, capsys: Capture) -> None:
    serve(fleet)
    assert cli.main(["tokens", "thinking"]) == Exit.OK
    assert fleet.paths == ["/servers/thinking/mcp?tools=whole"]
    assert "memory" not in capsys.readouterr().out
    assert cli.main(["tokens", "thinkin"]) == Exit.FAILURE
    assert "did you mean thinking?" in capsys.readouterr().err


def test_without_a_fleet_it_says_how_to_start_one(state: Path, capsys: Capture) -> None:
    assert cli.main(["tokens"]) == Exit.NO_FLEET
    assert "omnimind up" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["list", "result", "answer"])
def test_a_saved_list_is_counted_without_a_fleet(
    form: str, state: Path, tmp_path: Path, capsys: Capture
) -> None:
    forms = {"list": OWN["memory"], "result": {"tools": OWN["memory"]}}
    forms["answer"] = {"jsonrpc": "2.0", "id": 1, "result": forms["result"]}
    file = tmp_path / "tools.json"
    file.write_text(json.dumps(forms[form], indent=2))
    assert cli.main(["tokens", "--file", str(file)]) == Exit.OK
    _, row, *_ = capsys.readouterr().out.splitlines()
    assert row.split()[0] == "tools.json"
    assert figures(row)[:2] == [2, cost(OWN["memory"])]


def test_stdin_is_read(state: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(OWN["thinking"])))
    assert cli.main(["tokens", "--file", "-", "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["paid"]["whole"]["tokens"] == cost(OWN["thinking"])


@pytest.mark.parametrize("text", ["{", "7", '{"tools": 7}', '[{"name": "x"}]', "[1]"])
def test_what_is_no_list_of_tools_is_refused(text: str, state: Path, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "tools.json"
    file.write_text(text)
    assert cli.main(["tokens", "--file", str(file)]) == Exit.USAGE
    err = capsys.readouterr().err
    assert "cannot be counted" in err
    assert "omnimind list --json" in err


def test_a_missing_file_and_two_wishes_are_refused(state: Path, capsys: Capture) -> None:
    assert cli.main(["tokens", "--file", "none.json"]) == Exit.USAGE
    assert "No such file" in capsys.readouterr().err
    assert cli.main(["tokens", "memory", "--file", "none.json"]) == Exit.USAGE
    assert "not both" in capsys.readouterr().err
