"""The tools that run code: execute, its sessions, and the files that code leaves."""

from __future__ import annotations

import base64
import codecs
import mimetypes
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final

import anyio
from mcp.server.mcpserver import Context
from mcp.types import (
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    TextContent,
)
from pydantic import BaseModel, Field

from omnimind.servers.problem import Problem
from omnimind.servers.python import scratch
from omnimind.servers.python.execution import Executor
from omnimind.servers.python.jail.inmate import Stream
from omnimind.servers.python.results import Result, result
from omnimind.servers.python.sessions import Session
from omnimind.servers.python.settings import Engine
from omnimind.servers.tools import ADDS, READS, REPLACES, Toolbox, caller, data_result, in_thread

TOLD_EVERY_S: Final = 0.1
_TOLD_CHARACTERS: Final = 2_000
_IMAGES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")

SessionId = Annotated[str, Field(description="From open_session")]


class Opened(BaseModel):
    """A session on the wire."""

    session_id: str
    idle_s: float
    calls: int


class Listed(BaseModel):
    """The result of list_sessions."""

    sessions: list[Opened]
    most: int


class Closed(BaseModel):
    """The result of close_session."""

    closed: str


class Told:
    """Output on its way to the caller while the code runs: a few messages a second, however often it prints."""

    def __init__(self, report: Callable[[float, float | None, str | None], Awaitable[None]]) -> None:
        self._report = report
        self._decoders = {
            stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in ("stdout", "stderr")
        }
        self._waiting = ""
        self._count = 0

    async def output(self, stream: Stream, data: bytes) -> None:
        """Take what the code wrote."""
        self._count += len(data)
        self._waiting = (self._waiting + self._decoders[stream].decode(data))[-_TOLD_CHARACTERS:]

    async def tell(self) -> None:
        """Send what has come, again and again."""
        while True:
            await anyio.sleep(TOLD_EVERY_S)
            if self._waiting:
                text, self._waiting = self._waiting, ""
                await self._report(float(self._count), None, text)


def add_execute_tools(box: Toolbox, executor: Executor) -> None:
    """Add execute, open_session, list_sessions, close_session and read_scratch_file."""
    settings = executor.settings

    @box.tool("Execute Python", ADDS)
    async def execute(
        ctx: Context[Any, Any],
        code: Annotated[str, Field(description="Python source; the value of a last expression is returned")],
        session_id: Annotated[
            str | None, Field(description="Run in this session, with its variables")
        ] = None,
        timeout_s: Annotated[
            float | None, Field(gt=0, description="Seconds it may run; python_info tells how many are usual")
        ] = None,
        engine: Annotated[
            Engine | None, Field(description="jail: full CPython; monty: a fast subset; auto tries both")
        ] = None,
        files: Annotated[
            dict[str, str] | None, Field(description="Files to lay into the working folder, {name: text}")
        ] = None,
    ) -> Annotated[CallToolResult, Result]:
        """Run Python in a sandbox without network, other processes or your files. Returns what it printed, the
        value of the last expression, errors with their lines, open matplotlib figures as images, and the
        files it wrote in its working folder. Nothing is kept between calls unless session_id is given."""
        told = Told(ctx.report_progress)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(told.tell)
            try:
                found = await executor.execute(
                    caller(),
                    code,
                    engine=engine,
                    session_id=session_id,
                    timeout_s=timeout_s,
                    files=files,
                    on_output=told.output,
                )
            except Problem as problem:
                refused: Problem | None = problem
            else:
                refused = None
            tasks.cancel_scope.cancel()
        if refused is not None:
            raise refused
        return result(found)

    @box.tool("Open Session", ADDS)
    async def open_session() -> Annotated[CallToolResult, Opened]:
        """Start a Python process that keeps its variables, imports and files from one execute to the next. It ends
        when it is closed, idle for 10 minutes, or over its time."""
        return data_result(_session(await executor.open(caller()), settings.idle_s))

    @box.tool("List Sessions", READS)
    async def list_sessions() -> Annotated[CallToolResult, Listed]:
        """Your open sessions, the one used last first."""
        await executor.sessions.expire()
        own = [_session(session) for session in executor.sessions.of(caller())]
        return data_result({"sessions": own, "most": settings.sessions})

    @box.tool("Close Session", REPLACES)
    async def close_session(session_id: SessionId) -> Annotated[CallToolResult, Closed]:
        """End a session, with its variables and files; also while code runs in it."""
        await executor.sessions.close(executor.sessions.find(caller(), session_id))
        return data_result({"closed": session_id})

    @box.tool("Read Scratch File", READS)
    async def read_scratch_file(
        path: Annotated[str, Field(description="As listed by execute")],
        run: Annotated[str | None, Field(description="The run that wrote it")] = None,
        session_id: Annotated[str | None, Field(description="Or the session it is in")] = None,
        offset: Annotated[int, Field(ge=0, description="Byte to start from")] = 0,
        limit: Annotated[int, Field(ge=1, le=scratch.READ_BYTES)] = 1024 * 1024,
    ) -> CallToolResult:
        """A file that code has written: text as text, images as images, anything else as an embedded resource.
        Files of a run are kept for an hour, those of a session as long as it is open."""
        folder = _folder(executor, run, session_id)
        data, size = await in_thread(scratch.read, folder, path, offset, limit)
        return _content(path, data, offset, size)


def _session(session: Session, idle_s: float | None = None) -> dict[str, Any]:
    idle = time.monotonic() - session.used if idle_s is None else 0.0
    return {"session_id": session.id, "idle_s": round(idle, 1), "calls": session.calls}


def _folder(executor: Executor, run: str | None, session_id: str | None) -> Path:
    if (run is None) == (session_id is None):
        raise Problem("say which folder: either run, from the result of execute, or session_id")
    if session_id is not None:
        return executor.sessions.find(caller(), session_id).folder
    return executor.folders.run(caller(), run or "")


def _content(path: str, data: bytes, offset: int, size: int) -> CallToolResult:
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    whole = offset == 0 and len(data) == size
    encoded = base64.b64encode(data).decode("ascii")
    block: ContentBlock
    if whole and kind in _IMAGES:
        block = ImageContent(type="image", data=encoded, mime_type=kind)
    else:
        try:
            block = TextContent(type="text", text=_as_text(data, cut=not whole))
        except UnicodeDecodeError:
            contents = BlobResourceContents(uri=f"scratch:///{path}", mime_type=kind, blob=encoded)
            block = EmbeddedResource(type="resource", resource=contents)
    blocks: list[ContentBlock] = [block]
    if offset + len(data) < size:
        note = f"({size - offset - len(data):,} of {size:,} bytes follow; go on with offset={offset + len(data)})"
        blocks.append(TextContent(type="text", text=note))
    return CallToolResult(content=blocks)


def _as_text(data: bytes, *, cut: bool) -> str:
    """UTF-8; a part of a file may begin and end within a character. Raises UnicodeDecodeError."""
    if b"\0" in data:
        raise UnicodeDecodeError("utf-8", data, data.index(0), data.index(0) + 1, "binary")
    if not cut:
        return data.decode("utf-8")
    front = next((at for at in range(min(4, len(data))) if data[at] & 0xC0 != 0x80), 0)
    text = codecs.getincrementaldecoder("utf-8")("strict").decode(data[front:])
    return text
