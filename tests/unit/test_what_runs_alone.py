"""What looks at the clock says how it bears a busy machine: the rule by which `make test` divides its tests.

Tests run several at once, but those marked `alone`, which come one after the other on a machine that does nothing else:
a ratio of two times, a rate, a limit near what a thing takes. A test that keeps a reading of the clock and is not
marked so says with `roomy` that no load can fail it: its limit is far from what a thing takes (a hang, not a delay), it
asks for a least time only, or it only prints. Nobody can do neither: this reads every test with what it calls in its
module. What it cannot see are figures of other programs (`omnimind stress`): who asserts on those thinks of it alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet import ROOT

TESTS = ROOT / "tests"
MODULES = sorted(TESTS.glob("**/test_*.py"))
CLOCKS = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "current_time"}
UNDISTURBED = "assert_undisturbed"
"""Of `tests/chaos/neighbours.py`: compares latencies."""
SAYS = {"alone", "roomy"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def called(node: ast.AST) -> str | None:
    """The name of what is called without its module."""
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else None


def is_reading(node: ast.AST | None) -> bool:
    """A bare reading of a clock; a deadline (`monotonic() + 5`) is none."""
    return node is not None and called(node) in CLOCKS


def measures(node: ast.AST, benches: set[str]) -> bool:
    """The node by itself keeps a reading, subtracts from one, or has it done, as by `measure` of these modules."""
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr):
        values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
        return any(is_reading(value) for value in values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        return is_reading(node.left)
    if isinstance(node, ast.Attribute):
        return node.attr == "measure" and ast.unparse(node.value) in benches
    return called(node) == UNDISTURBED


def marks(decorators: list[ast.expr]) -> set[str]:
    return {node.attr for each in decorators for node in ast.walk(each) if isinstance(node, ast.Attribute)}


class Module:
    """One module of tests: which of them measure, by themselves or by what they name of the module."""

    def __init__(self, text: str) -> None:
        tree = ast.parse(text)
        self._parts: dict[str, ast.AST] = {}
        self._marks: set[str] = set()
        self._benches: set[str] = set()
        for node in tree.body:
            if isinstance(node, Function | ast.ClassDef):
                self._parts[node.name] = node
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
                self._marks = marks([node.value])
            elif isinstance(node, ast.ImportFrom) and node.module == "benches":
                self._benches |= {alias.name for alias in node.names}

    def tests(self) -> Iterator[tuple[str, set[str]]]:
        """The tests that measure, each with its marks."""
        for name, part in self._parts.items():
            if isinstance(part, Function) and name.startswith("test_") and self._measures(name, set()):
                yield name, self._marks | marks(part.decorator_list)

    def _measures(self, name: str, seen: set[str]) -> bool:
        seen.add(name)
        for node in ast.walk(self._parts[name]):
            if measures(node, self._benches):
                return True
            other = node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else ""
            if other in self._parts and other not in seen and self._measures(other, seen):
                return True
        return False


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(TESTS)))
def test_what_looks_at_the_clock_runs_alone_or_says_that_no_load_can_fail_it(path: Path) -> None:
    unsaid = [name for name, marked in Module(path.read_text()).tests() if len(marked & SAYS) != 1]
    assert unsaid == [], "mark them alone, or roomy if no load can fail them (never both)"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def test_a(): began = time.monotonic()", True),
        ("def test_a(): assert time.perf_counter() - began < 1", True),
        ("def test_a(took): pass\ndef took(): a, b = 1, time.monotonic()", True),
        ("def test_a(): Load().go()\nclass Load:\n def go(self): self.s = anyio.current_time()", True),
        ("from benches import hits\ndef test_a(): print(hits.measure(3))", True),
        ("def test_a(): tape.measure(3)", False),
        ("def test_a(): pass\ndef took(): began = time.monotonic()", False),
        ("def test_a():\n end = time.monotonic() + 5\n while time.monotonic() < end: pass", False),
    ],
)
def test_keeping_a_reading_is_measuring_and_a_deadline_is_not(text: str, found: bool) -> None:
    assert [name for name, _ in Module(text).tests()] == ["test_a"] * found


def test_a_mark_of_the_module_or_of_the_test_is_seen() -> None:
    text = "pytestmark = [pytest.mark.alone]\n@pytest.mark.timeout(3)\ndef test_a(): x = time.monotonic()"
    [(_, marked)] = Module(text).tests()
    assert {"alone", "timeout"} <= marked
