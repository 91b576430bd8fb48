"""Principals and their bearer tokens, and the key ring for sealed tokens: three files of the state folder.

`tokens.json` maps a name to the SHA-256 of its token, a tenant, a class and a role; the token itself is
printed once and kept nowhere, but for `local`, the operator of this machine, whose token lies in
`token` so that commands can use it. `keys.json` holds the keys that seal cursors, session ids and request
states, newest first. Rules: every file is 0600 and ours, or it is refused; every write is atomic and
durable; two writers at once lose nothing (the folder is locked). A token has 256 random bits, so its
plain SHA-256 cannot be searched for.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast, get_args

from omnimind.errors import OmniMindError, StateError, closest

Role = Literal["user", "operator"]
Class = Literal["system", "interactive", "normal", "background"]

ROLES: Final[tuple[str, ...]] = get_args(Role)
CLASSES: Final[tuple[str, ...]] = get_args(Class)
LOCAL: Final = "local"
TOKEN_FILE: Final = "token"  # noqa: S105
TOKENS_FILE: Final = "tokens.json"
KEYS_FILE: Final = "keys.json"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HEX_256 = re.compile(r"[0-9a-f]{64}")
_FILE_BYTES = 4 * 1024 * 1024

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who may call: a name, what the token hashes to, and what the name may do."""

    name: str
    sha256: str
    tenant: str
    class_: Class = "normal"
    role: Role = "user"

    def as_json(self) -> dict[str, str]:
        """The form of `tokens.json` and of the gateway's snapshot."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "tenant": self.tenant,
            "class": self.class_,
            "role": self.role,
        }


def ensure(state_dir: Path) -> None:
    """Make what a first run needs: the folder, the principal `local` with its token, one key."""
    open_state(state_dir)
    with _locked(state_dir):
        found = principals(state_dir)
        local = next((principal for principal in found if principal.name == LOCAL), None)
        if local is None or _digest(_read_text(state_dir / TOKEN_FILE) or "") != local.sha256:
            _renew_local(state_dir, found, local)
        if not key_ring(state_dir):
            _write(state_dir / KEYS_FILE, _dump({"version": 1, "keys": [secrets.token_hex(32)]}))


def principals(state_dir: Path) -> tuple[Principal, ...]:
    """Every principal of the state folder, `local` included; empty before the first run."""
    rows = _read_list(state_dir / TOKENS_FILE, "tokens")
    found = tuple(_principal(row, state_dir / TOKENS_FILE) for row in rows)
    for kind, values in (("name", [p.name for p in found]), ("token", [p.sha256 for p in found])):
        if len(set(values)) != len(values):
            raise _damaged(state_dir / TOKENS_FILE, f"one {kind} stands there twice")
    return found


def key_ring(state_dir: Path) -> tuple[str, ...]:
    """The keys for sealed tokens as 64 hex characters each, newest first; empty before the first run."""
    keys = _read_list(state_dir / KEYS_FILE, "keys")
    if not all(isinstance(key, str) and _HEX_256.fullmatch(key) for key in keys):
        raise _damaged(state_dir / KEYS_FILE, "a key is not 64 hex characters")
    return tuple(keys)


def local_token(state_dir: Path) -> str:
    """The token of `local`, the operator of this machine."""
    token = _read_text(state_dir / TOKEN_FILE)
    if token is None:
        raise StateError(
            "OM0302",
            "there is no local token",
            where=str(state_dir / TOKEN_FILE),
            help="run `omnimind up` once, or `omnimind token renew local`",
        )
    return token


def add(
    state_dir: Path, name: str, *, role: Role = "user", tenant: str | None = None, class_: Class = "normal"
) -> str:
    """Add a principal and return its token, which is kept nowhere."""
    tenant = name if tenant is None else tenant
    for word, value in (("name", name), ("tenant", tenant)):
        if not _NAME.fullmatch(value):
            raise StateError(
                "OM0301",
                f"{value!r} cannot be a {word}",
                help="use 1 to 64 letters, digits, '.', '_', '@' or '-', a letter or digit first",
            )
    ensure(state_dir)
    with _locked(state_dir):
        found = principals(state_dir)
        if any(principal.name == name for principal in found):
            raise StateError(
                "OM0301",
                f"a principal named {name} exists already",
                help=f"give it a new token: omnimind token renew {name}",
            )
        token = _new_token()
        _store(state_dir, (*found, Principal(name, _digest(token), tenant, class_, role)))
    return token


def renew(state_dir: Path, name: str) -> str:
    """Give a principal a new token and return it; the old one stops working."""
    ensure(state_dir)
    with _locked(state_dir):
        found = principals(state_dir)
        chosen = _named(found, name)
        if name == LOCAL:
            return _renew_local(state_dir, found, chosen)
        token = _new_token()
        _store(state_dir, tuple(replace(p, sha256=_digest(token)) if p is chosen else p for p in found))
    return token


def remove(state_dir: Path, name: str) -> None:
    """Remove a principal; its token stops working."""
    if name == LOCAL:
        raise StateError(
            "OM0301",
            "the principal local cannot be removed: commands on this machine use it",
            help="replace its token: omnimind token renew local",
        )
    ensure(state_dir)
    with _locked(state_dir):
        found = principals(state_dir)
        chosen = _named(found, name)
        _store(state_dir, tuple(principal for principal in found if principal is not chosen))


def open_state(state_dir: Path) -> None:
    """Make the state folder (0700) if it is missing; refuse one that others own or may write to."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = state_dir.stat()
    except OSError as error:
        raise StateError(
            "OM0205",
            f"the state folder cannot be made: {error.strerror}",
            where=str(state_dir),
            help="choose another with --state DIR or OMNIMIND_STATE",
        ) from None
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        why = "belongs to another user" if status.st_uid != os.geteuid() else "can be written by other users"
        raise StateError(
            "OM0205",
            f"the state folder {why}",
            where=str(state_dir),
            help="choose another with --state DIR, or run: chmod go-w " + str(state_dir),
        )


