"""Records what agents ask of real servers, for the test of the cache's predictive level.

    python -m benches.sequences [--sessions N] [--seed 1] [--out FOLDER] [SET ...]

The servers are ours, each started as `omnimind serve NAME --stdio`, over folders that are made here. Who asks are the
agents of `benches.agents`: scripts that choose at random what to look at next, with a seed of their own a session.
Every line is one call: what was asked and answered, how long it took, how long the agent thought before it. To stay
small, results are cut (`trimmed`), left out for calls that change something, and given by line number where an earlier
line has the same; `ok` and `read_only` are written where they are false. The folder of the run is `/home/dev`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from benches.agents import SETS, Agent
from benches.scenery import Scenery

DATA = Path(__file__).parent.parent / "rust" / "cache" / "tests" / "data" / "sequences"
HOME = "/home/dev"
LINES, TAIL, WIDTH, WIDTH_IN_LISTS, ELEMENTS = 7, 1, 44, 24, 3
SESSIONS = {"coding": 17, "analysis": 16, "triage": 9, "paging": 11}


def trimmed(value: Any, width: int = WIDTH) -> Any:
    """The first elements of every list, the first and last lines of every text; in lists texts are shorter."""
    if isinstance(value, dict):
        return {key: trimmed(item, width) for key, item in value.items()}
    if isinstance(value, list):
        return [trimmed(item, WIDTH_IN_LISTS) for item in value[:ELEMENTS]]
    if isinstance(value, str):
        lines = value.split("\n")
        if len(lines) > LINES:
            lines = lines[: LINES - TAIL] + lines[-TAIL:]
        return "\n".join(line[:width] for line in lines)
    return value


class Recorder:
    """Calls tools, and writes down what was said."""

    def __init__(self, clients: dict[str, Client], read_only: dict[tuple[str, str], bool], root: str) -> None:
        self._clients = clients
        self._read_only = read_only
        self._root = root
        self._session = 0
        self._rng = random.Random()
        self._written: dict[str, int] = {}
        self.lines: list[str] = []

    def forget(self) -> None:
        """What was done so far is no part of the record."""
        self.lines.clear()
        self._written.clear()

    def start(self, session: int, rng: random.Random) -> None:
        """What follows belongs to this session."""
        self._session, self._rng = session, rng

    async def __call__(self, server: str, tool: str, **arguments: Any) -> Any:
        """The structured result, or the text; None if the call failed."""
        started = time.perf_counter()
        answer = await self._clients[server].call_tool(tool, arguments)
        took_ms = (time.perf_counter() - started) * 1000
        said = answer.model_dump(by_alias=True, exclude_none=True, mode="json")
        said.pop("_meta", None)
        structured = said.get("structuredContent")
        if structured is not None:
            said.pop("content")
        ok, read_only = not said.pop("isError", False), self._read_only[server, tool]
        line = {
            "session": self._session,
            "think_ms": round(min(20_000, 1_800 * self._rng.lognormvariate(0, 0.6))),
            "server": server,
            "tool": tool,
            "arguments": arguments if read_only else trimmed(arguments),
            "took_ms": round(took_ms, 1),
        }
        if not ok:
            line["ok"] = False
        if read_only:
            self._add_result(line, trimmed({key: item for key, item in said.items() if key != "resultType"}))
        else:
            line["read_only"] = False
        self.lines.append(
            json.dumps(line, separators=(",", ":"), ensure_ascii=False).replace(self._root, HOME)
        )
        if not ok:
            return None
        return (
            structured
            if structured is not None
            else "\n".join(part.get("text", "") for part in said["content"])
        )

    def _add_result(self, line: dict[str, Any], result: dict[str, Any]) -> None:
        """The result, or the number of the line that has the same one."""
        text = json.dumps(result)
        if text in self._written:
            line["same_as"] = self._written[text]
            return
        line["result"] = result
        if len(text) > 60:
            self._written[text] = len(self.lines)


async def record(name: str, agent: Agent, sessions: int, seed: int) -> list[str]:
    """The lines of one set."""
    with tempfile.TemporaryDirectory() as folder:
        root = await anyio.Path(folder).resolve()
        scenery = Scenery(Path(root / "home"), random.Random(f"{name} {seed}"))
        async with AsyncExitStack() as stack:
            clients: dict[str, Client] = {}
            read_only: dict[tuple[str, str], bool] = {}
            for server in agent.servers:
                arguments = ["--", *scenery.arguments(server)] if scenery.arguments(server) else []
                parameters = StdioServerParameters(
                    command=str(Path(sys.executable).parent / "omnimind"),
                    args=["serve", server, "--stdio", "--state", str(root / "state" / server), *arguments],
                )
                client = await stack.enter_async_context(Client(stdio_client(parameters)))
                for tool in (await client.list_tools()).tools:
                    read_only[server, tool.name] = bool(tool.annotations and tool.annotations.read_only_hint)
                clients[server] = client
            call = Recorder(clients, read_only, str(root / "home"))
            call.start(0, random.Random(f"{name} {seed}"))
            await agent.prepare(call, scenery)
            call.forget()
            for session in range(sessions):
                rng = random.Random(f"{name} {seed} {session}")
                call.start(session, rng)
                await agent.work(call, scenery, rng)
    return call.lines


def main() -> None:
    """Records the sets that were named, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--sessions", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=DATA)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.sets:
        sessions = given.sessions or SESSIONS[name]
        lines = anyio.run(record, name, SETS[name], sessions, given.seed)
        file = given.out / f"{name}.jsonl"
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        print(f"{name}: {len(lines)} calls in {sessions} sessions, {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
