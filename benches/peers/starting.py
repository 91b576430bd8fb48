"""Starting a contender, knowing its processes, and ending all of them.

Its own processes are those it started, without the upstream: what the upstream costs is nobody's merit or fault. A
contender is ended with everything below it, since many leave children behind when they are ended (peers leak them).
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benches import processes
from benches.peers import answers

START_S = 60.0
STOP_S = 5.0
TAIL_BYTES = 600
UPSTREAMS = ("omnimind-load", "sdk_server.py")
"""The programs that are upstreams, whoever started them."""


class StartError(Exception):
    """A contender did not come up; the text is what it said."""


@dataclass(frozen=True)
class Running:
    """A contender that answers."""

    url: str
    root: int
    """The process that started all others of it."""
    tool: str = "echo"
    rest: bool = False
    """Its clients speak REST; the body of a call is the arguments alone."""

    def own(self) -> list[int]:
        """The processes that are its own."""
        found = []
        for pid in processes.family(self.root):
            with suppress(OSError):
                if not is_upstream(processes.command_line(pid)):
                    found.append(pid)
        return found

    def cpu_s(self) -> float:
        """CPU time of its own processes so far; raises OSError if it has ended."""
        return sum(self._of_each(lambda pid: processes.cpu_s([pid])))

    def pss_mb(self) -> float:
        """Memory of its own processes; raises OSError if it has ended."""
        return sum(self._of_each(processes.pss_mb))

    def _of_each(self, figure: Callable[[int], float]) -> list[float]:
        """Of those that are still there: what only helped with one call may be gone."""
        found = []
        for pid in self.own():
            with suppress(OSError):
                found.append(figure(pid))
        if not found:
            raise OSError("it has ended")
        return found


def is_upstream(command_line: list[str]) -> bool:
    """By the program, or what a Python was given to run; a bridge has the same words further on, as arguments."""
    return any(Path(word).name in UPSTREAMS for word in command_line[:2])


@contextmanager
def running(command: Sequence[str], url: str, *, tool: str = "echo", rest: bool = False) -> Iterator[Running]:
    """A program that answers at this address; raises StartError with its last words if it does not within a minute."""
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    with tempfile.TemporaryDirectory(prefix="omnimind-peer-") as folder:
        said = Path(folder) / "said"
        with said.open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            found = Running(url, process.pid, tool, rest)
            until_it_answers(found, process, said)
            yield found
        finally:
            end(process)


def until_it_answers(found: Running, process: subprocess.Popen[bytes], said: Path) -> None:
    end_s = time.monotonic() + START_S
    while True:
        try:
            with answers.client(found.url, found.tool, rest=found.rest) as caller:
                return caller.echo(1, "are you there?")
        except answers.WrongAnswer as error:
            last = str(error)
        if process.poll() is not None or time.monotonic() > end_s:
            tail = said.read_bytes()[-TAIL_BYTES:].decode(errors="replace").strip()
            state = "runs" if process.poll() is None else f"ended with {process.returncode}"
            raise StartError(f"it {state} and does not answer: {last}; it said: {tail or 'nothing'}")
        time.sleep(0.1)


def end(process: subprocess.Popen[bytes]) -> None:
    """The process and all below it, at last by force."""
    try:
        family = processes.family(process.pid)
    except OSError:
        family = []
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    for pid in (process.pid, *family):
        with suppress(OSError):
            if process.pid == os.getsid(pid):
                os.kill(pid, signal.SIGKILL)
    process.wait(STOP_S)
