"""The running fleet as a command sees it: its record `run.json` and its control socket.

The control socket takes one map a frame (length as four bytes, big-endian, then msgpack) and answers
with one: `{"ok": true, ...}`, or `{"ok": false, "code", "what", "help"}`. No frame carries a command to
run, and none is larger than a mebibyte in and sixteen out.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omnimind import catalog
from omnimind.errors import CODES, FleetError, NoFleetError, OmniMindError, SettingsError, closest

RUN_FILE = "run.json"
SOCKET_FILE = "control.sock"
LOCK_FILE = "lock"
GATEWAY_PATIENCE_S = 15.0
_FRAME_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """What `run.json` says of a fleet that runs."""

    pid: int
    start_time: int
    version: str
    endpoint: str
    servers: dict[str, str]
    token_file: str | None


def find(state_dir: Path) -> Record | None:
    """The fleet of a state folder if it runs now; a stale record is nothing."""
    try:
        raw = json.loads((state_dir / RUN_FILE).read_bytes())
        record = Record(
            int(raw["pid"]),
            int(raw["start_time"]),
            str(raw.get("version", "")),
            str(raw["endpoints"]["gateway"]),
            {str(name): str(url) for name, url in raw["endpoints"].get("servers", {}).items()},
            str(raw["token_file"]) if raw.get("token_file") else None,
        )
        boot_id = str(raw["boot_id"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return record if lives(record.pid, record.start_time, boot_id) else None


def lives(pid: int, start_time: int, boot_id: str) -> bool:
    """True if exactly the process that wrote the record still runs."""
    from omnimind.linux import proc

    found = proc.read(pid)
    return bool(found and found.state != "Z" and found.start_time == start_time and boot_id == proc.boot_id())


def holder(state_dir: Path) -> tuple[int, int] | None:
    """Pid and start time of the process that holds this state folder: the fleet's guard, while it lives."""
    from omnimind.linux import proc

    try:
        pid, start_time = (int(word) for word in (state_dir / LOCK_FILE).read_text().split())
    except (OSError, ValueError):
        return None
    return (pid, start_time) if lives(pid, start_time, proc.boot_id()) else None


def need(state_dir: Path) -> Record:
    """The fleet of a state folder, or the error that says how to start one."""
    record = find(state_dir)
    if record is None and holder(state_dir) is not None:
        raise FleetError("OM0204", "the fleet is still starting or stopping", help="see: omnimind status")
    if record is None:
        raise no_fleet(state_dir)
    return record


def no_fleet(state_dir: Path) -> NoFleetError:
    """The error for a state folder without a running fleet."""
    return NoFleetError(
        "OM0201", "no fleet runs", where=f"state folder {state_dir}", help="start one: omnimind up"
    )


def ask(state_dir: Path, request: dict[str, Any], timeout_s: float = 10.0) -> dict[str, Any]:
    """Send one command to the fleet and return its answer; raises if there is none or it is a refusal."""
    import msgpack

    from omnimind.linux import unixpath

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as link:
        link.settimeout(timeout_s)
        try:
            with unixpath.address(os.fspath(state_dir / SOCKET_FILE)) as address:
                link.connect(address)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise no_fleet(state_dir) from None
        except OSError as error:
            raise _silent(state_dir, error.strerror or str(error)) from None
        try:
            body = msgpack.packb(request)
            link.sendall(len(body).to_bytes(4, "big") + body)
            answer = msgpack.unpackb(_frame(link), strict_map_key=False)
        except (OSError, ValueError, EOFError, msgpack.UnpackException) as error:
            raise _silent(state_dir, str(error) or type(error).__name__) from None
    if not isinstance(answer, dict) or not answer.get("ok"):
        raise _refusal(answer if isinstance(answer, dict) else {})
    return answer


def ask_gateway(state_dir: Path, request: dict[str, Any], own: str) -> dict[str, Any]:
    """The gateway's answer to a question that the fleet passes on to it.

    Raises NoFleetError; where servers run alone instead, it names them: each has such a thing (`own`) of its own.
    """
    try:
        answer = ask(state_dir, request, GATEWAY_PATIENCE_S)
    except NoFleetError:
        from omnimind.systemd import rendezvous

        alone = [builtin.name for builtin in catalog.BUILTINS if rendezvous.holder(state_dir, builtin.name)]
        if not alone:
            raise
        raise NoFleetError(
            "OM0201",
            f"no fleet runs; served alone, each with {own} of its own: {', '.join(alone)}",
            where=f"state folder {state_dir}",
            help="an operator's token reads its figures at /metrics on its port; a restart forgets",
        ) from None
    answer.pop("ok", None)
    return answer


def tell(state_dir: Path, request: dict[str, Any]) -> bool:
    """Like `ask`, for news that a stopped fleet need not hear; False if none runs."""
    try:
        ask(state_dir, request)
    except NoFleetError:
        return False
    return True


def server_name(state_dir: Path, name: str) -> str:
    """The fleet's own name for a server that a person named; raises with a suggestion if there is none."""
    rows = ask(state_dir, {"cmd": "status"}).get("servers", [])
    known = [str(row.get("name")) for row in rows if isinstance(row, dict)]
    for wanted in (name, catalog.canonical(name)):
        if wanted in known:
            return wanted
    near = closest(name, known)
    raise FleetError(
        "OM0203",
        f"there is no server named {name}",
        help=f"did you mean {near}?" if near else f"known servers: {', '.join(known) or 'none'}",
    )


def _frame(link: socket.socket) -> bytes:
    size = int.from_bytes(_exactly(link, 4), "big")
    if size > _FRAME_BYTES:
        raise ValueError(f"an answer of {size} bytes")
    return _exactly(link, size)


def _exactly(link: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = link.recv(min(size - len(parts), 1 << 20))
        if not part:
            raise EOFError("the fleet hung up")
        parts += part
    return bytes(parts)


def _silent(state_dir: Path, why: str) -> FleetError:
    return FleetError(
        "OM0204",
        f"the fleet did not answer: {why}",
        where=os.fspath(state_dir / SOCKET_FILE),
        help="see what it does: omnimind logs gateway",
    )


def _refusal(answer: dict[str, Any]) -> OmniMindError:
    error = answer.get("error")
    detail = error if isinstance(error, dict) else answer
    code = detail.get("code")
    what = (
        detail.get("what") or (error if isinstance(error, str) else None) or "the fleet refused the command"
    )
    more = {key: str(detail[key]) for key in ("where", "why", "help") if detail.get(key)}
    about_settings = isinstance(code, str) and code.startswith("OM01")
    kind = SettingsError if about_settings else FleetError
    return kind(code if code in CODES else "OM0204", str(what), **more)
