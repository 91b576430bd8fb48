"""What the documents say is run: commands against a real fleet, configuration through the real loader."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet import ROOT, Fleet

PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def blocks(language: str) -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for kind, text in BLOCK.findall(page.read_text()):
            if kind == language:
                yield page, text


def commands() -> list[tuple[str, str]]:
    """Every `omnimind ...` line of every page."""
    found = []
    for page, text in blocks("sh"):
        for line in text.splitlines():
            words = line.split("#")[0].strip().removeprefix(".venv/bin/")
            if words.startswith("omnimind "):
                found.append((page.name, words))
    return found


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet({"filesystem": {}, "memory": {}, "thinking": {}}, auth=True) as running:
        yield running


@pytest.mark.parametrize(("page", "command"), commands())
def test_a_documented_command_works(fleet: Fleet, page: str, command: str) -> None:
    words = shlex.split(command)[1:]
    if words[0] in {"up", "down", "stop", "doctor", "logs", "systemd"}:
        words = [
            words[0],
            "--help",
        ]  # these own the terminal, the fleet or the units; that they exist is what a page can get wrong
    environment = {**os.environ, "OMNIMIND_STATE": str(fleet.state), "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "omnimind", *words],
        capture_output=True,
        text=True,
        timeout=30,
        env=environment,
        cwd=fleet.folder,
    )
    assert done.returncode == 0, f"{page}: {command}\n{done.stdout}{done.stderr}"


def test_documented_make_targets_exist() -> None:
    targets = set(re.findall(r"\bmake ((?:[a-z-]+ ?)+)", "".join(text for _, text in blocks("sh"))))
    assert targets
    for words in targets:
        subprocess.run(["make", "--dry-run", *words.split()], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize(("page", "text"), list(blocks("json")))
def test_documented_configuration_loads(page: Path, text: str, tmp_path: Path) -> None:
    document = json.loads(text)
    if "mcpServers" not in document:
        document = {"mcpServers": document}
    file = tmp_path / "mcp_servers.json"
    file.write_text(json.dumps(document))
    names = set(re.findall(r"\$\{env:([A-Za-z_]+)\}", text))
    for path in re.findall(r"\$\{file:~/([^}]+)\}", text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    done = subprocess.run(
        [sys.executable, "-m", "omnimind", "config", "check", str(file)],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "HOME": str(tmp_path), **dict.fromkeys(names, "x")},
    )
    assert done.returncode == 0, f"{page.name}\n{done.stdout}{done.stderr}"


def test_links_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in LINK.findall(page.read_text())
        if not (page.parent / target).exists()
    ]
    assert not broken
