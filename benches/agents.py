"""Agents that are scripts: what people's agents do with files, git, a database and logs, with chance in every step.

They look for something, read some of what they find (more often from the top, often enough from anywhere), go back,
change their mind, and turn pages until they have had enough. No step knows that it is recorded for a predictor.
"""

from __future__ import annotations

import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import anyio

from benches.scenery import NOUNS, TABLES, Scenery


class Call(Protocol):
    """Calls a tool of a server."""

    async def __call__(self, server: str, tool: str, **arguments: Any) -> Any: ...


Work = Callable[[Call, Scenery, random.Random], Awaitable[None]]


async def nothing(call: Call, scenery: Scenery) -> None:
    """Nothing to prepare."""


@dataclass(frozen=True)
class Agent:
    """One kind of agent."""

    servers: tuple[str, ...]
    work: Work
    prepare: Callable[[Call, Scenery], Awaitable[None]] = nothing


def some(items: list[str], rng: random.Random, most: int) -> list[str]:
    """A few of them: two times in three the first ones in their order, else any."""
    count = min(len(items), rng.randint(1, most))
    return items[:count] if rng.random() < 0.67 else rng.sample(items, count)


async def turn(rng: random.Random, page: Callable[[int], Awaitable[bool]], most: int) -> None:
    """Asks for page after page while there are more, and until there were enough."""
    for number in range(rng.randint(1, most)):
        if not await page(number):
            return


# Coding: files and git.


async def explore(call: Call, scenery: Scenery, rng: random.Random) -> None:
    folder = str(scenery.part(rng))
    listed = await call("filesystem", "list_directory", path=folder)
    names = re.findall(r"\[FILE\] (\S+)", listed["content"])
    for name in some([name for name in names if name.endswith(".py")] or names, rng, 4):
        await call("filesystem", "read_text_file", path=f"{folder}/{name}")


async def search(call: Call, scenery: Scenery, rng: random.Random) -> None:
    pattern = f"**/{rng.choice(NOUNS)}*"
    found = await call("filesystem", "search_files", path=str(scenery.project), pattern=pattern)
    files = [line for line in found["content"].splitlines() if line.startswith("/")]
    for file in some(files, rng, 3):
        if rng.random() < 0.15:
            await call("filesystem", "get_file_info", path=file)
        await call("filesystem", "read_text_file", path=file)


async def edit(call: Call, scenery: Scenery, rng: random.Random) -> None:
    repository = str(scenery.project)
    if rng.random() < 0.7:
        await call("git", "git_status", repo_path=repository)
    file = str(rng.choice(sorted(scenery.part(rng).glob("*.py"))))
    await call("filesystem", "read_text_file", path=file)
    text = f"\n\nLIMIT_{rng.randint(1, 9999)} = {rng.randint(1, 99)}\n"
    now = await anyio.Path(file).read_text(encoding="utf-8")
    await call("filesystem", "write_file", path=file, content=now + text)
    await call("git", "git_diff_unstaged", repo_path=repository)
    if rng.random() < 0.6:
        await call("git", "git_add", repo_path=repository, files=[file.removeprefix(f"{repository}/")])
        if rng.random() < 0.5:
            await call("git", "git_diff_staged", repo_path=repository)
        author = {"author_name": "Dev", "author_email": "dev@example.org"}
        await call(
            "git", "git_commit", repo_path=repository, message=f"Limits of {rng.choice(NOUNS)}", **author
        )
        if rng.random() < 0.4:
            await call("git", "git_status", repo_path=repository)


async def history(call: Call, scenery: Scenery, rng: random.Random) -> None:
    repository = str(scenery.project)
    log = await call("git", "git_log", repo_path=repository, max_count=rng.choice((5, 10, 10)))
    commits = re.findall(r"Commit: (\w+)", str(log["content"]))
    for commit in some(commits, rng, 3):
        await call("git", "git_show", repo_path=repository, revision=commit)
    if rng.random() < 0.3:
        await call("git", "git_branch", repo_path=repository, branch_type="local")


async def code(call: Call, scenery: Scenery, rng: random.Random) -> None:
    if rng.random() < 0.6:
        await call("git", "git_status", repo_path=str(scenery.project))
    for task in rng.choices((explore, search, edit, history), weights=(4, 3, 3, 2), k=rng.randint(3, 5)):
        await task(call, scenery, rng)


# Analysis: a database and some Python.


async def fill(call: Call, scenery: Scenery) -> None:
    rng = random.Random(7)
    for table, columns in TABLES.items():
        await call("sqlite", "create_table", query=f"CREATE TABLE {table} ({columns})")
        width = columns.count(",") + 1
        rows = ",".join(
            f"({row},{','.join(str(rng.randint(1, 60)) for _ in range(width - 1))})" for row in range(1, 131)
        )
        await call("sqlite", "write_query", query=f"INSERT INTO {table} VALUES {rows}")


