"""What the throw-away fleet works on, made from a seed: files, a repository with history, a database, memories, logs.

The same seed makes the same bytes, commits included, so that two runs on two machines are asked the same. The sizes are
those an agent meets: a note of a page, a module of some hundred lines, a log, a table of thousands of rows.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

_FIRST_COMMIT: Final = 1_767_225_600
_COMMITS, _ORDERS, _LOG_LINES, _RECORDS = 80, 3_000, 320, 64
_TOWNS: Final = ("Porto", "Turku", "Gdansk", "Leiden", "Brno", "Kaunas", "Ghent", "Split")
STATES: Final = ("paid", "paid", "paid", "paid", "open", "sent", "sent", "refused")
NOUNS: Final = (
    "refund",
    "courier",
    "ledger",
    "invoice",
    "parcel",
    "stock",
    "window",
    "archive",
    "tariff",
    "pallet",
)
_VERBS: Final = ("checks", "sorts", "holds", "returns", "splits", "merges", "counts", "prices")
_WHERE: Final = (
    "at the gate",
    "before noon",
    "in two steps",
    "for each town",
    "without a lock",
    "once a day",
)
_MODULES: Final = ("orders", "prices", "stock", "couriers", "refunds", "reports")
_NOTES: Final = ("plan", "design", "minutes", "onboarding")


def write(folder: Path, seed: int) -> None:
    """Files, repository and database below `folder`, which is empty. Takes a few tenths of a second."""
    rng = random.Random(seed)  # noqa: S311 - the same again is what is wanted
    files = folder / "files"
    texts = {f"notes/{name}.md": _note(rng, name) for name in _NOTES}
    texts |= {f"src/{name}.py": _module(rng, name) for name in _MODULES}
    texts["logs/app.log"] = "".join(f"{line}\n" for line in _log(rng, _LOG_LINES))
    texts["data/orders.csv"] = _table(rng)
    texts["drafts/plan.md"] = "# Draft\n"
    for name, text in texts.items():
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).write_text(text)
    _repository(files / "shop", rng)
    _database(folder / "shop.db", rng)


def belongings(seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The calls by which one agent comes to have memories, contexts and records: (tool of `/mcp`, arguments)."""
    rng = random.Random(seed)  # noqa: S311 - as above
    entities = [
        {
            "name": f"{noun}-{at}",
            "entityType": noun,
            "observations": [_sentence(rng) for _ in range(3)],
        }
        for at, noun in enumerate(NOUNS * 4)
    ]
    yield "memory__create_entities", {"entities": entities}
    for _ in range(12):
        yield "memory__store_memory", {"content": _prose(rng, 3), "tags": [rng.choice(NOUNS)]}
    for at in range(8):
        text = "\n".join(_log(rng, 40)) if at % 2 else _note(rng, rng.choice(NOUNS))
        kept = {"content": text, "level": "project", "title": f"{NOUNS[at]} so far", "tags": [NOUNS[at]]}
        yield "context__store_context", kept
    yield "context__store_context", {"content": "nothing yet", "level": "working", "key": "task"}
    first = {"thoughtNumber": 1, "totalThoughts": 3, "nextThoughtNeeded": True}
    yield "thinking__sequentialthinking", {"thought": _sentence(rng), **first}
    for line in _log(rng, _RECORDS):
        _, level, message = line.split(" ", 2)
        yield "logging__append_log", {"message": message, "level": level.lower(), "origin": "shop"}


def _sentence(rng: random.Random) -> str:
    one, other = rng.sample(NOUNS, 2)
    number = rng.randint(2, 900)
    return f"The {one} {rng.choice(_VERBS)} {number} of the {other} {rng.choice(_WHERE)}."


def _prose(rng: random.Random, sentences: int) -> str:
    return " ".join(_sentence(rng) for _ in range(sentences))


