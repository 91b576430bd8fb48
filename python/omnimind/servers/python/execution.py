"""Running code: which engine, where, and what became of it.

`auto` tries the fast tier first with code that looks like its subset, for a quarter of a second at most; whatever it
cannot do, and every error, is done over in the jail from the start. The fast tier has no effects, so nothing happens
twice, and an error is always CPython's own.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread

from omnimind.servers.problem import Problem
from omnimind.servers.python import scratch, subset
from omnimind.servers.python.fast_tier import FastTier
from omnimind.servers.python.jail import Code, Jail, Job, Limits, Outcome, Warm
from omnimind.servers.python.jail.inmate import OnOutput
from omnimind.servers.python.scratch import File, Scratch
from omnimind.servers.python.sessions import Session, Sessions
from omnimind.servers.python.settings import Engine, Settings

TRIED_S: Final = 0.25
TURN_S: Final = 5.0
"""How long code waits for a place; as long as a call may wait in the gateway's queue."""
SOURCE_BYTES: Final = 1024 * 1024
FILES: Final = 64
FILE_BYTES: Final = 8 * 1024 * 1024
FIGURES: Final = 8
_TEXT: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception that the code raised."""

    type: str
    message: str
    line: int | None
    traceback: str


@dataclass(frozen=True, slots=True)
class Execution:
    """What became of one run."""

    engine: str
    outcome: Outcome
    limits: Limits
    stdout: str
    stderr: str
    value: str | None = None
    failure: Failure | None = None
    figures: list[bytes] = field(default_factory=list)
    figures_left_out: int = 0
    files: list[File] = field(default_factory=list)
    more_files: int = 0
    run: str | None = None
    session: Session | None = None

    @property
    def ok(self) -> bool:
        """Whether the code ran to its end."""
        return self.outcome.end == "done" and self.failure is None


class Executor:
    """Everything that runs code for one server."""

    def __init__(self, jail: Jail, base: Path, settings: Settings) -> None:
        self.settings = settings
        self.library: Callable[[str], str | None] = lambda _: None
        """Where the packages are that a principal has installed."""
        self.folders = Scratch(base / "scratch")
        self.sessions = Sessions(jail, self.folders, settings)
        self._fast = FastTier(jail, self.folders, settings.idle_s)
        self._jail = jail
        self._places = anyio.Semaphore(settings.at_once)
        cache = base / "cache" / "matplotlib"
        self._plots = (
            "plots",
            Warm(("matplotlib.pyplot",), {"MPLCONFIGDIR": str(cache), "MPLBACKEND": "Agg"}),
        )

    async def open(self, principal: str) -> Session:
        """A new session."""
        return await self.sessions.open(principal, self.library(principal))

    async def execute(
        self,
        principal: str,
        source: str,
        *,
        engine: Engine | None = None,
        session_id: str | None = None,
        timeout_s: float | None = None,
        files: dict[str, str] | None = None,
        on_output: OnOutput | None = None,
    ) -> Execution:
        """Run source to its end. Raises Problem for what cannot be run at all."""
        check(source, files or {})
        limits = self.settings.limits(timeout_s)
        async with self._turn():
            chosen = engine or self.settings.engine
            return await self._execute(principal, source, chosen, session_id, limits, files, on_output)

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One of the places for code that runs, in the order of asking. Raises Problem if none comes free in time."""
        try:
            with anyio.fail_after(TURN_S):
                await self._places.acquire()
        except TimeoutError:
            raise Problem(
                f"{self.settings.at_once} pieces of code run already, which is the limit, and none ended within "
                f"{TURN_S:g} s; try again in a moment"
            ) from None
        try:
            yield
        finally:
            self._places.release()

    async def _execute(
        self,
        principal: str,
        source: str,
        engine: Engine,
        session_id: str | None,
        limits: Limits,
        files: dict[str, str] | None,
        on_output: OnOutput | None,
    ) -> Execution:
        if session_id is not None:
            if engine == "monty":
                raise Problem("a session is always in the jail: leave engine out, or leave session_id out")
            return await self._in_session(
                self.sessions.find(principal, session_id), source, files, limits, on_output
            )
        if engine == "monty":
            if files:
                raise Problem("the fast tier has no files: leave engine out, or leave files out")
            found = await self._in_fast(principal, source, limits)
            if found is None:
                raise Problem("the fast tier gave no answer in time; use engine='jail'")
            return found
        if engine == "auto" and not files:
            found = await self._tried(principal, source, limits)
            if found is not None:
                return found
        return await self._in_jail(principal, source, files, limits, on_output)

    async def _tried(self, principal: str, source: str, limits: Limits) -> Execution | None:
        if subset.monty() is None or not subset.fits(source):
            return None
        if not self._fast.idle(principal):
            with contextlib.suppress(Problem):
                await self._fast.begin(principal)  # for the next call; this one need not wait for it
            return None
        found = await self._in_fast(principal, source, replace(limits, wall_s=min(TRIED_S, limits.wall_s)))
        return found if found is not None and found.failure is None else None

    async def _in_fast(self, principal: str, source: str, limits: Limits) -> Execution | None:
        with self._jail.place():
            started = time.monotonic()
            answer = await self._fast.run(principal, source, limits)
        if answer is None:
            return None
        stdout, stderr = str(answer["stdout"]), str(answer["stderr"])
        seconds = round(time.monotonic() - started, 6)
        failure = _failure(answer.get("error"))
        late = failure is not None and failure.type == "TimeoutError" and seconds >= limits.wall_s
        outcome = Outcome("timeout" if late else "done", b"", b"", None, seconds=seconds)
        return Execution("monty", outcome, limits, stdout, stderr, _text(answer.get("value")), failure)

    async def _in_jail(
        self,
        principal: str,
        source: str,
        files: dict[str, str] | None,
        limits: Limits,
        on_output: OnOutput | None,
    ) -> Execution:
        folder = self.folders.new(principal)
        kept = False
        try:
            library = self.library(principal)
            read = () if library is None else (library,)
            job = Job(Code(source, files or {}, library), folder, read=read, limits=limits)
            outcome = await self._jail.run(job, on_output, self._plots if subset.plots(source) else None)
            found = _execution(outcome, limits, *await self._listed(folder))
            if found.files:
                kept = True
                await anyio.to_thread.run_sync(self.folders.sweep, principal)
                return replace(found, run=self.folders.handle(folder))
            return found
        finally:
            if not kept:
                self.folders.discard(folder)

    async def _in_session(
        self,
        session: Session,
        source: str,
        files: dict[str, str] | None,
        limits: Limits,
        on_output: OnOutput | None,
    ) -> Execution:
        scratch.touch(session.folder)
        outcome = await self.sessions.run(
            session, {"source": source, "files": files or {}}, limits, on_output
        )
        return replace(_execution(outcome, limits, *await self._listed(session.folder)), session=session)

    async def _listed(self, folder: Path) -> tuple[list[File], int]:
        try:
            if not os.listdir(folder):  # the common case, and not worth a thread
                return [], 0
        except FileNotFoundError:
            return [], 0  # a session that is gone
        return await anyio.to_thread.run_sync(scratch.listed, folder)


