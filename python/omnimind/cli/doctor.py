"""`omnimind doctor`: what could keep a fleet from running here, each with what to do about it.

Every check is a function that yields findings; nothing is changed. A port that a stranger holds is a
warning, because the fleet runs without it.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from omnimind import settings, tokens
from omnimind.cli import fleet, options, terminal
from omnimind.errors import Exit, OmniMindError, SettingsError
from omnimind.settings import Settings

Level = Literal["ok", "warn", "fail"]

_PACKAGES: Final = ("mcp", "anyio", "msgpack", "lz4", "psutil", "platformdirs")
_OPENAT2_SINCE: Final = (5, 6)
_DESCRIPTORS: Final = 4096


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    check: str
    detail: str
    help: str | None = None


def run(argv: Sequence[str]) -> int:
    """Print the findings; exit code 1 if one is a failure."""
    parser = options.parser(
        "doctor", "Check this machine, the configuration, the ports and the state folder."
    )
    options.add_config(parser)
    options.add_state(parser)
    options.add_json(parser)
    arguments = parser.parse_args(argv)
    findings = list(examine(arguments.config, settings.state_dir(arguments.state)))
    if arguments.json:
        terminal.print_json([asdict(finding) for finding in findings])
    else:
        _print(findings)
    return Exit.FAILURE if any(finding.level == "fail" for finding in findings) else Exit.OK


def examine(config: Path | None, state: Path) -> Iterator[Finding]:
    """Every finding, in order."""
    yield from _machine()
    yield from _packages()
    try:
        found = settings.load(config, state)
    except SettingsError as error:
        yield Finding("fail", "configuration", str(error), error.help)
        found = None
    if found is not None:
        checks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (_configuration, _commands, _ports)
        for check in checks:
            yield from check(found)
    yield from _state(state)


def _machine() -> Iterator[Finding]:
    version = platform.python_version()
    old = sys.version_info < (3, 11)
    yield Finding("fail" if old else "ok", "python", version, "use Python 3.11 or newer" if old else None)
    release = platform.release()
    if sys.platform != "linux":
        yield Finding("fail", "system", sys.platform, "run it on Linux")
        return
    numbers = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit())
    weak = numbers < _OPENAT2_SINCE
    yield Finding(
        "warn" if weak else "ok",
        "kernel",
        release,
        "paths are checked step by step before 5.6" if weak else None,
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = 0 <= soft < _DESCRIPTORS and (hard < 0 or hard >= _DESCRIPTORS)
    yield Finding(
        "warn" if few else "ok",
        "open files",
        f"limit {soft}",
        f"raise it: ulimit -n {_DESCRIPTORS}" if few else None,
    )


def _packages() -> Iterator[Finding]:
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        yield Finding(
            "fail", "packages", f"missing: {', '.join(missing)}", "install again: pip install omnimind"
        )
    else:
        yield Finding("ok", "packages", ", ".join(_PACKAGES))
    try:
        import omnimind._core  # noqa: F401
    except ImportError as error:
        yield Finding("fail", "extension", str(error), "build it: make up")
    else:
        yield Finding("ok", "extension", "omnimind._core loads")


def _configuration(found: Settings) -> Iterator[Finding]:
    count = sum(server.enabled for server in found.servers)
    where = str(found.config_path) if found.config_path else "no file, the built-in servers"
    yield Finding("ok", "configuration", f"{where}: {count} servers")
    for note in found.notes:
        yield Finding("ok", "configuration", note)
    if found.config_path is None:
        return
    status = found.config_path.stat()
    if status.st_mode & 0o022 or status.st_uid not in (0, os.geteuid()):
        yield Finding(
            "fail",
            "configuration",
            "other users can change it, and so start programs as you",
            f"chmod go-w {found.config_path}",
        )
    elif status.st_mode & 0o044 and any(server.env or server.headers for server in found.servers):
        yield Finding(
            "warn",
            "configuration",
            "other users can read it, and it holds env or headers",
            f"chmod 600 {found.config_path}",
        )


def _commands(found: Settings) -> Iterator[Finding]:
    for server in found.servers:
        if server.kind != "stdio" or not server.enabled or not server.command:
            continue
        path = shutil.which(server.command, path=server.env.get("PATH"))
        if path is None:
            yield Finding(
                "fail",
                f"server {server.name}",
                f"the program {server.command} is not found",
                "install it, or write its absolute path",
            )
        else:
            yield Finding("ok", f"server {server.name}", path)


def _ports(found: Settings) -> Iterator[Finding]:
    from omnimind.orchestrator import holders

    wanted = [("gateway", found.gateway.port), *((s.name, s.port) for s in found.servers if s.enabled)]
    ours = fleet.find(found.state_dir) is not None
    for name, port in wanted:
        if not port:
            continue
        holder = holders.of_port(port)
        if holder is None:
            yield Finding("ok", f"port {port}", f"free ({name})")
        elif ours:
            yield Finding(
                "ok", f"port {port}", f"{name}: held by {holder}; a fleet runs in this state folder"
            )
        else:
            level: Level = "fail" if name == "gateway" else "warn"
            yield Finding(
                level, f"port {port}", f"wanted by {name}, held by {holder}", "give it another port"
            )


def _state(state: Path) -> Iterator[Finding]:
    if not state.exists():
        yield Finding("ok", "state folder", f"{state} is made at the first start")
        return
    try:
        tokens.open_state(state)
        names = [principal.name for principal in tokens.principals(state)]
        tokens.key_ring(state)
        if names:
            tokens.local_token(state)
    except OmniMindError as error:
        yield Finding("fail", "state folder", str(error), error.help)
        return
    yield Finding("ok", "state folder", f"{state}: {len(names)} principals")
    free = shutil.disk_usage(state).free // (1024 * 1024)
    yield Finding(
        "warn" if free < 100 else "ok", "disk", f"{free} MiB free", "make room" if free < 100 else None
    )
    if stat.S_IMODE(state.stat().st_mode) & 0o055:
        yield Finding("warn", "state folder", "other users can look into it", f"chmod 700 {state}")
    record = fleet.find(state)
    yield Finding("ok", "fleet", f"runs at {record.endpoint}" if record else "does not run")


def _print(findings: Sequence[Finding]) -> None:
    colors = {"ok": "green", "warn": "yellow", "fail": "red"}
    for finding in findings:
        mark = terminal.paint(f"{finding.level:<4}", colors[finding.level])
        print(f"{mark}  {finding.check}: {terminal.printable(finding.detail)}")
        if finding.help:
            print(f"      help: {finding.help}")
