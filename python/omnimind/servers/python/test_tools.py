"""The tool that runs tests. They are code of a stranger: pytest, its plugins and conftest.py are in the jail too."""

from __future__ import annotations

from typing import Annotated, Any

import anyio
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import BaseModel, Field

from omnimind.servers.filesystem.roots import Roots
from omnimind.servers.problem import Problem
from omnimind.servers.python import checking, reports, sources, test_run
from omnimind.servers.python.check_tools import Code, Files, Offset, Path
from omnimind.servers.python.sources import Sources
from omnimind.servers.python.test_run import Report
from omnimind.servers.python.workbench import Workbench
from omnimind.servers.tools import ADDS, Toolbox, caller, data_result, in_thread, stop_if_cancelled

TOLD_EVERY_S = 0.1


class TestItem(BaseModel):
    """A test on the wire."""

    name: str
    outcome: str
    duration_ms: float
    path: str = ""
    line: int = 0
    message: str = ""
    traceback: str = ""
    output: str = ""


class TestRun(BaseModel):
    """The result of run_tests."""

    run: str
    ended: str
    summary: dict[str, int]
    collected: int
    total: int
    duration_ms: float
    tests: list[TestItem] = Field(description="Failures first")
    next_offset: int | None = None
    why: str = ""
    log: str = ""


def add_test_tools(box: Toolbox, bench: Workbench, roots: Roots | None) -> None:
    """Add run_tests."""

    @box.tool("Run Tests", ADDS)
    async def run_tests(
        ctx: Context[Any, Any],
        code: Code = None,
        files: Files = None,
        path: Path = None,
        tests: Annotated[
            list[str] | None, Field(description="Only these, as test_file.py or test_file.py::test_name")
        ] = None,
        select: Annotated[str | None, Field(description="Only tests whose names fit, as pytest's -k")] = None,
        max_failures: Annotated[int, Field(ge=0, description="Stop after so many; 0 never stops")] = 0,
        timeout_s: Annotated[
            float, Field(gt=0, le=checking.LONGEST_S, description="For all tests together")
        ] = 60,
        run: Annotated[str | None, Field(description="A run of before, to read more of its results")] = None,
        limit: Annotated[int, Field(ge=1, le=1000)] = 50,
        offset: Offset = 0,
    ) -> Annotated[CallToolResult, TestRun]:
        """Run pytest on code, or on a copy of files, in a jail without network or other processes. Gives the
        outcome, message and traceback of each test, failures first."""
        folder = await in_thread(bench.reports, caller())
        if run is not None:
            if code is not None or files is not None or path is not None:
                raise Problem(
                    "`run` reads the results of a run of before; give it without code, files and path"
                )
            kept = await in_thread(reports.find, folder, run)
        else:
            given = await in_thread(_given, code, files, path, roots)
            arguments = test_run.arguments(given, tests or [], select, max_failures)
            report = await _told(ctx, bench, given, arguments, timeout_s)
            kept = await in_thread(reports.keep, folder, test_run.kept(report))
        page = test_run.page(kept, limit, offset)
        return data_result(page, test_run.shown(page))


def _given(code: str | None, files: dict[str, str] | None, path: str | None, roots: Roots | None) -> Sources:
    if path is None:
        return sources.given(code, files, name="test_snippet.py")
    return sources.chosen(code, files, path, roots, lambda name: True, stop_if_cancelled)


async def _told(
    ctx: Context[Any, Any], bench: Workbench, given: Sources, arguments: list[str], wall_s: float
) -> Report:
    """Run the tests, and tell the client now and then how many are done."""
    next_at = 0.0

    async def told(report: Report) -> None:
        nonlocal next_at
        if anyio.current_time() >= next_at:
            next_at = anyio.current_time() + TOLD_EVERY_S
            await ctx.report_progress(len(report.tests), report.collected or None, report.running)

    report = await checking.tested(bench, given, caller(), arguments, wall_s, told)
    await ctx.report_progress(len(report.tests), max(report.collected, len(report.tests)))
    return report
