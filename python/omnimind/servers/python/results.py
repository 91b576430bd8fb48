"""What a run of code looks like on the wire: short for a model, whole for a program."""

from __future__ import annotations

import base64
from typing import Any, Final

from mcp.types import CallToolResult, ContentBlock, ImageContent, TextContent
from pydantic import BaseModel, Field

from omnimind.servers.python.execution import Execution

STRUCTURED_BYTES: Final = 64 * 1024
_KEPT: Final = 16 * 1024


class ErrorItem(BaseModel):
    """An exception."""

    type: str
    message: str
    line: int | None = None
    traceback: str


class FileItem(BaseModel):
    """A file that the code left."""

    path: str
    bytes: int


class Result(BaseModel):
    """The result of execute."""

    ok: bool
    engine: str
    ended: str
    stdout: str
    stderr: str
    value: str | None = Field(default=None, description="repr of the last expression")
    error: ErrorItem | None = None
    why: str | None = None
    duration_ms: float
    figures: int = 0
    files: list[FileItem] = []
    run: str | None = Field(default=None, description="Names this run to read_scratch_file")
    session_id: str | None = None


def result(found: Execution) -> CallToolResult:
    """The blocks and the data of one run."""
    text = _text(found)
    blocks: list[ContentBlock] = [TextContent(type="text", text=text)]
    for figure in found.figures:
        data = base64.b64encode(figure).decode("ascii")
        blocks.append(ImageContent(type="image", data=data, mime_type="image/png"))
    return CallToolResult(content=blocks, structured_content=_data(found), is_error=not found.ok)


def _data(found: Execution) -> dict[str, Any]:
    stdout, stderr = found.stdout, found.stderr
    if len(stdout) + len(stderr) > STRUCTURED_BYTES:
        stdout, stderr = _short(stdout), _short(stderr)
    item = Result(
        ok=found.ok,
        engine=found.engine,
        ended=found.outcome.end,
        stdout=stdout,
        stderr=stderr,
        value=found.value,
        error=None
        if found.failure is None
        else ErrorItem(
            type=found.failure.type,
            message=found.failure.message,
            line=found.failure.line,
            traceback=found.failure.traceback,
        ),
        why=_why(found),
        duration_ms=round(found.outcome.seconds * 1000, 3),
        figures=len(found.figures),
        files=[FileItem(path=file.path, bytes=file.bytes) for file in found.files],
        run=found.run,
        session_id=None if found.session is None else found.session.id,
    )
    return item.model_dump(exclude_none=True)


def _short(text: str) -> str:
    if len(text) <= _KEPT:
        return text
    return f"{text[:_KEPT]}\n… ({len(text) - _KEPT:,} more characters, all in content)"


def _why(found: Execution) -> str | None:
    """One sentence on what the code did not choose itself."""
    if found.outcome.end == "done":
        return None
    said = found.outcome.why(found.limits)
    if found.session is not None and found.outcome.value is None:
        said += "; the session and its variables are gone"
    return said


def _text(found: Execution) -> str:
    parts = [found.stdout.rstrip("\n")] if found.stdout.strip() else []
    if found.stderr.strip():
        parts.append(f"stderr:\n{found.stderr.rstrip()}")
    if found.value is not None:
        parts.append(found.value if not parts else f"=> {found.value}")
    if found.failure is not None:
        parts.append(found.failure.traceback.rstrip())
    why = _why(found)
    if why is not None:
        parts.append(f"The code did not run to its end: {why}.")
    if found.outcome.dropped_bytes:
        parts.append(
            f"({found.outcome.dropped_bytes:,} bytes of output after the first {found.limits.output_bytes:,} were "
            "dropped; print less, or write to a file)"
        )
    if found.figures_left_out:
        parts.append(f"({found.figures_left_out} figures are left out: at most 8 of 2 MiB are returned)")
    if found.files:
        parts.append(_files(found))
    return "\n".join(parts) or "(no output)"


def _files(found: Execution) -> str:
    listing = ", ".join(f"{file.path} ({file.bytes:,} bytes)" for file in found.files[:20])
    more = len(found.files) - 20 + found.more_files
    if more > 0:
        listing += f" and {more:,} more"
    named = f"run={found.run!r}" if found.session is None else "its session_id"
    return f"Files: {listing}. Read them with read_scratch_file and {named}."