async def analyse(call: Call, scenery: Scenery, rng: random.Random) -> None:
    tables = await call("sqlite", "list_tables")
    names = [row[0] for row in tables["rows"]]
    chosen = some(names, rng, 4)
    for name in chosen:
        await call("sqlite", "describe_table", table_name=name)
        if rng.random() < 0.5:
            await call("sqlite", "read_query", query=f"SELECT * FROM {name} LIMIT 5")
    for name in rng.choices(chosen, k=rng.randint(1, 3)):
        column = TABLES[name].split(", ")[rng.randint(1, TABLES[name].count(","))].split(" ")[0]
        await call("sqlite", "read_query", query=f"SELECT COUNT(*) FROM {name}")
        await call(
            "sqlite",
            "read_query",
            query=f"SELECT {column}, COUNT(*) FROM {name} GROUP BY {column} ORDER BY 2 DESC LIMIT 8",
        )
        if rng.random() < 0.4:
            await rows(call, rng, name)
        if rng.random() < 0.4:
            number = rng.randint(2, 99)
            await call(
                "python",
                "execute",
                code=f"values = [{number}, {number * 3}, 8]\nprint(sum(values) / len(values))",
            )
        if rng.random() < 0.3:
            await call(
                "sqlite", "append_insight", insight=f"{column} of {name} has {rng.randint(2, 60)} values"
            )


async def rows(call: Call, rng: random.Random, table: str) -> None:
    query = f"SELECT * FROM {table} WHERE rowid > {rng.randint(1, 40)}"

    async def page(number: int) -> bool:
        more = {"offset": 20 * number} if number else {}
        answer = await call("sqlite", "read_query", query=query, limit=20, **more)
        return bool(answer and answer["more"])

    await turn(rng, page, 5)


# Triage: logs and the machine.


async def log(call: Call, scenery: Scenery) -> None:
    rng = random.Random(11)
    for _ in range(240):
        message, level = scenery.message(rng)
        await call("logging", "append_log", message=message, level=level)


async def triage(call: Call, scenery: Scenery, rng: random.Random) -> None:
    if rng.random() < 0.7:
        await call("system_info", "health_summary")
    if rng.random() < 0.5:
        await call("logging", "log_sources")
    level = rng.choice(("error", "error", "warning"))
    if rng.random() < 0.6:
        await call("logging", "log_templates", level=level, limit=8)
    for word in rng.sample(("payment", "queue", "request", "replica", "mail", "worker"), rng.randint(1, 2)):
        await find(call, rng, word, level)
    if rng.random() < 0.6:
        for tool in rng.choices(("memory_info", "disk_usage", "cpu_info"), k=rng.randint(1, 3)):
            await call("system_info", tool)
    if rng.random() < 0.4:
        await call("logging", "log_stats", level=level)


async def find(call: Call, rng: random.Random, word: str, level: str) -> None:
    cursor: str | None = None
    ids: list[str] = []
    for _ in range(rng.randint(1, 5)):
        more = {"cursor": cursor} if cursor else {}
        answer = await call("logging", "search_logs", query=word, level=level, limit=4, **more)
        if answer is None:
            break
        ids = [record["id"] for record in answer["records"]]
        cursor = answer.get("cursor")
        if not answer["more"] or not cursor:
            break
    if ids:
        for record in some(ids, rng, 3):
            await call("logging", "get_log_record", id=record, before=1, after=1)


# Paging: long lists, from the top until there was enough.


async def folder(call: Call, scenery: Scenery, rng: random.Random) -> None:
    async def page(number: int) -> bool:
        more = {"offset": 25 * number} if number else {}
        answer = await call("filesystem", "list_directory", path=str(scenery.spool), limit=25, **more)
        return bool(answer and "go on with offset" in answer["content"])

    await turn(rng, page, 8)


async def matches(call: Call, scenery: Scenery, rng: random.Random) -> None:
    pattern = f"**/*.{rng.choice(('json', 'csv', 'txt'))}"

    async def page(number: int) -> bool:
        more = {"offset": 10 * number} if number else {}
        answer = await call(
            "filesystem", "search_files", path=str(scenery.spool), pattern=pattern, limit=10, **more
        )
        return bool(answer and "go on with offset" in answer["content"])

    await turn(rng, page, 7)


async def tags(call: Call, scenery: Scenery, rng: random.Random) -> None:
    offset: int | None = None
    for _ in range(rng.randint(1, 5)):
        more = {"offset": offset} if offset else {}
        answer = await call("git", "git_tags", repo_path=str(scenery.project), limit=10, **more)
        offset = answer.get("next_offset") if isinstance(answer, dict) else None
        if not offset:
            return


async def packages(call: Call, scenery: Scenery, rng: random.Random) -> None:
    async def page(number: int) -> bool:
        more = {"offset": 15 * number} if number else {}
        answer = await call("python", "list_packages", limit=15, **more)
        return isinstance(answer, dict) and bool(answer.get("next_offset") or answer.get("more"))

    await turn(rng, page, 5)


async def page_through(call: Call, scenery: Scenery, rng: random.Random) -> None:
    for task in rng.choices((folder, matches, tags, packages), k=rng.randint(2, 4)):
        await task(call, scenery, rng)


SETS = {
    "coding": Agent(("filesystem", "git"), code),
    "analysis": Agent(("sqlite", "python"), analyse, fill),
    "triage": Agent(("logging", "system_info"), triage, log),
    "paging": Agent(("filesystem", "git", "python"), page_through),
}
"""Agents by the name of what they record."""
