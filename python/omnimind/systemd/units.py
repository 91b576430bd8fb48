"""The unit files, as text: templates of this package filled in for one machine. Pure; nothing is read but templates.

Every file begins with a line that names us and carries a digest of the rest, so that the installer knows its own
files, and knows when somebody changed one.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from omnimind.settings import ServerSettings, Settings

Hardening = Literal["full", "calls", "none"]
"""`calls` is what works in every user unit; `full` adds what needs a user namespace."""
Author = Literal["ours", "changed", "foreign"]

TEMPLATES: Final = Path(__file__).with_name("units")
SERVICE: Final = "omnimind-mcp@.service"
SOCKET: Final = "omnimind-mcp@.socket"
GATEWAY: Final = "omnimind-gateway.service"
GATEWAY_SOCKET: Final = "omnimind-gateway.socket"
TARGET: Final = "omnimind-mcp.target"
LISTS: Final = (f"{TARGET}.d/servers.conf", f"{GATEWAY}.d/servers.conf")
BACKOFF_SINCE: Final = 254
_TEMPORARY: Final = ("/tmp", "/var/tmp")  # noqa: S108
_HEAD: Final = re.compile(r"\A# omnimind:([0-9a-f]{16}) [^\n]*\n")
_SAYS: Final = (
    "written by `omnimind systemd install`; changes belong into a drop-in: systemctl --user edit UNIT"
)
_SERVER: Final = re.compile(r"\Aomnimind-mcp@([A-Za-z0-9_-]{1,64})\.service\.d/server\.conf\Z")


@dataclass(frozen=True, slots=True)
class Choice:
    """What to write units for. `version` is systemd's."""

    settings: Settings
    servers: tuple[ServerSettings, ...]
    python: str
    version: int
    hardening: Hardening
    config: Path | None = None


def instance(server: str, kind: str = "service") -> str:
    """The name of a server's unit."""
    return f"omnimind-mcp@{server}.{kind}"


def files(choice: Choice) -> dict[str, str]:
    """Every file of the installation by its path beneath the folder of units."""
    known = _known(choice)
    texts = {name: _fill(name, known) for name in (SERVICE, SOCKET, GATEWAY, TARGET)}
    texts |= _hardening(SERVICE, choice.hardening, known)
    if any(server.enabled and server.kind == "stdio" for server in choice.settings.servers):
        if choice.hardening != "none":
            texts[f"{GATEWAY}.d/10-parent.conf"] = _fill("hardening-parent.conf", known)
    else:
        texts |= _hardening(GATEWAY, choice.hardening, known)
    if choice.version >= BACKOFF_SINCE:
        for unit in (SERVICE, GATEWAY):
            texts[f"{unit}.d/30-since-254.conf"] = _fill("since-254.conf", known)
    if choice.settings.gateway.port:
        texts[GATEWAY_SOCKET] = _fill(GATEWAY_SOCKET, known)
        needs = f"[Unit]\nRequires={GATEWAY_SOCKET}\nAfter={GATEWAY_SOCKET}\n"
        texts[f"{GATEWAY}.d/socket.conf"] = needs
    for server in choice.servers:
        texts |= _of_server(server, choice)
    written = {name: stamp(text) for name, text in texts.items()}
    return written | lists([server.name for server in choice.servers])


def lists(names: Sequence[str]) -> dict[str, str]:
    """The files that name all installed servers: the target wants them, the gateway comes after their sockets."""
    if not names:
        return {}
    services = " ".join(instance(name) for name in names)
    sockets = " ".join(instance(name, "socket") for name in names)
    texts = (f"[Unit]\nWants={services}\n", f"[Unit]\nAfter={sockets}\n")
    return {name: stamp(text) for name, text in zip(LISTS, texts, strict=True)}


def hardening(state_dir: Path) -> list[str]:
    """The texts of the full hardening, for a trial."""
    known = {"STATE": quoted(str(state_dir))}
    return [_fill("hardening-calls.conf", known), _fill("hardening-files.conf", known)]


def _known(choice: Choice) -> dict[str, str]:
    state = str(choice.settings.state_dir)
    option = f" {quoted(f'--config={choice.config}', argument=True)}" if choice.config else ""
    return {
        "PYTHON": f"{quoted(choice.python)} -P",
        "ENVIRONMENT": f"Environment={quoted(f'OMNIMIND_STATE={state}')}",
        "OPTIONS": option,
        "STATE": quoted(state),
        "ADDRESS": _address(choice.settings, choice.settings.gateway.port),
    }


def _address(settings: Settings, port: int) -> str:
    host = settings.gateway.host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _fill(name: str, known: Mapping[str, str]) -> str:
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    for word, value in known.items():
        text = text.replace(f"@{word}@", value)
    return text


def _hardening(unit: str, level: Hardening, known: Mapping[str, str]) -> dict[str, str]:
    texts = {}
    if level != "none":
        texts[f"{unit}.d/10-calls.conf"] = _fill("hardening-calls.conf", known)
    if level == "full":
        texts[f"{unit}.d/20-files.conf"] = _fill("hardening-files.conf", known)
    return texts


def _of_server(server: ServerSettings, choice: Choice) -> dict[str, str]:
    lines = ["[Service]"]
    limits = server.resources
    lines += [f"MemoryMax={limits.memory_mb}M"] if limits.memory_mb else []
    lines += [f"LimitNOFILE={limits.open_files}"] if limits.open_files else []
    lines += [f"TasksMax={limits.processes}"] if limits.processes else []
    lines += [f"CPUWeight={limits.cpu_weight}"] if limits.cpu_weight else []
    if choice.hardening == "full":
        written = roots(server)
        lines += [f"ReadWritePaths={quoted(f'-{path}')}" for path in written]
        state = str(choice.settings.state_dir)
        if any(_beneath(path, _TEMPORARY) for path in (*written, state)):
            lines += [
                "# It works in the machine's temporary folder, so it cannot have one of its own.",
                "PrivateTmp=no",
            ]
    texts = {f"{instance(server.name)}.d/server.conf": "\n".join([*lines, ""])}
    if server.port:
        listen = f"[Socket]\nListenStream={_address(choice.settings, server.port)}\n"
        texts[f"{instance(server.name, 'socket')}.d/port.conf"] = listen
    return texts


def roots(server: ServerSettings) -> list[str]:
    """The folders outside the state folder that a server writes to."""
    if server.builtin != "filesystem":
        return []
    return [os.path.abspath(word) for word in server.args if not word.startswith("--")]


def _beneath(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def quoted(word: str, *, argument: bool = False) -> str:
    """A word as systemd reads it back: `%` has a meaning everywhere, `$` in the arguments of a command."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    text = text.replace("$", "$$") if argument else text
    return f'"{text}"' if re.search(r"[\s\"'\\;]", text) else text


# --- whose file it is


def stamp(body: str) -> str:
    """The text with our first line."""
    return f"# omnimind:{_digest(body)} {_SAYS}\n{body}"


def author(text: str) -> Author:
    """Whether we wrote this text, and whether it is still what we wrote."""
    head = _HEAD.match(text)
    if head is None:
        return "foreign"
    return "ours" if head.group(1) == _digest(text[head.end() :]) else "changed"


def server_of(name: str) -> str | None:
    """The server that a file of an installation stands for; every installed server has exactly one such file."""
    found = _SERVER.match(name)
    return found.group(1) if found else None


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]
