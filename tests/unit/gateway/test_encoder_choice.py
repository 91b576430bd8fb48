"""What the plane is told of the semantic level's encoder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from omnimind import encoder as finding
from omnimind.gateway import encoder


def snapshot(*arguments: str | None) -> dict[str, Any]:
    tools = {f"tool{n}": {"enabled": True, "semantic": argument} for n, argument in enumerate(arguments)}
    return {"servers": [{"name": "plain"}, {"name": "docs", "cache": {"enabled": True, "tools": tools}}]}


def test_nothing_is_looked_for_unless_a_tool_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "find_encoder", lambda: pytest.fail("it was looked for"))
    assert encoder.of(snapshot()) == encoder.of(snapshot(None)) == {"off": encoder.UNUSED}
    assert encoder.of({"servers": []}) == {"off": encoder.UNUSED}


def test_a_configured_tool_gets_the_files_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    found = finding.EncoderFiles(Path("/p/w.safetensors"), Path("/p/t.json"), "p 1")
    monkeypatch.setattr(finding, "find_encoder", lambda: found)
    files = {"weights": "/p/w.safetensors", "tokenizer": "/p/t.json"}
    assert encoder.of(snapshot(None, "query")) == {"files": files}


def test_without_the_package_the_reason_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    said = encoder.of(snapshot("query"))["off"]
    assert said.startswith(f"the package {finding.PACKAGE} is not installed")
    assert finding.INSTALL in said
