"""What the documents say is run: commands against a real fleet, configuration through the real loader.

On a server's page the `sh` blocks are one session: they run in a shell from top to bottom, in the reader's home.
"""

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

from tests.docs.pages import SERVER_PAGES, PagesFleet, blocks, pages_fleet
from tests.fleet import ROOT

PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]
EVERY_PAGE = [*PAGES, *SERVER_PAGES]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
OWNERS = ("up", "down", "stop", "serve", "doctor", "logs", "systemd")
"""Commands that own the terminal, the fleet or the units; that they exist is what a page can get wrong."""

SESSION_S = 60


def commands() -> list[tuple[str, str]]:
    """Every `omnimind ...` line of every page but the servers'."""
    found = []
    for page in PAGES:
        for line in "".join(blocks(page, "sh")).splitlines():
            words = line.split("#")[0].strip().removeprefix(".venv/bin/")
            if words.startswith("omnimind "):
                found.append((page.name, words))
    return found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PagesFleet]:
    with pages_fleet(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="module")
def environment(pages: PagesFleet, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A shell's environment in which `omnimind` is ours and speaks to this fleet."""
    programs = tmp_path_factory.mktemp("bin")
    script = programs / "omnimind"
    script.write_text(
        f'#!/bin/sh\ncase "$1" in {"|".join(OWNERS)}) set -- "$1" --help ;; esac\n'
        f'exec {shlex.quote(sys.executable)} -m omnimind "$@"\n'
    )
    script.chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    ours = {"OMNIMIND_STATE": str(pages.fleet.state), "NO_COLOR": "1", "HOME": str(pages.home), "PATH": path}
    return {**os.environ, **ours}


@pytest.mark.parametrize(("page", "command"), commands())
def test_a_documented_command_works(
    pages: PagesFleet, environment: dict[str, str], page: str, command: str
) -> None:
    done = subprocess.run(
        shlex.split(command),
        capture_output=True,
        text=True,
        timeout=30,
        env=environment,
        cwd=pages.home,
        executable=environment["PATH"].split(os.pathsep)[0] + "/omnimind",
    )
    assert done.returncode == 0, f"{page}: {command}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", SERVER_PAGES, ids=lambda page: page.stem)
def test_the_session_of_a_servers_page_works(
    pages: PagesFleet, environment: dict[str, str], page: Path
) -> None:
    session = pages.placed("\n".join(blocks(page, "sh")))
    done = subprocess.run(
        ["sh", "-eux"],
        input=session,
        capture_output=True,
        text=True,
        timeout=SESSION_S,
        env=environment,
        cwd=pages.home,
    )
    assert done.returncode == 0, (
        f"docs/servers/{page.name}: the session stopped at the last line marked +\n{done.stderr}{done.stdout}"
    )


def test_documented_make_targets_exist() -> None:
    shown = "".join(text for page in EVERY_PAGE for text in blocks(page, "sh"))
    targets = set(re.findall(r"\bmake ((?:[a-z-]+ ?)+)", shown))
    assert targets
    for words in targets:
        subprocess.run(["make", "--dry-run", *words.split()], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("page", "text"), [(page, text) for page in EVERY_PAGE for text in blocks(page, "json")]
)
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
        for page in EVERY_PAGE
        for target in LINK.findall(page.read_text())
        if not (page.parent / target).exists()
    ]
    assert not broken
