"""Where tasks wait for requests that run on the core's threads: one desk an event loop, for all its pools.

The core puts what became of a request, by its number, into an inbox, whose descriptor is readable while there is
something. No thread enters the loop and none is waited for: of the tasks that wait, one is the *driver*, who waits for
the descriptor, takes what has come and wakes those whom it concerns. A driver that need not wait any longer, or is
cancelled, makes another one the driver. So it is the same under asyncio and trio.

Who leaves gives up what it asked for; the core drops it with the connection that it held.
"""

from __future__ import annotations

import os

import anyio
import anyio.lowlevel

from omnimind import _core

Answer = tuple[int, str, list[tuple[str, str]], "bytes | _core.Body"]
"""Status, HTTP version, headers, and all of the content or a body to be read."""
Outcome = Answer | bytes | _core.Fault

_desks: anyio.lowlevel.RunVar[Desk] = anyio.lowlevel.RunVar("omnimind.pool.desk")


class Ticket:
    """What a task waits for."""

    __slots__ = ("event", "number", "outcome")

    def __init__(self, number: int) -> None:
        self.number = number
        self.outcome: Outcome | None = None
        self.event = anyio.Event()


class Desk:
    """The waiting tasks of one loop."""

    def __init__(self) -> None:
        self.inbox = _core.Inbox()
        self.process = os.getpid()
        self._tickets: dict[int, Ticket] = {}
        self._waiting: dict[Ticket, None] = {}
        self._driver: Ticket | None = None

    def open(self, number: int) -> Ticket:
        """A ticket for what was started under this number; it is to be closed."""
        ticket = self._tickets[number] = Ticket(number)
        return ticket

    def close(self, ticket: Ticket) -> None:
        """Give up what has not come."""
        del self._tickets[ticket.number]
        if ticket.outcome is None:
            self.inbox.forget(ticket.number)

    async def wait(self, ticket: Ticket) -> Outcome:
        """What became of it. Cancelled, it can be waited for again."""
        self._waiting[ticket] = None
        try:
            while ticket.outcome is None:
                if self._driver is None:
                    self._driver = ticket
                if self._driver is ticket:
                    await anyio.wait_readable(self.inbox)
                    self._hand_out()
                else:
                    await ticket.event.wait()
                    ticket.event = anyio.Event()
        finally:
            del self._waiting[ticket]
            if self._driver is ticket:
                self._driver = next(iter(self._waiting), None)
                if self._driver is not None:
                    self._driver.event.set()
        return ticket.outcome

    def _hand_out(self) -> None:
        for number, outcome in self.inbox.take():
            ticket = self._tickets.get(number)
            if ticket is not None:
                ticket.outcome = outcome
                ticket.event.set()


def here() -> Desk:
    """The desk of the running loop, in this process."""
    desk = _desks.get(None)
    if desk is None or desk.process != os.getpid():
        desk = Desk()
        _desks.set(desk)
    return desk
