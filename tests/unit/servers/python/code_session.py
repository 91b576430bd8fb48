"""The tools for code on a jail of their own, asked as a client asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from server_session import Session

from omnimind.servers import ServerContext
from omnimind.servers.filesystem.roots import open_roots
from omnimind.servers.python import install
from omnimind.servers.python.code_tools import add_code_tools
from omnimind.servers.python.jail import Jail
from omnimind.servers.tools import Toolbox, new_server


class CodeSession(Session):
    """A server with these tools and nothing else."""

    def __init__(self, base: Path, folders: Sequence[Path], args: Sequence[str]) -> None:
        self.base = base
        settings, _ = install.settings(args)
        base.mkdir(mode=0o700, exist_ok=True)
        self.jail = Jail.start(base, read=settings.reads, network=settings.allowed and settings.network)
        box = Toolbox()
        roots = open_roots([str(folder) for folder in folders]) if folders else None
        self.bench = add_code_tools(box, self.jail, base, roots, settings, {"wall_s": 30})
        context = ServerContext("python", base, list(args))
        self.server = new_server(context, box, title="Python", instructions="Code.")


@contextmanager
def code_session(base: Path, folders: Sequence[Path] = (), args: Sequence[str] = ()) -> Iterator[CodeSession]:
    """One, with its jail closed at the end."""
    session = CodeSession(base, folders, args)
    try:
        yield session
    finally:
        session.jail.close()
