"""The jail of one worker: its zygotes, how many jobs run at once, and what happens when a zygote dies."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread

from omnimind.linux import seqpacket
from omnimind.servers.problem import Problem
from omnimind.servers.python.inside import confine
from omnimind.servers.python.jail import usage, warden
from omnimind.servers.python.jail.inmate import Captured, Ended, Inmate, OnOutput
from omnimind.servers.python.jail.job import Call, Code, End, Job, Limits, Outcome, Program
from omnimind.servers.python.jail.warden import JailGoneError, Warden

_GRACE_S: Final = 5.0
_WATCH_S: Final = 0.1
_WARM_S: Final = 600.0
_HINT: Final = "Code is never run without a jail. `omnimind doctor` says what this machine lacks."


@dataclass(frozen=True, slots=True)
class Warm:
    """What a second zygote imports at its first use, so that its jobs need not."""

    modules: tuple[str, ...]
    env: Mapping[str, str]


class Jail:
    """See the package. One for each worker."""

    def __init__(self, main: Warden | None, refusal: str | None, again: Any, at_once: int) -> None:
        self._main = main
        self._refusal = refusal
        self._again = again
        self._warm: dict[str, Warden] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count(os.getpid() * 64)
        self._running = 0
        self._at_once = at_once

    @classmethod
    def start(
        cls,
        state: Path,
        read: Sequence[str] = (),
        write: Sequence[str] = (),
        *,
        at_once: int = 8,
        network: bool = False,
    ) -> Jail:
        """Start the zygote; it imports while the worker goes on. Never raises: `run` says what is missing.

        `state` is the server's own folder: every job may be given folders beneath it. Only with `network` may a job
        be given the network.
        """
        refusal = confine.why_not()
        home = os.path.realpath(state)
        if refusal is not None:
            return cls(None, refusal, None, at_once)

        def begin() -> Warden:
            return warden.start(home, read, write, network=network)

        try:
            return cls(begin(), None, begin, at_once)
        except OSError as fault:
            return cls(None, f"its interpreter cannot be started: {fault}", None, at_once)

    @property
    def refusal(self) -> str | None:
        """Why there is no jail here, or None."""
        return self._refusal

    async def run(
        self, job: Job, on_output: OnOutput | None = None, warm: tuple[str, Warm] | None = None
    ) -> Outcome:
        """Do a job to its end. Cancelling kills it. Raises Problem if there is no jail or no room in it."""
        with self.place():
            started = time.monotonic()
            inmate = await self.admit(job, warm)
            out, err = Captured(job.limits.output_bytes), Captured(job.limits.output_bytes)
            try:
                value, end = await self._attend(inmate, job, out, err, on_output)
                if end is None and _has_answered(job, value):
                    ended = Ended(0)  # it has nothing more to say; nobody waits for a process to go away
                else:
                    ended = await inmate.kill() if end is not None else await inmate.wait()
                    await inmate.drained(out, err, on_output)
            except BaseException:
                await inmate.kill()
                raise
            finally:
                inmate.close()
        if ended.end() == "lost":
            self.mend()
        return _outcome(value, end, ended, out, err, time.monotonic() - started)

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the places of code that runs. Raises Problem when all are taken."""
        if self._running >= self._at_once:
            raise Problem(
                f"{self._at_once} pieces of code run already, which is the limit; try again in a moment"
            )
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    async def admit(
        self, job: Job, warm: tuple[str, Warm] | None = None, *, keep: bool = False, fast: str | None = None
    ) -> Inmate:
        """A job that has been ordered and not been waited for; the caller closes it.

        With `keep` it takes one request after the other; with `fast` it is the host of that interpreter.
        """
        order = {**_order(job), "number": next(self._numbers)}
        if keep or fast:
            order["limits"]["cpu_s"] = 0  # it lives as long as it is asked, and each request has its own time
        if fast:
            order |= {"kind": "fast", "program": fast, "env": {"MONTY_BIN": fast}}
        stdin = seqpacket.sealed(job.stdin) if job.stdin else os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if job.stdin:
                os.lseek(stdin, 0, os.SEEK_SET)
            for last in (False, True):
                try:
                    keeper = await self._warden(warm)
                    return Inmate(keeper, order["number"], order, stdin)
                except JailGoneError as gone:
                    if last:
                        raise Problem(
                            "the jail went away and could not be started again; try again"
                        ) from gone
                    self._forget(warm)
            raise AssertionError
        finally:
            os.close(stdin)

    async def _attend(
        self, inmate: Inmate, job: Job, out: Captured, err: Captured, on_output: OnOutput | None
    ) -> tuple[Any, End | None]:
        """Ask, and read until it answers or ends; the end that we choose for it, if we do."""
        value: Any = None
        chosen: list[End] = []
        with anyio.move_on_after(job.limits.wall_s) as time_given:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch_disk, job.folder, job.limits, chosen, tasks.cancel_scope)
                try:
                    if not isinstance(job.do, Program):
                        await inmate.ask(_asked(job.do))
                    inmate.no_more_requests()
                    value = await inmate.answer(out, err, on_output)
                except BrokenPipeError:
                    pass  # how it ended tells more
                # A job may have answered, or shut its pipe, and still run: what it prints then is output as before.
                if not _has_answered(job, value):
                    await inmate.over(out, err, on_output)
                tasks.cancel_scope.cancel()
        if time_given.cancelled_caught:
            return value, "timeout"
        return value, chosen[0] if chosen else None

    async def _warden(self, warm: tuple[str, Warm] | None) -> Warden:
        if self._refusal is not None:
            raise Problem(f"there is no jail on this machine: {self._refusal}. {_HINT}")
        with self._lock:
            if self._main is None:
                self._main = self._start_again()
            found = self._main
        await self._ready(found)
        if warm is None:
            return found
        with self._lock:
            if warm[0] not in self._warm:
                self._warm[warm[0]] = found.warm(warm[1].modules, warm[1].env)
            heated = self._warm[warm[0]]
        try:
            await self._ready(heated)
        except Problem:
            return found  # it could not import that; the job will say so itself
        self._cool_later(warm[0], heated)
        return heated

    def _cool_later(self, name: str, heated: Warden) -> None:
        """A warm zygote that nobody needs for a while ends: its memory is worth more than the second it saves."""
        heated.used = time.monotonic()

        def look() -> None:
            with self._lock:
                if self._warm.get(name) is heated and time.monotonic() - heated.used >= _WARM_S:
                    del self._warm[name]
                    heated.close()

        asyncio.get_running_loop().call_later(_WARM_S + 1.0, look)

    async def _ready(self, found: Warden) -> None:
        if found.is_ready:
            return
        try:
            await anyio.to_thread.run_sync(found.wait_ready)
        except Problem as refused:
            raise Problem(f"there is no jail on this machine: {refused}. {_HINT}") from refused

    def _start_again(self) -> Warden:
        """A new zygote where processes may still be started; else this worker ends, and a new one has a new jail."""
        try:
            new: Warden = self._again()
        except OSError as fault:
            os.kill(os.getpid(), signal.SIGTERM)
            raise JailGoneError("the worker ends, to be replaced") from fault
        return new

    def _forget(self, warm: tuple[str, Warm] | None) -> None:
        with self._lock:
            gone = self._main if warm is None else self._warm.pop(warm[0], None)
            if warm is None or self._main is None:
                self._main = None
                self._warm.clear()
            if gone is not None:
                gone.close()

    def mend(self) -> None:
        """A job was lost: find out now whether its zygote is too, instead of at the next call. Raises Problem."""
        with self._lock:
            for name, one in list(self._warm.items()):
                if one.has_ended():
                    self._warm.pop(name).close()
            if self._main is not None and self._main.has_ended():
                for one in (self._main, *self._warm.values()):
                    one.close()
                self._main, self._warm = None, {}
                try:
                    self._main = self._start_again()
                except JailGoneError as gone:
                    raise Problem(
                        "the jail went away, and this server starts again with a new one; try again"
                    ) from gone

    def close(self) -> None:
        """End the zygotes, and all jobs with them."""
        with self._lock:
            for one in (*self._warm.values(), self._main):
                if one is not None:
                    one.close()
            self._main, self._warm = None, {}
            self._refusal = self._refusal or "the server is being closed"


