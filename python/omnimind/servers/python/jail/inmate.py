"""One running job, seen from the worker: its pipes, its output as it comes, and how it ended.

Everything on these pipes but the status comes from a process that a stranger may own: lengths are bounded, output
over the limit is read and dropped, a reply that is no message ends the job. Closing an inmate kills it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import anyio
import anyio.lowlevel

from omnimind.servers.python.inside import frames
from omnimind.servers.python.jail.warden import JailGoneError, Warden

if TYPE_CHECKING:
    from omnimind.servers.python.jail.job import End

Stream = Literal["stdout", "stderr"]
OnOutput = Callable[[Stream, bytes], Awaitable[None]]

_CHUNK: Final = 64 * 1024
_PIPE_BYTES: Final = 256 * 1024
_SET_PIPE_SIZE: Final = 1031
_DEATH_S: Final = 10.0
_LEAVE_S: Final = 0.5


@dataclass(slots=True)
class Captured:
    """What was written to one stream: the beginning, and how much more there was."""

    limit: int
    kept: bytearray = field(default_factory=bytearray)
    dropped: int = 0

    def add(self, data: bytes) -> bytes:
        """Take what fits, and return that."""
        fits = data[: max(0, self.limit - len(self.kept))]
        self.kept += fits
        self.dropped += len(data) - len(fits)
        return fits


@dataclass(frozen=True, slots=True)
class Ended:
    """How the process ended, as the zygote saw it; `status` is None if the zygote itself went away."""

    status: int | None
    why: str = ""
    cpu_s: float = 0.0
    peak_kb: int = 0

    @property
    def signal(self) -> int | None:
        """The signal that ended it."""
        return os.WTERMSIG(self.status) if self.status is not None and os.WIFSIGNALED(self.status) else None

    @property
    def exit_code(self) -> int | None:
        """Its exit code."""
        return os.WEXITSTATUS(self.status) if self.status is not None and os.WIFEXITED(self.status) else None

    def end(self) -> End:
        """The name of this end."""
        if self.status is None or self.status == -1:
            return "lost"
        if self.why == "disk" or self.signal == signal.SIGXFSZ:
            return "disk"
        if self.signal is not None:
            return "timeout" if self.signal == signal.SIGXCPU else "killed"
        return "done" if self.exit_code == 0 else "failed"


class Inmate:
    """A job that was ordered. Use within one event loop at a time."""

    def __init__(self, warden: Warden, number: int, order: dict[str, Any], stdin: int) -> None:
        """Order the job. Raises JailGoneError."""
        self._warden = warden
        self.number = number
        self.ended: Ended | None = None
        self.started = time.monotonic()
        pipes = [_pipe() for _ in range(5)]
        (
            (self._out, out),
            (self._err, err),
            (request, self._request),
            (self._reply, reply),
            (self._status, status),
        ) = pipes
        try:
            warden.tell({**order, "t": "run", "number": number}, [stdin, out, err, request, reply, status])
        except JailGoneError:
            self._close_all()
            raise
        finally:
            for descriptor in (out, err, request, reply, status):
                os.close(descriptor)
        for descriptor in (self._out, self._err, self._request, self._reply, self._status):
            os.set_blocking(descriptor, False)
        self._replies = frames.Reader()
        self._status_frames = frames.Reader()

    async def ask(self, message: Any) -> None:
        """Send a request; returns when it is written. Raises OSError when the job is gone."""
        import msgpack

        payload: bytes = msgpack.packb(message)
        data = memoryview(len(payload).to_bytes(4, "little") + payload)
        while data:
            try:
                data = data[os.write(self._request, data) :]
            except BlockingIOError:
                await anyio.wait_writable(self._request)

    def no_more_requests(self) -> None:
        """Close the request pipe: a job that waits for the next one ends."""
        if self._request >= 0:
            os.close(self._request)
            self._request = -1

    async def answer(self, out: Captured, err: Captured, on_output: OnOutput | None = None) -> Any:
        """Pump the output until a reply comes, or None if the job ends without one, or sends what is none."""
        replies: list[Any] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_pump, self._out, out, "stdout", on_output)
            tasks.start_soon(_pump, self._err, err, "stderr", on_output)
            while not replies:
                data = await _read(self._reply)
                if not data:
                    break
                try:
                    replies += self._replies.feed(data)
                except frames.BrokenFrameError:
                    self.order("kill")  # only its own code can have written that
                    break
            tasks.cancel_scope.cancel()
        for descriptor, captured, stream in ((self._out, out, "stdout"), (self._err, err, "stderr")):
            await _drain(descriptor, captured, stream, on_output)
        return replies[0] if replies else None

    async def wait(self) -> Ended:
        """How it ended, once it has."""
        while self.ended is None:
            data = await _read(self._status)
            if not data:
                self.ended = Ended(None)
                break
            for told in self._status_frames.feed(data):
                self.ended = Ended(
                    int(told["status"]),
                    str(told["why"]),
                    float(told.get("cpu_s", 0)),
                    int(told.get("peak_kb", 0)),
                )
        return self.ended

    async def over(self, out: Captured, err: Captured, on_output: OnOutput | None = None) -> Ended:
        """How it ended, once it has; until then its output is taken, or full pipes would hold it up."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_pump, self._out, out, "stdout", on_output)
            tasks.start_soon(_pump, self._err, err, "stderr", on_output)
            ended = await self.wait()
            tasks.cancel_scope.cancel()
        return ended

    async def drained(self, out: Captured, err: Captured, on_output: OnOutput | None = None) -> None:
        """Take what is left in the pipes of a job that has ended."""
        await _drain(self._out, out, "stdout", on_output)
        await _drain(self._err, err, "stderr", on_output)

    def order(self, what: Literal["kill", "interrupt", "stop", "go"]) -> None:
        """Kill it, interrupt it, stop it, or let it go on; a jail that is gone has killed it already."""
        if self.ended is None:
            with contextlib.suppress(JailGoneError):
                self._warden.tell({"t": what, "number": self.number})

    async def kill(self) -> Ended:
        """End it now, and wait until it is reaped; also within a cancelled scope."""
        self.order("kill")
        with anyio.move_on_after(_DEATH_S, shield=True):
            return await self.wait()
        return Ended(None)

    async def finish(self) -> Ended:
        """How a job ends that has nothing more to say; it is killed if it stays."""
        with anyio.move_on_after(_LEAVE_S):
            return await self.wait()
        return await self.kill()

    def close(self) -> None:
        """Let go of everything; what still runs is killed."""
        self.order("kill")
        self._close_all()

    def _close_all(self) -> None:
        self.no_more_requests()
        for name in ("_out", "_err", "_reply", "_status"):
            descriptor = getattr(self, name)
            if descriptor >= 0:
                os.close(descriptor)
                setattr(self, name, -1)


def _pipe() -> tuple[int, int]:
    read, write = os.pipe()
    with contextlib.suppress(OSError):
        fcntl.fcntl(write, _SET_PIPE_SIZE, _PIPE_BYTES)
    return read, write


async def _read(descriptor: int) -> bytes:
    while True:
        try:
            return os.read(descriptor, _CHUNK)
        except BlockingIOError:
            await anyio.wait_readable(descriptor)


async def _pump(descriptor: int, captured: Captured, stream: Stream, on_output: OnOutput | None) -> None:
    while data := await _read(descriptor):
        fits = captured.add(data)
        if fits and on_output is not None:
            await on_output(stream, fits)
        # A job that writes without end always has more to read; all others wait for their turn.
        await anyio.lowlevel.checkpoint()


async def _drain(descriptor: int, captured: Captured, stream: Any, on_output: OnOutput | None) -> None:
    """What is there now; never waits for more than that."""
    for _ in range(_PIPE_BYTES // 4096 + 1):
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return
        if not data:
            return
        fits = captured.add(data)
        if fits and on_output is not None:
            await on_output(stream, fits)
