"""The configuration: is it valid, who may change it, and are its programs there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from omnimind.cli.doctor.finding import Finding, fail, ok, warn
from omnimind.errors import SettingsError
from omnimind.settings import Settings


def invalid(error: SettingsError) -> Finding:
    """A file that cannot be used."""
    return fail("configuration", str(error), error.help or "omnimind config check says more")


def examine(found: Settings) -> Iterator[Finding]:
    """Every finding about a valid configuration."""
    count = sum(server.enabled for server in found.servers)
    where = str(found.config_path) if found.config_path else "no file, the built-in servers"
    yield ok("configuration", f"{where}: {count} servers")
    for note in found.notes:
        yield ok("configuration", note)
    if found.config_path is not None:
        yield from _modes(found)
    yield from _programs(found)


def _modes(found: Settings) -> Iterator[Finding]:
    path = found.config_path
    if path is None:
        return
    status = path.stat()
    if status.st_mode & 0o022 or status.st_uid not in (0, os.geteuid()):
        yield fail(
            "configuration", "other users can change it, and so start programs as you", f"chmod go-w {path}"
        )
    elif status.st_mode & 0o044 and any(server.env or server.headers for server in found.servers):
        yield warn(
            "configuration", "other users can read it, and it holds env or headers", f"chmod 600 {path}"
        )


def _programs(found: Settings) -> Iterator[Finding]:
    for server in found.servers:
        if server.kind != "stdio" or not server.enabled or not server.command:
            continue
        path = shutil.which(server.command, path=server.env.get("PATH"))
        if path is None:
            detail = f"the program {server.command} is not found"
            yield fail(f"server {server.name}", detail, "install it, or write its absolute path")
        else:
            yield ok(f"server {server.name}", path)
