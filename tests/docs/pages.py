"""The pages of the built-in servers as the tests read them, and the one fleet that their sessions run against.

A page writes `/home/ada` for the reader's home folder. The fleet gets a fresh folder in its place, so what a page
shows can be run as it stands: the first `json` block of a page that names its server is that server's entry,
and every folder in it exists before the fleet starts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omnimind import catalog
from tests.fleet import ROOT, Fleet

HOME = "/home/ada"
SERVER_PAGES = tuple(sorted((ROOT / "docs" / "servers").glob("*.md")))
FILES = {
    "build.log": "".join(f"[{n}/400] compiling unit_{n}.c\n" for n in range(400))
    + "error: unit_9.c:4: no such type\n",
    "rows.json": json.dumps([{"id": n, "state": "open", "owner": "ada"} for n in range(300)]),
    "docs/gateway.md": (ROOT / "docs" / "gateway.md").read_text(),
}
"""What pages speak of as if it were in the reader's folder."""
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in this language."""
    return [text for kind, text in BLOCK.findall(page.read_text()) if kind == language]


def table(page: Path, first: str) -> list[list[str]]:
    """The rows of the table whose first column is headed `first`, without its head; backticks are dropped."""
    found: list[list[str]] = []
    inside = False
    for line in page.read_text().splitlines():
        cells = [cell.strip().replace("`", "") for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            if inside:
                break
        elif inside:
            found.append(cells)
        else:
            inside = cells[0] == first
    return found[1:]


@dataclass(frozen=True)
class PagesFleet:
    """A fleet of all built-in servers, as the pages configure them."""

    fleet: Fleet
    home: Path

    def placed(self, text: str) -> str:
        """What a page shows, for this fleet."""
        return text.replace(HOME, str(self.home))


@contextmanager
def pages_fleet(home: Path) -> Iterator[PagesFleet]:
    """Every available server with the entry that its page shows."""
    servers = {builtin.name: _entry(builtin.name, home) for builtin in catalog.BUILTINS}
    for name, text in FILES.items():
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(text)
    with Fleet(servers, auth=True, environment={"HOME": str(home)}) as fleet:
        yield PagesFleet(fleet, home)


def _entry(name: str, home: Path) -> dict[str, Any]:
    page = ROOT / "docs" / "servers" / f"{name}.md"
    for text in blocks(page, "json") if page.exists() else []:
        document = json.loads(text.replace(HOME, str(home)))
        entry = document.get("mcpServers", document).get(name)
        if isinstance(entry, dict):
            for argument in entry.get("args", []):
                _make_room(Path(argument), home)
            return {key: value for key, value in entry.items() if key != "port"}
    return {}


def _make_room(path: Path, home: Path) -> None:
    if path.is_relative_to(home):
        (path.parent if path.suffix else path).mkdir(parents=True, exist_ok=True)
