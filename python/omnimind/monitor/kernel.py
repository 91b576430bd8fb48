"""bpftrace as a process: start it, know when it watches, take its readings, end it so that nothing is lost.

Counts live in the kernel and only grow; a reading prints them all. At the end the probes are detached first and what
they counted is printed after, so the last reading is complete. bpftrace gets SIGTERM: version 0.17 does not hear a
SIGINT that its parent ignores. It runs in a session of its own, so that Ctrl-C ends this process, and this process
ends it; it dies with us.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import IO, Any, Final, Self

from omnimind import catalog
from omnimind.errors import OmniMindError
from omnimind.linux import process
from omnimind.monitor import program
from omnimind.monitor.histogram import Bucket, Histogram
from omnimind.monitor.needs import Kernel
from omnimind.monitor.program import Watch

START_S: Final = 60.0
"""bpftrace compiles its programs first; on a busy machine that takes a while."""
STOP_S: Final = 30.0
_MAP_KEYS: Final = "65536"
_PIPE_BYTES: Final = 1 << 20
_KEPT_READINGS: Final = 4
_LATE_S: Final = 15.0
"""How much later than its interval a reading may come: bpftrace takes its time on a busy machine."""
_HEARD_S: Final = 0.05
"""How much later than it was said a line may be heard."""
_NOISE: Final = ("WARNING:", "RLIMIT_MEMLOCK", "discarded", "~~~")

Maps = dict[str, dict[str, Any]]
"""By the name of a map, without @: by key, a number or the list of a histogram's buckets."""


class MonitorError(OmniMindError):
    """The kernel cannot be watched."""


class Probe:
    """A running bpftrace; a context manager. `readings.Names` turns its maps into a `Reading`."""

    def __init__(self, watch: Watch, kernel: Kernel) -> None:
        ports = [catalog.GATEWAY_PORT, *(builtin.port for builtin in catalog.BUILTINS)]
        self._text = program.build(watch, kernel, min(ports), max(ports))
        self._kernel = kernel
        self._interval_s = watch.interval_s
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None
        self._readings: queue.Queue[tuple[float, Maps] | None] = queue.Queue()
        """Each with the moment at which it was heard to begin."""
        self._ready = threading.Event()
        self._silent = False
        self._last: Maps | None = None
        self._said: list[str] = []

    @property
    def pid(self) -> int:
        """The pid of bpftrace."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def start(self) -> None:
        """Return when every probe is attached; raises MonitorError with what bpftrace said if that fails."""
        parent = os.getpid()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by _end)
        # Under a name of /proc, because an argument may be too short for it.
        with tempfile.TemporaryFile() as text:
            text.write(self._text.encode())
            text.flush()
            self._process = subprocess.Popen(
                [self._kernel.bpftrace, "-f", "json", "-B", "line", f"/proc/self/fd/{text.fileno()}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                pass_fds=(text.fileno(),),
                pipesize=_PIPE_BYTES,
                env={**os.environ, "BPFTRACE_MAP_KEYS_MAX": _MAP_KEYS, "BPFTRACE_MAX_MAP_KEYS": _MAP_KEYS},
                start_new_session=True,
                preexec_fn=lambda: process.die_with_parent(parent) or os._exit(1),
            )
        self._listener = threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True)
        self._listener.start()
        try:
            if not self._ready.wait(START_S) or self._silent:
                raise self._failed("bpftrace could not begin to watch")
        except BaseException:
            self._end()
            raise

    def reading(self, timeout_s: float) -> Maps | None:
        """The next reading, or None if none came in time. Whoever is late misses some, and no call by that."""
        try:
            found = self._readings.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if found is None:
            raise self._failed("bpftrace ended by itself")
        return found[1]

    def fresh(self) -> Maps:
        """A reading that begins only now, so that all that happened until here is in it."""
        asked_s = time.monotonic()
        while True:
            try:
                found = self._readings.get(timeout=self._interval_s + _LATE_S)
            except queue.Empty:
                raise self._failed("bpftrace gave no reading in time") from None
            if found is None:
                raise self._failed("bpftrace ended by itself")
            began_s, maps = found
            if began_s >= asked_s + _HEARD_S:
                return maps

    def stop(self) -> Maps:
        """Detach, take the last, complete reading, and end bpftrace."""
        assert self._process is not None
        self._end()
        if self._last is None:
            raise self._failed(f"bpftrace ended with {self._process.returncode} and did not say its counts")
        return self._last

    def _listen(self, said: IO[bytes]) -> None:
        """Read all that bpftrace says, at once: if its pipe were full, a signal would cost it its last words."""
        maps: Maps = {}
        began_s = 0.0
        for line in said:
            word = take(line, maps)
            if word == program.READING:
                maps, began_s = {}, time.monotonic()
            elif word == program.END_OF_READING:
                if self._readings.qsize() >= _KEPT_READINGS:
                    with contextlib.suppress(queue.Empty):
                        self._readings.get_nowait()
                self._readings.put((began_s, maps))
            elif word == program.END_OF_LAST:
                self._last, maps = maps, {}
            elif word == "ready":
                self._ready.set()
        self._silent = True
        self._ready.set()
        self._readings.put(None)

    def _end(self) -> None:
        """Let it end, or end it; then nothing of it is left here. Can be repeated."""
        if self._process is None or self._listener is None or self._errors.closed:
            return
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._listener.join(STOP_S)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.seek(0)
        self._said = self._errors.read().decode(errors="replace").splitlines()
        self._errors.close()

    def _failed(self, what: str) -> MonitorError:
        self._end()
        why = [line for line in self._said if line.strip() and not any(word in line for word in _NOISE)]
        return MonitorError(
            "OM0602",
            what,
            where=self._kernel.bpftrace,
            why="\n".join(why[-8:]) or None,
            help="omnimind monitor, without --ebpf, takes the gateway's own clock",
        )


def take(line: bytes, into: Maps) -> str | None:
    """Put what a line of bpftrace's JSON says into the maps; the text of a line that it printed for us."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    data = said.get("data")
    if said.get("type") == "printf":
        return str(data).strip()
    if said.get("type") in ("map", "hist") and isinstance(data, dict):
        for name, value in data.items():
            into[name.removeprefix("@")] = value if isinstance(value, dict) else {"": value}
    return None


def histogram(rows: Iterable[Mapping[str, int]]) -> Histogram:
    """Buckets as bpftrace prints them: both ends belong to them, the first may lack its low, the last its high."""
    counts: dict[Bucket, int] = {}
    for row in rows:
        top = row.get("max")
        bucket = (max(0, row.get("min", 0)), None if top is None else max(1, top + 1))
        if row["count"]:
            counts[bucket] = counts.get(bucket, 0) + row["count"]
    return Histogram(counts)