def check(source: str, files: dict[str, str]) -> None:
    """Raise Problem for more than one call may carry, or for names that lead out of the folder."""
    if len(source.encode("utf-8", "surrogatepass")) > SOURCE_BYTES:
        raise Problem(f"the code has more than {SOURCE_BYTES:,} bytes; put data into files or split the code")
    if len(files) > FILES or sum(map(len, files.values())) > FILE_BYTES:
        raise Problem(f"files can be {FILES} of {FILE_BYTES:,} bytes together; give fewer, or use a session")
    for name in files:
        parts = name.split("/")
        if not name or "\0" in name or any(part in ("", ".", "..") for part in parts):
            raise Problem(f"{name!r} is not a name for a file here; write names such as 'data/table.csv'")


def _execution(outcome: Outcome, limits: Limits, files: list[File], more_files: int) -> Execution:
    """Read the answer of a process that a stranger's code has lived in: by its shape, and no further."""
    answer: dict[Any, Any] = outcome.value if isinstance(outcome.value, dict) else {}
    sent = answer.get("figures")
    images = (
        [one for one in sent if isinstance(one, bytes) and one.startswith(b"\x89PNG")]
        if isinstance(sent, list)
        else []
    )
    left_out = answer.get("figures_left_out")
    return Execution(
        "jail",
        outcome,
        limits,
        outcome.stdout.decode("utf-8", "replace"),
        outcome.stderr.decode("utf-8", "replace"),
        _text(answer.get("value")),
        _failure(answer.get("error")),
        images[:FIGURES],
        left_out if isinstance(left_out, int) else 0,
        files,
        more_files,
    )


def _failure(said: Any) -> Failure | None:
    if not isinstance(said, dict):
        return None
    line = said.get("line")
    return Failure(
        _text(said.get("type")) or "Exception",
        _text(said.get("message")) or "",
        line if isinstance(line, int) else None,
        _text(said.get("traceback")) or "",
    )


def _text(said: Any) -> str | None:
    return said[: _TEXT + 64] if isinstance(said, str) else None