def _note(rng: random.Random, name: str) -> str:
    parts = [f"## The {noun}\n\n{_prose(rng, 9)}\n" for noun in rng.sample(NOUNS, 5)]
    return "\n".join([f"# {name.capitalize()}\n", *parts])


def _module(rng: random.Random, name: str) -> str:
    head = f'"""{name.capitalize()}: {_sentence(rng)}"""\n\nfrom __future__ import annotations\n'
    parts = [head, f"LIMIT = {rng.randint(10, 99)}\n"]
    for at in range(30):
        noun, verb = rng.choice(NOUNS), rng.choice(_VERBS)
        parts.append(
            f"\ndef {verb}_{noun}_{at}(rows: list[dict[str, int]], most: int = LIMIT) -> int:\n"
            f'    """{_sentence(rng)}"""\n'
            f"    found = 0\n    for row in rows:\n"
            f'        if row["{noun}"] > {rng.randint(1, 500)}:\n'
            f'            found += row["{noun}"] % most\n    return found\n'
        )
    return "\n".join(parts)


def _log(rng: random.Random, lines: int) -> Iterator[str]:
    """Lines as `time LEVEL message`; one in twenty-five is an error."""
    for at in range(lines):
        what = f"{rng.choice(NOUNS)} of order {rng.randint(10_000, 99_999)}"
        moment = f"2026-03-{1 + at // 1440:02}T{at // 60 % 24:02}:{at % 60:02}:{rng.randrange(60):02}Z"
        if rng.random() < 0.04:
            yield f"{moment} ERROR {what} failed: no answer from 10.0.3.{rng.randint(2, 250)} after 30 s"
        else:
            yield f"{moment} INFO {what} done by station {rng.randint(1, 9)} in {rng.randint(3, 900)} ms"


def _rows(rng: random.Random) -> Iterator[tuple[int, str, str, str, float, str]]:
    for at in range(1, _ORDERS + 1):
        placed = f"2026-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
        customer = f"{rng.choice(NOUNS)}-{rng.getrandbits(24):06x}"
        yield (
            at,
            placed,
            rng.choice(_TOWNS),
            rng.choice(STATES),
            round(rng.lognormvariate(4, 1), 2),
            customer,
        )


def _table(rng: random.Random) -> str:
    lines = [",".join(map(str, row)) for row, _ in zip(_rows(rng), range(300), strict=False)]
    return "\n".join(["id,placed,town,state,euro,customer", *lines]) + "\n"


def _database(file: Path, rng: random.Random) -> None:
    with closing(sqlite3.connect(file)) as data, data:
        data.execute(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, placed TEXT, town TEXT, state TEXT, euro REAL, customer TEXT)"
        )
        data.execute("CREATE INDEX by_town ON orders (town)")
        data.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, run TEXT, number INTEGER, what TEXT)")
        data.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", _rows(rng))


def _repository(folder: Path, rng: random.Random) -> None:
    """A history by one hand, an hour between commits: the ids are the same wherever it is made."""
    import pygit2

    repository = pygit2.init_repository(str(folder), initial_head="main")
    for key, value in (("user.name", "Ada"), ("user.email", "ada@example.org")):
        repository.config[key] = value
    tips: list[pygit2.Oid] = []
    for at in range(_COMMITS):
        name = rng.choice(_MODULES)
        (folder / f"{name}.py").write_text(_module(rng, name)[: rng.randint(1_500, 5_000)])
        repository.index.add(f"{name}.py")
        repository.index.write()
        who = pygit2.Signature("Ada", "ada@example.org", _FIRST_COMMIT + at * 3_600, 0)
        message = f"{name.capitalize()}: {_sentence(rng)}\n\n{_sentence(rng)}\n"
        tree = repository.index.write_tree()
        tips = [repository.create_commit("HEAD", who, who, message, tree, tips)]
    (folder / "stock.py").write_text(
        _module(rng, "stock")[:3_000]
    )  # not committed: there is something to see
