"""Who is asking.

A worker serves all principals over the gateway's connections, so the name of the principal decides which
data a call sees. It is believed only on a connection that opened with the worker's instance key: there the
gateway has removed what the client wrote and put in its own. A keyed request without a name is refused,
never served as somebody. Everywhere else (stdio, tests in memory) there is one user: `local`.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL: Final = "local"
META_KEY: Final = "omnimind/principal"
ROLE_KEY: Final = "omnimind/role"
_LONGEST = 512

_keyed: ContextVar[bool] = ContextVar("omnimind_keyed", default=False)
_named: ContextVar[str | None] = ContextVar("omnimind_named", default=None)
_operating: ContextVar[bool] = ContextVar("omnimind_operating", default=False)

Role = Literal["operator", "user"]


class UnknownPrincipalError(Exception):
    """A request on a keyed connection does not say for whom it is."""


def trust_connection() -> None:
    """From here on, in this task and those it starts, requests say for whom they are."""
    _keyed.set(True)


def connection_is_trusted() -> bool:
    """Whether this task serves a connection that opened with the instance key."""
    return _keyed.get()


def note(params: Mapping[str, Any] | None) -> None:
    """Remember, for this request, the principal that its parameters name, and its role."""
    meta = (params or {}).get("_meta")
    name = meta.get(META_KEY) if isinstance(meta, dict) else None
    _named.set(name if isinstance(name, str) and 0 < len(name) <= _LONGEST else None)
    _operating.set(isinstance(meta, dict) and meta.get(ROLE_KEY) == "operator")


def current_or_none() -> str | None:
    """The principal of the request being served; None if it is a keyed one that names nobody."""
    return _named.get() if _keyed.get() else LOCAL


def current() -> str:
    """The principal of the request being served."""
    name = current_or_none()
    if name is None:
        raise UnknownPrincipalError(f"the request carries no {META_KEY} in its _meta")
    return name


def role() -> Role:
    """What the principal may see beside its own. Whoever is alone with the server is its operator."""
    return "operator" if not _keyed.get() or _operating.get() else "user"
