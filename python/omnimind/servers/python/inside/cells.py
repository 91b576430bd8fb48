"""Python source run as cells of one namespace, as an interactive interpreter would: the value of the last
expression is shown, an error is a traceback of the stranger's own frames with their source lines.

A request is `{source, files, library, last}`; the answer `{value, error, figures, figures_left_out}`, after all that
was printed has been flushed. The answer is written by a process that a stranger's code has lived in: whoever reads
it believes nothing but its shape.
"""

from __future__ import annotations

import ast
import atexit
import builtins
import contextlib
import gc
import io
import linecache
import os
import resource
import sys
import threading
import traceback
import types
from typing import Any, Final

from omnimind.servers.python.inside import frames

_LONGEST_VALUE: Final = 64 * 1024
_LONGEST_TRACEBACK: Final = 32 * 1024
_FIGURE_BYTES: Final = 2 * 1024 * 1024
_FIGURES: Final = 8
_PIXELS: Final = 4_000_000


def serve(request: int, reply: int) -> None:
    """Run cells until the worker closes its end."""
    gc.enable()
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    sys.path.insert(0, "")
    sys.argv = [""]
    count = 0
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    while (asked := frames.read(request)) is not None:
        if asked.get("hello"):
            frames.write(reply, {"ready": True})
            continue
        count += 1
        library = asked.get("library")
        if library and library not in sys.path:
            sys.path.append(library)
        try:
            _lay(asked.get("files") or {})
            answer = run(str(asked["source"]), main, count)
        except OSError as refusal:
            answer = {"value": None, "error": _error(refusal)}
        if asked.get("last"):
            _join_threads()
        answer["figures"], answer["figures_left_out"] = _figures()
        if asked.get("last"):
            _say_goodbye()
        _flush()
        frames.write(reply, answer)
        _limit_again(limit)


def _lay(files: dict[str, str]) -> None:
    """Files of the caller, written here and not by the worker: whatever they are called, it happens in the jail."""
    for name, text in files.items():
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        with open(name, "w", encoding="utf-8") as file:
            file.write(text)


def run(source: str, main: types.ModuleType, count: int = 1) -> dict[str, Any]:
    """Run one cell; what its last expression gave, or how it failed."""
    name = f"<cell {count}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    value: str | None = None
    try:
        body, last = _compiled(source, name)
        exec(body, main.__dict__)  # noqa: S102 - this is what the jail is for
        if last is not None:
            found = eval(last, main.__dict__)  # noqa: S307
            if found is not None:
                main.__dict__["_"] = found
                value = _shown(found)
    except SystemExit as leaving:
        return {"value": None, "error": None if leaving.code in (None, 0) else _error(leaving)}
    except MemoryError as failure:
        _allow_last_words()
        return {"value": None, "error": _error(failure)}
    except BaseException as failure:
        return {"value": None, "error": _error(failure)}
    return {"value": value, "error": None}


def forget(count: int) -> None:
    """Drop the lines of a cell."""
    linecache.cache.pop(f"<cell {count}>", None)


def _compiled(source: str, name: str) -> tuple[types.CodeType, types.CodeType | None]:
    tree = ast.parse(source, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    body = compile(tree, name, "exec", dont_inherit=True)
    if not isinstance(last, ast.Expr):
        return body, None
    return body, compile(ast.Expression(last.value), name, "eval", dont_inherit=True)


def _shown(value: object) -> str:
    text = repr(value)
    if len(text) <= _LONGEST_VALUE:
        return text
    return f"{text[:_LONGEST_VALUE]}… ({len(text) - _LONGEST_VALUE:,} more characters)"


def _error(failure: BaseException) -> dict[str, Any]:
    """The kind, the message and the traceback, without the frames of the machinery."""
    try:
        told = traceback.TracebackException.from_exception(failure)
        _strip(told, set())
        text = "".join(told.format())
    except BaseException:
        text = type(failure).__name__  # an exception may be made so that it cannot be shown
    try:
        message = str(failure)
    except BaseException:
        message = ""
    if isinstance(failure, MemoryError) and not message:
        message = "more memory than this code may have"
    lines = [
        entry.lineno
        for entry in traceback.extract_tb(failure.__traceback__)
        if entry.filename.startswith("<cell")
    ]
    line = failure.lineno if isinstance(failure, SyntaxError) else lines[-1] if lines else None
    if len(text) > _LONGEST_TRACEBACK:
        text = text[: _LONGEST_TRACEBACK // 2] + "\n…\n" + text[-_LONGEST_TRACEBACK // 2 :]
    return {"type": type(failure).__name__, "message": message[:4096], "line": line, "traceback": text}


def _allow_last_words() -> None:
    """A little more memory, to say that there is none: until the answer is on its way."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _limit_again(soft: int) -> None:
    now, hard = resource.getrlimit(resource.RLIMIT_AS)
    if now != soft:
        gc.collect()
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _strip(told: traceback.TracebackException, seen: set[int]) -> None:
    if id(told) in seen:
        return
    seen.add(id(told))
    told.stack[:] = [frame for frame in told.stack if frame.filename.startswith("<cell")]
    for other in (told.__cause__, told.__context__, *(getattr(told, "exceptions", None) or ())):
        if other is not None:
            _strip(other, seen)


def _join_threads() -> None:
    """Wait for threads, as an interpreter does at its end."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
    except BaseException:
        traceback.print_exc()


def _say_goodbye() -> None:
    """Run what was registered for the end; matplotlib closes its figures then."""
    try:
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(Exception):
            stream.flush()  # type: ignore[union-attr]


def _figures() -> tuple[list[bytes], int]:
    """Every open figure as PNG, if there is a matplotlib at all; then they are closed."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return [], 0
    found: list[bytes] = []
    left_out = 0
    try:
        for number in pyplot.get_fignums():
            image = _png(pyplot.figure(number)) if len(found) < _FIGURES else b""
            if image:
                found.append(image)
            else:
                left_out += 1
        pyplot.close("all")
    except Exception:
        traceback.print_exc()
    return found, left_out


def _png(figure: Any) -> bytes:
    """A figure as it would be saved, drawn smaller if it is very large; nothing if it is still too large."""
    width, height = figure.get_size_inches()
    dpi = min(float(figure.dpi), (_PIXELS / max(1e-6, width * height)) ** 0.5)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=dpi)
    return data.getvalue() if data.tell() <= _FIGURE_BYTES else b""
