"""The tools about what there is: packages, the interpreter, and installing where the operator allows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import anyio
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import BaseModel, Field

from omnimind.servers.depends import FILES
from omnimind.servers.filesystem.roots import Roots
from omnimind.servers.python import checking, info, install, packages
from omnimind.servers.python.check_tools import Offset
from omnimind.servers.python.install import Settings
from omnimind.servers.python.workbench import Workbench
from omnimind.servers.tools import READS, Toolbox, caller, data_result, in_thread

INSTALLS = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=True
)


class PackageItem(BaseModel):
    """A package on the wire."""

    name: str
    version: str
    summary: str
    installed: bool = Field(description="By install_package")


class Packages(BaseModel):
    """The result of list_packages and install_package."""

    packages: list[PackageItem]
    total: int
    next_offset: int | None = None


class Jail(BaseModel):
    """Whether code can be run here."""

    available: bool
    why: str
    landlock_abi: int


class PythonInfo(BaseModel):
    """The result of python_info."""

    python: str
    implementation: str
    platform: str
    jail: Jail
    extras: dict[str, dict[str, str]]
    add_extras_with: str
    folders: list[str]
    install: str
    limits: dict[str, float]


def add_package_tools(
    box: Toolbox, bench: Workbench, roots: Roots | None, settings: Settings, limits: Mapping[str, float]
) -> None:
    """Add list_packages, python_info and install_package. `limits` are those of running code."""
    _add_reading(box, bench, roots, settings, limits)
    _add_install(box, bench, settings)


def _add_reading(
    box: Toolbox, bench: Workbench, roots: Roots | None, settings: Settings, limits: Mapping[str, float]
) -> None:
    @box.tool("List Packages", READS, FILES)
    async def list_packages(
        query: Annotated[str, Field(description="Part of a name or summary")] = "",
        limit: Annotated[int, Field(ge=1, le=1000)] = 200,
        offset: Offset = 0,
    ) -> Annotated[CallToolResult, Packages]:
        """List the Python packages that code can import here, with versions and summaries."""
        library = await in_thread(bench.library, caller())
        found = await in_thread(packages.found, packages.library_folders(), library, query, bench.headers)
        some = found[offset : offset + limit]
        data = {"packages": [one.data() for one in some], "total": len(found)}
        lines = [f"{one.name} {one.version} - {one.summary}" for one in some]
        if offset + len(some) < len(found):
            data["next_offset"] = offset + len(some)
            lines.append(
                f"... {len(found) - offset - len(some)} more; go on with offset={offset + len(some)}"
            )
        return data_result(data, "\n".join(lines) or "no package fits")

    @box.tool("Python Info", READS, FILES)
    async def python_info() -> Annotated[CallToolResult, PythonInfo]:
        """Tell the interpreter's version, whether there is a jail, which tools are there, and all limits."""
        facts = await in_thread(info.facts, settings, roots, limits)
        return data_result(facts, info.shown(facts))


def _add_install(box: Toolbox, bench: Workbench, settings: Settings) -> None:
    one_at_a_time = anyio.Lock()

    @box.tool("Install Package", INSTALLS)
    async def install_package(
        packages: Annotated[list[str], Field(description="Names, with or without versions: 'httpx>=0.27'")],
    ) -> Annotated[CallToolResult, Packages]:
        """Install wheels for your own code here, if the operator allows it. All of them or, on a conflict, none."""
        settings.refuse()
        requirements = install.checked(packages)
        async with one_at_a_time:
            found = await checking.installed(bench, settings, caller(), requirements)
        data = {"packages": [one.data() for one in found], "total": len(found)}
        return data_result(data, "\n".join(f"{one.name} {one.version} - {one.summary}" for one in found))
