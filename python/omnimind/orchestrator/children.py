"""The stdio children of one server: one a key (principal, era, session), the first of them for readiness.

Rules. A key has at most one child, and a gateway that asks for a known key, a new gateway included, is handed
duplicates of the same pipes. The eras a server speaks are learned once. A child that died of
`server/discover`, or of anything before it answered that, is offered `initialize` alone at its next start;
one that kept silent, at once. Children beside the first count their own starts in the server's window, so a
crashing one cannot storm. Children of a session end with the gateway that asked for them: their session's
state cannot be handed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import anyio

from omnimind.orchestrator import negotiate
from omnimind.orchestrator.instances import (
    ABORT_GRACE_S,
    Failing,
    House,
    Instance,
    StartFailed,
    StdioChild,
    launch_child,
)
from omnimind.orchestrator.lifecycle import Policy
from omnimind.orchestrator.logs import files
from omnimind.orchestrator.negotiate import Mode
from omnimind.orchestrator.waiting import first_of
from omnimind.settings import ServerSettings

NOBODY = "*"
"""The principal of children that serve everybody."""
LOCAL = "local"
GRACE_S = 2.0
"""Between SIGTERM and SIGKILL for a child that the server itself does not depend on."""
_RELEASE_S = 1.0
"""How much longer than its own patience the gateway is waited for."""


@dataclass(frozen=True, slots=True)
class Key:
    """Whom a child serves."""

    principal: str
    era: str
    session: str | None = None
    apart: int | None = None


class TooManyStarts(Exception):
    """This key's children crash too often."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("its process for this principal keeps ending")
        self.retry_after_s = retry_after_s


