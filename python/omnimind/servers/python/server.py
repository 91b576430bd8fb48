"""The MCP face of the python server: code run in a jail, and tools for code.

Arguments of the server: folders with projects that lint, type check and tests may look at; options for the limits of
running code (`settings`) and for installing packages (`install`). The jail is started here, while this process may
still start one.
"""

from __future__ import annotations

from typing import Final

from mcp.server import MCPServer

from omnimind.servers import ServerContext
from omnimind.servers.filesystem.roots import open_roots
from omnimind.servers.python import install
from omnimind.servers.python.code_tools import add_code_tools
from omnimind.servers.python.execute_tools import add_execute_tools
from omnimind.servers.python.execution import Executor
from omnimind.servers.python.jail import Jail
from omnimind.servers.python.settings import settings
from omnimind.servers.tools import Toolbox, new_server

CHECKS_AT_ONCE: Final = 4


def build(context: ServerContext) -> MCPServer:
    """The python server on the state folder's `python`. Raises ValueError for an argument it does not know."""
    installs, rest = install.settings(context.args)
    limits, folders = settings(rest)
    unknown = next((argument for argument in folders if argument.startswith("-")), None)
    if unknown is not None:
        raise ValueError(
            f"the python server knows no argument {unknown!r}; docs/servers/python.md lists them"
        )
    base = context.state_dir / "python"
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    network = installs.allowed and installs.network
    # Lint, type check and tests have places of their own beside those of `execute`.
    jail = Jail.start(base, read=installs.reads, at_once=limits.at_once + CHECKS_AT_ONCE, network=network)
    box = Toolbox()
    executor = Executor(jail, base, limits)
    add_execute_tools(box, executor)
    closed = (str(context.state_dir.resolve()),)
    roots = open_roots(folders, closed=closed) if folders else None
    bench = add_code_tools(box, jail, base, roots, installs, limits.figures())
    executor.library = bench.library
    return new_server(
        context,
        box,
        title="Python",
        instructions=(
            "Run Python with execute; open_session keeps variables between calls. lint, format, type_check and "
            "run_tests look at code."
        ),
    )
