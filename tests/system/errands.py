"""What an agent asks of real servers in a working day, from a seed: searches, queries, logs, histories, all long.

`World` makes what is asked about (a database, a repository, records; the files are this project's own) and names the
servers; `errands` are calls without an end, each with what the agent wants to know.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from omnimind.bench.nine_world import NOUNS, STATES
from tests.calling import Caller
from tests.fixtures.repositories import Scratch
from tests.fleet import ROOT, Fleet

SHORT: Final = "-short"
"""Ends the names of the servers that tell the same in fewer tokens."""
TOOLS: Final = {
    "filesystem": ("search_files", "directory_tree", "read_text_file"),
    "sqlite": ("read_query", "export_rows"),
    "logging": ("search_logs",),
    "git": ("git_log", "git_show", "git_diff"),
}
TOWNS: Final = ("Porto", "Turku", "Gdansk", "Leiden", "Brno", "Kaunas")
COMMITS, ORDERS, RECORDS = 240, 3_000, 300
FARTHEST: Final = 20
"""Commits between two that are compared, at most."""


@dataclass(frozen=True)
class Errand:
    """A call, and the question behind it."""

    server: str
    tool: str
    arguments: dict[str, Any]
    question: str


@dataclass
class World:
    """What the servers work on, below one folder."""

    folder: Path
    rng: random.Random
    revisions: list[str] = field(default_factory=list)

    @property
    def repository(self) -> dict[str, Any]:
        return {"repo_path": str(self.folder / "shop")}

    def servers(self) -> dict[str, Any]:
        """Each server twice: as it is, and with its results told in a quarter of the tokens."""
        self._make_repository()
        arguments = {
            "filesystem": [str(ROOT / name) for name in ("python", "rust", "docs", "tests", "benches")],
            "git": ["--repository", str(self.folder)],
        }
        found = {}
        for name, tools in TOOLS.items():
            entry = {"builtin": name, "args": arguments.get(name, [])}
            found[name] = entry
            found[name + SHORT] = entry | {"compress": {"tools": dict.fromkeys(tools, True)}}
        return found

    def fill(self, fleet: Fleet) -> None:
        """Rows and records, through the servers themselves."""
        rows = [
            {
                "id": at,
                "placed": f"2026-{self.rng.randint(1, 11):02}-{self.rng.randint(1, 28):02}",
                "town": self.rng.choice(TOWNS),
                "state": self.rng.choice(STATES),
                "euro": round(self.rng.lognormvariate(4, 1), 2),
                "customer": f"{self.rng.choice(NOUNS)}-{self.rng.getrandbits(24):06x}",
            }
            for at in range(1, ORDERS + 1)
        ]
        text = "\n".join(json.dumps(row) for row in rows)
        ask(fleet, Errand("sqlite", "import_rows", {"table": "orders", "text": text, "format": "jsonl"}, ""))
        for at in range(RECORDS):
            word, took = self.rng.choice(NOUNS), self.rng.randint(3, 900)
            bad = self.rng.random() < 0.04
            message = (
                f"{word} {self.rng.getrandbits(32):08x} failed after {took} ms: no answer of 10.0.3.{at % 250}"
                if bad
                else f"{word} {self.rng.getrandbits(32):08x} done in {took} ms"
            )
            record = {"message": message, "level": "error" if bad else "info", "origin": word}
            ask(fleet, Errand("logging", "append_log", record, ""))

    def _make_repository(self) -> None:
        scratch = Scratch.make(self.folder / "shop")
        files = sorted((ROOT / "python").rglob("*.py"))
        stream = []
        for at in range(COMMITS):
            file = self.rng.choice(files)
            lines = file.read_text().splitlines(keepends=True)
            begin = self.rng.randrange(max(1, len(lines) - 120))
            data = "".join(lines[begin : begin + self.rng.randint(60, 160)]).encode()
            message = f"{self.rng.choice(NOUNS).capitalize()}: {self.rng.choice(NOUNS)} {at}\n\nSeen in {file.name}.\n"
            stream.append(
                f"commit refs/heads/main\ncommitter Ada <ada@example.org> {1_700_000_000 + at * 977} +0000\n".encode()
                + f"data {len(message)}\n{message}".encode()
                + f"M 100644 inline {file.relative_to(ROOT)}\ndata {len(data)}\n".encode()
                + data
                + b"\n"
            )
        command = ["git", "-C", str(scratch.path), "fast-import", "--quiet"]
        subprocess.run(command, input=b"".join(stream), check=True, timeout=60)
        self.revisions = scratch.git("rev-list", "main").split()


def errands(world: World, rng: random.Random) -> Iterator[Errand]:
    """One after the other, for ever: rounds of one of each kind, in an order that is drawn."""
    folders = [str(folder) for folder in sorted((ROOT / "rust").iterdir()) if (folder / "src").is_dir()]
    texts = [str(file) for file in sorted((ROOT / "docs").rglob("*.md")) if file.stat().st_size > 6_000]
    texts += [str(file) for file in sorted((ROOT / "python").rglob("*.py")) if file.stat().st_size > 9_000]

    def files(word: str) -> Errand:
        pattern = f"**/*{rng.choice('abcdeilmnoprst')}*.{rng.choice(('py', 'rs'))}"
        where = {"path": str(ROOT / rng.choice(("python", "tests", "rust"))), "pattern": pattern}
        return Errand(
            "filesystem",
            "search_files",
            where | {"limit": rng.randint(60, 400)},
            f"Where is the {word} handled?",
        )

    def tree(word: str) -> Errand:
        return Errand(
            "filesystem",
            "directory_tree",
            {"path": rng.choice(folders)},
            f"Where are the tests of the {word}?",
        )

    def text(word: str) -> Errand:
        return Errand(
            "filesystem", "read_text_file", {"path": rng.choice(texts)}, f"What limit has the {word}?"
        )

    def rows(_: str) -> Errand:
        town, since, most = rng.choice(TOWNS), rng.randrange(ORDERS // 2), rng.randint(60, 400)
        query = f"SELECT * FROM orders WHERE town = '{town}' AND id > {since} LIMIT {most}"
        return Errand("sqlite", "read_query", {"query": query}, f"Which orders of {town} were refused?")

    def export(_: str) -> Errand:
        least, most = rng.randint(10, 60), rng.randint(60, 400)
        query = f"SELECT * FROM orders WHERE euro > {least} ORDER BY placed LIMIT {most}"
        form = rng.choice(("csv", "json"))
        return Errand("sqlite", "export_rows", {"query": query, "format": form}, "Which order cost most?")

    def log(word: str) -> Errand:
        order, most = rng.choice(("newest", "oldest")), rng.randint(40, 200)
        wanted = {"limit": most, "sources": ["@records"], "order": order}
        return Errand("logging", "search_logs", wanted, f"Which {word} failed?")

    def history(word: str) -> Errand:
        page = {"max_count": rng.randint(20, 110), "skip": rng.randrange(COMMITS // 2)}
        return Errand("git", "git_log", world.repository | page, f"When was the {word} changed?")

    def commit(word: str) -> Errand:
        one = {"revision": rng.choice(world.revisions)}
        return Errand("git", "git_show", world.repository | one, f"What was changed of the {word}?")

    def change(word: str) -> Errand:
        new = rng.randrange(COMMITS - FARTHEST)
        old = new + rng.randint(2, FARTHEST)
        between = {"target": f"{world.revisions[old]}..{world.revisions[new]}"}
        return Errand("git", "git_diff", world.repository | between, f"What was changed of the {word}?")

    kinds = (files, tree, text, rows, export, log, history, commit, change)
    while True:
        for kind in rng.sample(kinds, len(kinds)):
            yield kind(rng.choice(NOUNS))


def ask(fleet: Fleet, errand: Errand, suffix: str = "") -> dict[str, Any]:
    """The result of a call, at its server's endpoint or at that of its twin."""
    caller = Caller(
        fleet.url(errand.server + suffix),
        token=fleet.token,
        takes_kept=True,
        meta={"omnimind/query": errand.question} if errand.question else None,
    )
    try:
        answer = caller.call("tools/call", {"name": errand.tool, "arguments": errand.arguments})
    finally:
        caller.close()
    assert "result" in answer, answer
    result: dict[str, Any] = answer["result"]
    assert not result.get("isError"), (errand, result["content"])
    return result