class Children:
    """All children of one stdio server."""

    def __init__(
        self,
        house: House,
        server: ServerSettings,
        log: files.LogFile,
        policy: Policy,
        number: Iterator[int],
        tell: Callable[[int | None, Mapping[str, Any]], bool],
        clock: Callable[[], float],
    ) -> None:
        self._house = house
        self._server = self._wanted = server
        self._log = log
        self._policy = policy
        self._number = number
        self._tell = tell
        self._clock = clock
        self._by_key: dict[Key, StdioChild] = {}
        self._starts: dict[Key, tuple[float, ...]] = {}
        self._locks: dict[Key, anyio.Lock] = {}
        self._first: StdioChild | None = None
        self._leaving: list[StdioChild] = []
        self._released: dict[int, anyio.Event] = {}
        self._mode = Mode.ANY
        self._speaks: dict[str, bool] = {}

    # --- the first child, whose life is the server's

    def configure(self, server: ServerSettings) -> None:
        """The next first child is started by this; others follow once it answers."""
        self._wanted = server

    async def launch(self) -> StdioChild:
        """Start the child that makes the server ready. Raises StartFailed."""
        if self._wanted != self._server:
            self._mode = Mode.ANY
        server, capabilities = self._wanted, negotiate.CAPABILITIES
        try:
            child = await self._launch(server, self._mode, capabilities)
        except StartFailed as failed:
            if failed.how is Failing.SILENT and self._mode is Mode.ANY:
                child = await self._launch(server, Mode.LEGACY, capabilities)
                self._mode = Mode.LEGACY
            else:
                died_of_question = failed.how is Failing.EXITED and self._mode is Mode.ANY
                self._mode = Mode.LEGACY if died_of_question else Mode.ANY
                raise
        if self._first is not None:
            # It succeeds one that still serves: whoever is asked for from now on is a new one.
            self._leaving += self._by_key.values()
            self._by_key.clear()
        if server != self._server:
            self._server, self._speaks = server, {}
        if child.negotiated.era == "legacy":
            self._speaks["modern"] = False
        self._first = child
        self._by_key[Key(NOBODY if server.sessions == "shared" else LOCAL, child.negotiated.era)] = child
        return child

    async def retire(self, old: Instance, patience_s: float) -> None:
        """End what a successor replaced, or everything, once the gateway has nothing in flight there."""
        if old is self._first:
            self._first = None
            self._leaving += self._by_key.values()
            self._by_key.clear()
        leaving, self._leaving = self._leaving, []
        async with anyio.create_task_group() as group:
            for child in leaving:
                group.start_soon(self._let_go, child, patience_s)

    async def _let_go(self, child: StdioChild, patience_s: float) -> None:
        told = {"t": "child_retire", "child": child.number, "timeout_ms": int(patience_s * 1000)}
        released = self._released[child.number] = anyio.Event()
        try:
            if child.handed_to is not None and self._tell(child.handed_to, told):
                with anyio.move_on_after(patience_s + _RELEASE_S):
                    await first_of(released, child.child.exited)
        finally:
            del self._released[child.number]
        if not released.is_set():
            self._gone(child, "the server was replaced or stopped")
        await child.end(GRACE_S)

    def _gone(self, child: StdioChild, reason: str) -> None:
        self._tell(child.handed_to, {"t": "child_gone", "child": child.number, "reason": reason})

    def forget_first(self, reason: str) -> None:
        """The first child is gone."""
        if self._first is not None:
            self._forget(self._first, reason)
            self._first = None

    # --- what the gateway asks

    async def want(
        self,
        principal: str,
        era: str,
        session: str | None,
        capabilities: Mapping[str, Any] | None,
        apart: int | None = None,
    ) -> StdioChild:
        """The child for this key, started if there is none. Raises StartFailed or TooManyStarts.

        `apart` is the epoch of a gateway that needs one which no other gateway holds.
        """
        whose = NOBODY if self._server.sessions == "shared" else principal
        own_session = session if self._server.sessions == "own" else None
        declared = negotiate.CAPABILITIES if own_session is None or capabilities is None else capabilities
        key = Key(whose, self._spoken(era), own_session, apart)
        async with self._locks.setdefault(key, anyio.Lock()):
            if key in self._by_key:
                return self._by_key[key]
            try:
                return await self._start_extra(key, declared)
            except StartFailed:
                other = self._other_era(key.era)
                if other is None:
                    raise
                self._speaks[key.era] = False
        return await self.want(principal, other, session, capabilities, apart)

    async def let_go(self, child: StdioChild, patience_s: float) -> None:
        """End a child other than the first, once its gateway has nothing in flight there."""
        for key, known in list(self._by_key.items()):
            if known is child and child is not self._first:
                del self._by_key[key]
                self._locks.pop(key, None)
                await self._let_go(child, patience_s)

    async def release(self, number: object) -> None:
        """End a child that the gateway no longer uses; the first one stays."""
        if isinstance(number, int) and number in self._released:
            self._released[number].set()
            return
        child = self._numbered(number)
        if child is not None and child is not self._first:
            self._forget(child, "released")
            await child.end(GRACE_S)

    async def end_stuck(self, number: object, reason: str) -> None:
        """End a child that answers nothing; whoever follows it sees its end and starts the next one."""
        child = self._numbered(number)
        if child is not None:
            self._log.write(child.child.pid, f"omnimind: ended, {reason}")
            await child.end(ABORT_GRACE_S)

    async def end_sessions(self, epoch: int) -> None:
        """A gateway is gone: end the children of its sessions."""
        for key, child in list(self._by_key.items()):
            if (key.session is not None or key.apart is not None) and child.handed_to == epoch:
                self._forget(child, "its session ended with the gateway")
                await child.end(GRACE_S)

    async def end_extra(self) -> None:
        """End every child but the first."""
        extra = [child for child in self._by_key.values() if child is not self._first]
        async with anyio.create_task_group() as group:
            for child in extra:
                self._forget(child, "the server stops")
                group.start_soon(child.end, GRACE_S)

    # --- inside

    def _numbered(self, number: object) -> StdioChild | None:
        return next((child for child in self._by_key.values() if child.number == number), None)

    def _spoken(self, era: str) -> str:
        """The era to ask for: the wanted one unless the server is known not to speak it."""
        first = self._first.negotiated.era if self._first is not None else "modern"
        wanted = first if era == "any" else era
        other = "legacy" if wanted == "modern" else "modern"
        return other if self._speaks.get(wanted) is False else wanted

    def _other_era(self, era: str) -> str | None:
        other = "legacy" if era == "modern" else "modern"
        return None if self._speaks.get(other) is False else other

    async def _start_extra(self, key: Key, capabilities: Mapping[str, Any]) -> StdioChild:
        now_s = self._clock()
        starts = tuple(t for t in self._starts.get(key, ()) if t > now_s - self._policy.window_s)
        most = max(1, self._policy.max_attempts)
        if len(starts) >= most:
            raise TooManyStarts(starts[-most] + self._policy.window_s - now_s)
        self._starts[key] = (*starts, now_s)
        child = await self._launch(self._server, Mode(key.era), capabilities)
        self._by_key[key] = child
        self._house.tasks.start_soon(self._follow, child)
        return child

    async def _follow(self, child: StdioChild) -> None:
        cause = await child.gone()
        if self._forget(child, cause.reason):
            self._log.write(child.child.pid, f"omnimind: {cause.reason}")

    async def _launch(
        self, server: ServerSettings, mode: Mode, capabilities: Mapping[str, Any]
    ) -> StdioChild:
        child = await launch_child(self._house, server, self._log, mode, capabilities)
        child.number = next(self._number)
        return child

    def _forget(self, child: StdioChild, reason: str) -> bool:
        """Drop a child from the table and tell the gateway; False if it was dropped before."""
        for key, known in list(self._by_key.items()):
            if known is child:
                del self._by_key[key]
                self._locks.pop(key, None)
                self._gone(child, reason)
                return True
        return False
