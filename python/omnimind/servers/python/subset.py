"""Which code the fast tier may try first: what parses, and imports nothing but what both engines know alike.

It is a first sieve and no judgement: what the fast tier then cannot do, the jail does from the start, and nothing has
happened in between, because the fast tier has no files and no other effects.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import sysconfig
from typing import Final

_MODULES: Final = frozenset({"__future__", "dataclasses", "json", "math", "re", "typing"})
_NAMES: Final = frozenset(
    {"__builtins__", "__file__", "__import__", "breakpoint", "compile", "delattr", "eval", "exec", "exit", "globals",
     "help", "id", "input", "locals", "memoryview", "open", "quit", "vars"}
)  # fmt: skip
_NODES: Final = (ast.AsyncFor, ast.AsyncWith, ast.Await, ast.Delete, ast.Yield, ast.YieldFrom)
_PLOTS: Final = frozenset({"matplotlib", "pylab", "seaborn"})


def fits(source: str) -> bool:
    """Whether the fast tier is worth trying."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    for node in ast.walk(tree):
        if isinstance(node, _NODES):
            return False
        if isinstance(node, ast.Import) and any(name.name not in _MODULES for name in node.names):
            return False
        if isinstance(node, ast.ImportFrom) and (node.level or node.module not in _MODULES):
            return False
        if isinstance(node, ast.Name) and node.id in _NAMES:
            return False
    return True


def plots(source: str) -> bool:
    """Whether the code imports something that draws."""
    if not any(name in source for name in _PLOTS):
        return False
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    named: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named.add(node.module.partition(".")[0])
    return bool(named & _PLOTS)


def monty() -> str | None:
    """The program of the fast tier's interpreter, or None where the extra is not installed."""
    path = os.path.join(sysconfig.get_path("scripts"), "monty")
    return (
        path if os.access(path, os.X_OK) and importlib.util.find_spec("pydantic_monty") is not None else None
    )