async def watch_disk(folder: Path, limits: Limits, chosen: list[End], scope: anyio.CancelScope) -> None:
    """End the scope when the files of a folder take more than they may."""
    pause_s = _WATCH_S
    while True:
        await anyio.sleep(pause_s)
        started = time.monotonic()
        if await anyio.to_thread.run_sync(usage.over, folder, limits.disk_bytes):
            chosen.append("disk")
            scope.cancel()
            return
        pause_s = max(_WATCH_S, 5 * (time.monotonic() - started))


def _order(job: Job) -> dict[str, Any]:
    order: dict[str, Any] = {
        "folder": str(job.folder),
        "read": list(job.read),
        "write": list(job.write),
        "network": job.network,
        "limits": {**asdict(job.limits), "cpu_s": int(job.limits.wall_s * (os.cpu_count() or 1) + _GRACE_S)},
    }
    if isinstance(job.do, Program):
        return {
            **order,
            "kind": "program",
            "program": job.do.path,
            "args": list(job.do.args),
            "env": job.do.env,
        }
    if isinstance(job.do, Call):
        return {**order, "kind": "call", "target": job.do.target}
    return {**order, "kind": "code"}


def _has_answered(job: Job, value: Any) -> bool:
    """A cell answers when everything is done and flushed; it may as well be killed then."""
    return isinstance(job.do, Code) and isinstance(value, dict) and "no_jail" not in value


def _asked(do: Code | Call) -> dict[str, Any]:
    if isinstance(do, Call):
        return do.arguments
    return {"source": do.source, "files": do.files, "library": do.library, "last": True}


def _outcome(
    answer: Any, chosen: End | None, ended: Ended, out: Captured, err: Captured, seconds: float
) -> Outcome:
    answer = answer if isinstance(answer, dict) else None
    if answer is not None and "no_jail" in answer:
        raise Problem(f"the jail could not be closed around this job: {answer['no_jail']}. {_HINT}")
    end = ended.end() if chosen is None else chosen
    value = None if answer is None else answer.get("value") if set(answer) == {"value"} else answer
    if end == "done" and isinstance(value, dict) and isinstance(value.get("error"), dict):
        end = "memory" if value["error"].get("type") == "MemoryError" else "done"
    return Outcome(
        end,
        bytes(out.kept),
        bytes(err.kept),
        value,
        ended.exit_code,
        ended.signal,
        round(seconds, 4),
        out.dropped + err.dropped,
    )
