"""The tools that look at code without running it: lint, format, format_files and type_check.

They work on copies in a fresh folder inside the jail. Only format_files can change a file, only beneath the
server's folders, and only while the file still is what was formatted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from mcp.types import CallToolResult
from pydantic import BaseModel, Field

from omnimind.servers.depends import FILES
from omnimind.servers.filesystem import files as stored
from omnimind.servers.filesystem.roots import Roots
from omnimind.servers.problem import Problem
from omnimind.servers.python import checking, findings, sources
from omnimind.servers.python import lint as ruff
from omnimind.servers.python import type_check as mypy
from omnimind.servers.python.checking import Changed
from omnimind.servers.python.findings import Finding
from omnimind.servers.python.sources import Sources
from omnimind.servers.python.workbench import Workbench
from omnimind.servers.tools import READS, REPLACES, Toolbox, caller, data_result, in_thread, stop_if_cancelled

Code = Annotated[str | None, Field(description="The code, as one text")]
Files = Annotated[
    dict[str, str] | None, Field(description="Or several files, as {relative name: text}, configuration too")
]
Path = Annotated[str | None, Field(description="Or a file or folder beneath this server's folders")]
Rules = Annotated[list[str] | None, Field(description="Rules such as 'F401', groups such as 'B', or 'ALL'")]
Ignored = Annotated[list[str] | None, Field(description="Rules to leave out")]
Limit = Annotated[int, Field(ge=1, le=1000)]
Offset = Annotated[int, Field(ge=0)]


LEFT_OUT: Final = (
    f"the new texts are left out: more than {2 * sources.BYTES:,} bytes; give fewer files at a time"
)


class FindingItem(BaseModel):
    """A finding on the wire."""

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    code: str
    message: str
    severity: str
    fixable: bool
    hint: str = ""


class Findings(BaseModel):
    """The result of type_check."""

    findings: list[FindingItem]
    total: int
    by_code: dict[str, int]
    next_offset: int | None = None


class Linted(Findings):
    """The result of lint."""

    files: dict[str, str] = Field(default={}, description="New texts of what fix changed")
    diff: str = ""


class Formatted(BaseModel):
    """The result of the formatting tools."""

    changed: list[str]
    unparsed: list[FindingItem] = []
    diff: str
    files: dict[str, str] = {}
    written: bool = False


def add_check_tools(box: Toolbox, bench: Workbench, roots: Roots | None) -> None:
    """Add lint, format, format_files and type_check."""
    _add_lint(box, bench, roots)
    _add_format(box, bench, roots)
    _add_type_check(box, bench, roots)


def wanted_by(configuration: tuple[str, ...]) -> Callable[[str], bool]:
    """Python files, and these configuration files."""
    return lambda name: name.endswith((".py", ".pyi")) or name in configuration


def _add_lint(box: Toolbox, bench: Workbench, roots: Roots | None) -> None:
    @box.tool("Lint", READS, FILES)
    async def lint(
        code: Code = None,
        files: Files = None,
        path: Path = None,
        select: Rules = None,
        ignore: Ignored = None,
        fix: Annotated[
            bool, Field(description="Return the code with safe fixes made, and what is left")
        ] = False,
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> Annotated[CallToolResult, Linted]:
        """Find mistakes and bad style in Python code with ruff. The code is not run and no file is changed."""
        wanted = wanted_by(ruff.CONFIGURATION)
        given = await in_thread(sources.chosen, code, files, path, roots, wanted, stop_if_cancelled)
        found, changed = await checking.linted(bench, given, select or [], ignore or [], fix=fix)
        return _findings_result(found, limit, offset, "ruff", changed)


def _findings_result(
    found: list[Finding], limit: int, offset: int, tool: str, changed: Changed | None = None
) -> CallToolResult:
    data = findings.page(found, limit, offset)
    text = findings.shown(found, limit, offset) or f"{tool} found nothing"
    if changed is not None and changed.files:
        new = texts(changed.files)
        data |= {"files": new, "diff": changed.diff}
        text = f"{text}\n\nfixed:\n{changed.diff}" + ("" if new else LEFT_OUT)
    return data_result(data, text)


def texts(files: Mapping[str, bytes]) -> dict[str, str]:
    """Files as texts; none if together they are more than a caller may send."""
    if sum(map(len, files.values())) > 2 * sources.BYTES:
        return {}
    return {name: data.decode("utf-8", "replace") for name, data in files.items()}


def _add_format(box: Toolbox, bench: Workbench, roots: Roots | None) -> None:
    @box.tool("Format", READS, FILES)
    async def format(
        code: Code = None,
        files: Files = None,
        line_length: Annotated[
            int | None, Field(ge=1, le=320, description="Instead of the configured one")
        ] = None,
    ) -> Annotated[CallToolResult, Formatted]:
        """Format Python code with ruff; returns the new texts and the difference. Changes no file."""
        given = sources.given(code, files)
        unparsed, changed = await checking.formatted(bench, given, line_length)
        if code is not None:
            _refuse_unparsed(unparsed)
            new = texts(changed.files).get(sources.SNIPPET, code)
            return data_result(_formatted(changed, unparsed) | {"files": {sources.SNIPPET: new}}, new)
        result = _formatted(changed, unparsed) | {"files": texts(changed.files)}
        return data_result(result, _formatted_text(changed, unparsed))

    @box.tool("Format Files", REPLACES)
    async def format_files(
        path: Annotated[str, Field(description="A file or folder beneath this server's folders")],
        write: Annotated[
            bool, Field(description="Change the files; else only show what would change")
        ] = False,
    ) -> Annotated[CallToolResult, Formatted]:
        """Format Python files beneath this server's folders with ruff. Shows the difference; changes the files
        only with write=true."""
        there = sources.the_roots(roots)
        given = await in_thread(sources.copied, there, path, wanted_by(ruff.CONFIGURATION), stop_if_cancelled)
        unparsed, changed = await checking.formatted(bench, given, None)
        if write:
            await in_thread(_write, there, given, changed)
        result = _formatted(changed, unparsed) | {"written": write and bool(changed.files)}
        return data_result(result, _formatted_text(changed, unparsed))


def _formatted(changed: Changed, unparsed: list[Finding]) -> dict[str, Any]:
    return {
        "changed": sorted(changed.files),
        "unparsed": [one.data() for one in unparsed[:100]],
        "diff": changed.diff,
    }


def _formatted_text(changed: Changed, unparsed: list[Finding]) -> str:
    lines = [str(one) for one in unparsed[:100]]
    return "\n".join([*lines, changed.diff or "nothing to change"])


def _refuse_unparsed(unparsed: list[Finding]) -> None:
    if unparsed:
        one = unparsed[0]
        raise Problem(
            f"the code is not Python, so it was not formatted: line {one.line}, column {one.column}: {one.message}"
        )


def _write(roots: Roots, given: Sources, changed: Changed) -> None:
    """Replace the files that changed, each in one step, unless somebody changed one in the meantime."""
    for name, data in changed.files.items():
        place = given.places[name]
        if sources.read(roots, place, sources.COPIED_BYTES) != given.files[name]:
            raise Problem(
                f"{place.shown} was changed by somebody while it was formatted and was left as it is; call again"
            )
        stored.write_bytes(roots, place, data)


def _add_type_check(box: Toolbox, bench: Workbench, roots: Roots | None) -> None:
    @box.tool("Type Check", READS)
    async def type_check(
        code: Code = None,
        files: Files = None,
        path: Path = None,
        strict: Annotated[bool, Field(description="As with mypy --strict")] = False,
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> Annotated[CallToolResult, Findings]:
        """Check the types of Python code with mypy, with the packages that are installed here. The code is not
        run and no file is changed."""
        wanted = wanted_by(mypy.CONFIGURATION)
        given = await in_thread(sources.chosen, code, files, path, roots, wanted, stop_if_cancelled)
        found = await checking.type_checked(bench, given, caller(), strict=strict)
        return _findings_result(found, limit, offset, "mypy")
