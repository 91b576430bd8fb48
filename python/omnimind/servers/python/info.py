"""What this Python server is and can do: interpreter, jail, engines, tools, limits. Facts of this process only."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Mapping
from typing import Any, Final

from omnimind.linux import landlock
from omnimind.servers import depends
from omnimind.servers.filesystem.roots import Roots
from omnimind.servers.python import checking, install, sources, workbench
from omnimind.servers.python.inside import confine
from omnimind.servers.python.install import Settings

EXTRAS: Final[Mapping[str, tuple[str, ...]]] = {
    "python-tools": ("ruff", "mypy", "pytest"),
    "python-fast": ("pydantic-monty",),
    "python-plots": ("matplotlib",),
}
"""What can be added to an installation, by the extra that adds it."""

LIMITS: Final[Mapping[str, float]] = {
    "files_given": sources.FILES,
    "bytes_given": sources.BYTES,
    "files_copied": sources.COPIED_FILES,
    "bytes_copied": sources.COPIED_BYTES,
    "lint_seconds": checking.RUFF.wall_s,
    "type_check_seconds": checking.MYPY.wall_s,
    "run_tests_seconds": checking.LONGEST_S,
    "install_seconds": install.SECONDS,
    "installed_bytes": install.FOLDER_BYTES,
}


def facts(settings: Settings, roots: Roots | None, limits: Mapping[str, float]) -> dict[str, Any]:
    """All of it; `limits` are those of running code."""
    why = confine.why_not()
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": f"{sys.platform} {platform.machine()}",
        "jail": {"available": why is None, "why": why or "", "landlock_abi": landlock.abi()},
        "extras": {extra: {name: version(name) for name in names} for extra, names in EXTRAS.items()},
        "add_extras_with": workbench.ADD_TOOLS,
        "folders": [] if roots is None else [root.named for root in roots.roots],
        "install": _install(settings),
        "limits": {**limits, **LIMITS},
    }


def version(name: str) -> str:
    """The version of an installed package; nothing if it is missing."""
    for folder in sys.path:
        depends.file(os.path.realpath(folder))
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _install(settings: Settings) -> str:
    if not settings.allowed:
        return f"not allowed; the operator can allow it with {install.ALLOW}"
    return "from an index" if settings.network else "from a folder of wheels"


def shown(facts: Mapping[str, Any]) -> str:
    """The same as text."""
    jail = facts["jail"]
    has = [
        f"{name} {version or '(missing)'}"
        for tools in facts["extras"].values()
        for name, version in tools.items()
    ]
    return "\n".join(
        [
            f"{facts['implementation']} {facts['python']} on {facts['platform']}",
            f"jail: {'Landlock ' + str(jail['landlock_abi']) + ' and seccomp' if jail['available'] else jail['why']}",
            f"tools: {', '.join(has)}; what is missing is added with {facts['add_extras_with']}",
            f"folders: {', '.join(facts['folders']) or 'none'}",
            f"install_package: {facts['install']}",
            f"limits: {', '.join(f'{name} {value:,g}' for name, value in facts['limits'].items())}",
        ]
    )
