"""All tools for code but execute, on one jail."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from omnimind.servers.filesystem.roots import Roots
from omnimind.servers.python.check_tools import add_check_tools
from omnimind.servers.python.install import Settings
from omnimind.servers.python.jail import Jail
from omnimind.servers.python.package_tools import add_package_tools
from omnimind.servers.python.test_tools import add_test_tools
from omnimind.servers.python.workbench import Workbench
from omnimind.servers.tools import Toolbox


def add_code_tools(
    box: Toolbox, jail: Jail, base: Path, roots: Roots | None, settings: Settings, limits: Mapping[str, float]
) -> Workbench:
    """Add them. `base` is the server's part of the state folder, `limits` are those of execute, for python_info.

    The workbench that comes back knows where the packages of a principal are.
    """
    bench = Workbench(jail, base)
    bench.make_folders()
    add_check_tools(box, bench, roots)
    add_test_tools(box, bench, roots)
    add_package_tools(box, bench, roots, settings, limits)
    return bench