def _renew_local(state_dir: Path, found: tuple[Principal, ...], local: Principal | None) -> str:
    token = _new_token()
    base = local or Principal(LOCAL, "", LOCAL, "normal", "operator")
    _write(state_dir / TOKEN_FILE, token + "\n")
    others = tuple(principal for principal in found if principal.name != LOCAL)
    _store(state_dir, (replace(base, sha256=_digest(token)), *others))
    return token


def _named(found: tuple[Principal, ...], name: str) -> Principal:
    for principal in found:
        if principal.name == name:
            return principal
    near = closest(name, [principal.name for principal in found])
    raise StateError(
        "OM0301",
        f"there is no principal named {name}",
        help=f"did you mean {near}?" if near else "list them: omnimind token list",
    )


def _new_token() -> str:
    return "om_" + secrets.token_urlsafe(32)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _principal(row: object, path: Path) -> Principal:
    if not isinstance(row, dict) or not all(isinstance(value, str) for value in row.values()):
        raise _damaged(path, "an entry is not an object of strings")
    fields = cast("dict[str, str]", row)
    name, sha256, tenant = fields.get("name", ""), fields.get("sha256", ""), fields.get("tenant", "")
    class_, role = fields.get("class", "normal"), fields.get("role", "user")
    tenant = tenant or name
    if not (_NAME.fullmatch(name) and _NAME.fullmatch(tenant) and _HEX_256.fullmatch(sha256)):
        raise _damaged(path, "an entry has no usable name, tenant or sha256")
    if class_ not in CLASSES or role not in ROLES:
        raise _damaged(path, f"the class or role of {name} is not known")
    return Principal(name, sha256, tenant, cast(Class, class_), cast(Role, role))


def _store(state_dir: Path, found: tuple[Principal, ...]) -> None:
    rows = [principal.as_json() for principal in found]
    _write(state_dir / TOKENS_FILE, _dump({"version": 1, "tokens": rows}))


def _dump(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def _read_list(path: Path, key: str) -> list[Any]:
    text = _read_text(path)
    if text is None:
        return []
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise _damaged(path, "it is not JSON") from None
    if not isinstance(value, dict) or value.get("version") != 1 or not isinstance(value.get(key), list):
        raise _damaged(path, f'it is not {{"version": 1, "{key}": [...]}}')
    return cast("list[Any]", value[key])


def _damaged(path: Path, why: str) -> StateError:
    return StateError(
        "OM0302",
        f"{path.name} is damaged: {why}",
        where=str(path),
        help=f"restore it from a copy, or move it away and start again: mv {path} {path}.old",
    )


def _read_text(path: Path) -> str | None:
    """The text of a private file, without its last newline; None if there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _damaged(path, f"it cannot be opened ({error.strerror})") from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _damaged(path, "it is not a plain file")
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise StateError(
                "OM0302",
                f"{path.name} is open to other users",
                where=f"{path} (mode {stat.S_IMODE(status.st_mode):04o}, owner {status.st_uid})",
                help=f"close it, and renew what it held: chmod 600 {path}",
            )
        try:
            return file.read(_FILE_BYTES).decode().rstrip("\n")
        except UnicodeDecodeError:
            raise _damaged(path, "it is not UTF-8") from None


def _write(path: Path, text: str) -> None:
    """Replace a private file in one step: after a crash the old or the new one is there, whole."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")

    def write() -> None:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.replace(fresh, path)

    try:
        _explained(path, write)
    except OmniMindError:
        fresh.unlink(missing_ok=True)
        raise


def _explained(path: Path, act: Callable[[], _T]) -> _T:
    try:
        return act()
    except OSError as error:
        raise StateError(
            "OM0205", f"{path.name} cannot be written: {error.strerror}", where=str(path)
        ) from None


@contextmanager
def _locked(state_dir: Path) -> Iterator[None]:
    """Hold the folder against other writers of these files; durable on the way out."""
    descriptor = _explained(
        state_dir, lambda: os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
