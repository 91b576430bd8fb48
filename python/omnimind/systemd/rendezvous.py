"""Where a server that is a unit of its own and the gateway meet: a socket, a key, and a lock that says who serves.

The socket is `$XDG_RUNTIME_DIR/omnimind/NAME.sock` (0600). The key is `<state>/units/NAME.key`, made by whoever
comes first; connections to the socket open with it. The lock is held by the serving process for its life, so
that others can see whether the unit runs, and its pid, without connecting: a connection would have systemd start
a unit that the operator stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from omnimind.errors import FleetError, StateError

KEY_BYTES = 32
_FLOCK = "@hhqqi4x"
_RUNS = 2**20
"""Numbers of runs; they serve as epochs, of which ids hold 21 bits."""


def socket_path(name: str, state_dir: Path, runtime_dir: str | None) -> Path:
    """The unit's socket; in the state folder where there is no runtime folder."""
    return (Path(runtime_dir) / "omnimind" if runtime_dir else state_dir / "units") / f"{name}.sock"


def key(state_dir: Path, name: str) -> bytes:
    """The key of the unit's socket, made if it is missing. Raises StateError."""
    path = _folder(state_dir) / f"{name}.key"
    try:
        if not path.exists():
            _make_key(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as fault:
        raise _damaged(path, f"cannot be used: {fault.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise _damaged(path, "is open to other users")
        text = file.read(2 * KEY_BYTES + 2).decode("ascii", "replace").strip()
    with contextlib.suppress(ValueError):
        found = bytes.fromhex(text)
        if len(found) == KEY_BYTES:
            return found
    raise _damaged(path, "is damaged")


@dataclass(frozen=True, slots=True)
class Hold:
    """The lock, which lives as long as the descriptor, and how often it has been taken."""

    descriptor: int
    run: int


def hold(state_dir: Path, name: str) -> Hold:
    """Become the one who serves `name` from this state folder. Raises FleetError if another process does."""
    path = _folder(state_dir) / f"{name}.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as fault:
        raise _damaged(path, f"cannot be used: {fault.strerror}") from None
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pid = _locker(descriptor)
        os.close(descriptor)
        raise FleetError(
            "OM0202",
            f"{name} is served from this state folder already (pid {pid})",
            where=str(state_dir),
            help="use that one, stop it, or choose another folder with --state DIR",
        ) from None
    before = os.pread(descriptor, 16, 0)
    run = (int(before) if before.isdigit() else 0) % _RUNS + 1
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(run).encode(), 0)
    return Hold(descriptor, run)


def holder(state_dir: Path, name: str) -> int | None:
    """The process that serves `name` from this state folder; never call it in that process."""
    try:
        descriptor = os.open(state_dir / "units" / f"{name}.lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return _locker(descriptor)
    finally:
        os.close(descriptor)


def _locker(descriptor: int) -> int | None:
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else int(pid)


def _folder(state_dir: Path) -> Path:
    folder = state_dir / "units"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as fault:
        raise _damaged(folder, f"cannot be made: {fault.strerror}") from None
    return folder


def _make_key(path: Path) -> None:
    """Made whole under another name, then linked: nobody ever reads half a key, and the first one wins."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def _damaged(path: Path, what: str) -> StateError:
    return StateError(
        "OM0302",
        f"{path.name} {what}",
        where=str(path),
        help=f"move it away, and restart the unit and the gateway: mv {path} {path}.old",
    )
