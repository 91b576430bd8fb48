"""Folders to work on: a project under git with some history, and numbers to ask a database about."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

PARTS = ("api", "billing", "catalog", "mail", "search", "users", "web", "jobs")
NOUNS = ("cart", "client", "config", "errors", "events", "filters", "limits", "models", "queue", "render", "routes",
         "schema", "session", "store", "tokens", "views")  # fmt: skip
LEVELS = ("debug", "info", "info", "info", "warning", "error", "error", "critical")
MESSAGES = (
    "payment {n} of customer {m} was declined",
    "queue {m} is {n} messages behind",
    "request {n} took {m} ms",
    "connection to replica {m} lost after {n} s",
    "cache of part {m} holds {n} entries",
    "mail {n} could not be delivered: mailbox {m} is full",
    "worker {m} restarted, {n} jobs handed back",
)
TABLES = {
    "customers": "id INTEGER PRIMARY KEY, name TEXT, city TEXT, since TEXT",
    "orders": "id INTEGER PRIMARY KEY, customer_id INTEGER, placed TEXT, total REAL",
    "products": "id INTEGER PRIMARY KEY, title TEXT, price REAL, stock INTEGER",
    "order_lines": "order_id INTEGER, product_id INTEGER, quantity INTEGER",
    "visits": "customer_id INTEGER, page TEXT, seconds REAL",
    "refunds": "order_id INTEGER, reason TEXT, amount REAL",
}


class Scenery:
    """What the servers are given to look at."""

    def __init__(self, home: Path, rng: random.Random) -> None:
        self.home = home
        self.project = home / "shop"
        self.spool = home / "spool"
        self._rng = rng
        self._write_project()
        self.spool.mkdir(parents=True)
        for number in range(170):
            (
                self.spool / f"{number:03d}-{rng.choice(NOUNS)}.{rng.choice(('json', 'csv', 'txt'))}"
            ).write_text("-\n")

    def arguments(self, server: str) -> list[str]:
        """What a server is started with."""
        return [str(self.home)] if server in ("filesystem", "git") else []

    def part(self, rng: random.Random) -> Path:
        """A folder of the project."""
        return self.project / "src" / rng.choice(PARTS)

    def message(self, rng: random.Random) -> tuple[str, str]:
        """A record of a log, and its level."""
        return rng.choice(MESSAGES).format(n=rng.randint(1, 900), m=rng.randint(1, 40)), rng.choice(LEVELS)

    def _write_project(self) -> None:
        for part in PARTS:
            folder = self.project / "src" / part
            folder.mkdir(parents=True)
            for noun in self._rng.sample(NOUNS, self._rng.randint(4, 8)):
                (folder / f"{noun}.py").write_text(self._module(noun))
            (folder / "README.md").write_text(f"# {part}\n\nWhat belongs to {part}.\n")
            if self._rng.random() < 0.5:
                (folder / "tests").mkdir()
                (folder / "tests" / f"test_{part}.py").write_text("def test_it() -> None:\n    assert True\n")
        self._git("init", "--quiet", "--initial-branch", "main")
        self._git("add", ".")
        self._git("commit", "--quiet", "--message", "The beginning")
        files = sorted(self.project.glob("src/*/*.py"))
        for number in range(40):
            for file in self._rng.sample(files, self._rng.randint(1, 3)):
                file.write_text(file.read_text() + f"\n\nSTEP_{number} = {self._rng.randint(1, 99)}\n")
            self._git(
                "commit", "--quiet", "--all", "--message", f"Step {number} of {self._rng.choice(NOUNS)}"
            )
            self._git("tag", f"v0.{number}")

    def _module(self, noun: str) -> str:
        names = self._rng.sample(NOUNS, 4)
        return "".join(
            f"def {name}_{noun}(value: int) -> int:\n    return value + {len(name)}\n\n\n" for name in names
        )

    def _git(self, *words: str) -> None:
        identity = ("-c", "user.name=Dev", "-c", "user.email=dev@example.org")
        subprocess.run(("git", *identity, "-C", str(self.project), *words), check=True)
