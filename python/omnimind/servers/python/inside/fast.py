"""The fast tier's host: one principal's process, with Monty's interpreter in a process of its own beneath it.

Monty runs a subset of Python with no files, no network and no imports beyond a few modules; what it runs gets a
fresh session each time. Both processes stand behind Landlock and a filter too, and serve one principal only.
Positions in the text stay those of the caller: the last expression is wrapped within its line.
"""

from __future__ import annotations

import ast
from typing import Any, Final

from omnimind.servers.python.inside import frames

_LONGEST_VALUE: Final = 64 * 1024
_RESULT: Final = "omnimind_value"


def serve(request: int, reply: int) -> None:
    """Run snippets until the worker closes its end."""
    import pydantic_monty as monty

    with monty.Monty(min_processes=1, max_processes=1) as pool:
        while (asked := frames.read(request)) is not None:
            frames.write(reply, _run(monty, pool, asked))


def _run(monty: Any, pool: Any, asked: dict[str, Any]) -> dict[str, Any]:
    source = str(asked["source"])
    limits = {"max_memory": asked["memory_bytes"], "max_feed_duration_secs": asked["wall_s"]}
    printed = monty.CollectStreams(asked["output_bytes"])
    answer: dict[str, Any] = {"value": None, "error": None}
    try:
        wrapped = with_result(source)
        with pool.checkout(limits=limits) as session:
            session.feed_run(source if wrapped is None else wrapped, print_callback=printed)
            if wrapped is not None:
                value = session.feed_run(
                    f"None if {_RESULT} is None else repr({_RESULT})", print_callback=printed
                )
                answer["value"] = value if value is None else str(value)[:_LONGEST_VALUE]
    except SyntaxError as fault:
        answer["error"] = _syntax(fault)
    except monty.MontyError as fault:
        answer["error"] = _error(fault, source)
    answer["stdout"] = "".join(text for stream, text in printed.output if stream == "stdout")
    answer["stderr"] = "".join(text for stream, text in printed.output if stream == "stderr")
    return answer


def with_result(source: str) -> str | None:
    """The source with its last expression kept under a name, or None if it does not end with one."""
    tree = ast.parse(source)
    if not tree.body or not isinstance(tree.body[-1], ast.Expr):
        return None
    last = tree.body[-1]
    if last.end_lineno is None or last.end_col_offset is None:
        return None
    lines = source.encode().splitlines(keepends=True)
    # From the back, so that the position of the front still holds.
    for line, column, text in (
        (last.end_lineno, last.end_col_offset, b")"),
        (last.lineno, last.col_offset, f"{_RESULT} = (".encode()),
    ):
        lines[line - 1] = lines[line - 1][:column] + text + lines[line - 1][column:]
    return b"".join(lines).decode()


def _syntax(fault: SyntaxError) -> dict[str, Any]:
    text = f"SyntaxError: {fault.msg} (line {fault.lineno})"
    return {"type": "SyntaxError", "message": str(fault.msg), "line": fault.lineno, "traceback": text}


def _error(fault: Any, source: str) -> dict[str, Any]:
    inner = fault.exception()
    kind = type(inner).__name__ if inner is not None else type(fault).__name__
    message = str(inner) if inner is not None else str(fault)
    lines = source.splitlines()
    told = ["Traceback (most recent call last):"]
    frames_of = fault.traceback() if hasattr(fault, "traceback") else []
    for frame in frames_of:
        told.append(f'  File "<cell 1>", line {frame.line}, in {frame.function_name or "<module>"}')
        if 0 < frame.line <= len(lines):
            told.append(f"    {lines[frame.line - 1].strip()}")
    told.append(f"{kind}: {message}" if message else kind)
    line = frames_of[-1].line if frames_of else None
    return {"type": kind, "message": message, "line": line, "traceback": "\n".join(told) + "\n"}
