"""The turns: all contenders up, each checked, then measured one after the other, round by round.

The load is `tools/call` of `echo` by `omnimind-load`, revision 2025-11-25, which all of them speak; every call has a
text of its own, and the generator compares each answer with it. Every other round goes in reverse order. A figure is
the median over the rounds. CPU per call and PSS are of the contender's own processes, without upstream and generator:
they are what holds on a machine that does other things too; calls a second and latency are of that machine and minute.
A contender that is missing, does not start, answers wrong or ends on the way is a row that says so and has no figures.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benches import load
from benches.peers import answers
from benches.peers.contenders import HERE, Contender, Place
from benches.peers.sdk_server import OPENED, READ, STARTED
from benches.peers.starting import Running, StartError

UPSTREAMS = ("near-free", "Python SDK")
WARM_UP_S = 0.2
Say = Callable[[str], None]


@dataclass(frozen=True)
class Sample:
    """One turn."""

    throughput_per_s: float
    cpu_us_per_call: float
    p50_ms: float
    p99_ms: float
    calls: int
    generator_saturated: bool


@dataclass
class Row:
    """A contender before one upstream."""

    name: str
    kind: str
    upstream: str
    version: str = ""
    trouble: str = ""
    """Why it has no figures."""
    calls_checked: int = 0
    upstream_requests_per_call: float | None = None
    openings_per_call: float | None = None
    starts_per_call: float | None = None
    refuses_same_ids: str = ""
    """What two clients that use the same request ids are told, if not their answers."""
    pss_mb: float = 0.0
    samples: dict[int, list[Sample]] = field(default_factory=dict)
    """By the calls in flight."""

    def median(self, in_flight: int, figure: str) -> float | None:
        """Of one figure over the rounds; none for a row in trouble."""
        found = self.samples.get(in_flight, [])
        return statistics.median(getattr(one, figure) for one in found) if found else None

    def fail(self, why: object) -> None:
        self.trouble = " ".join(str(why).split())
        self.samples = {}

    def cause(self) -> str:
        """Why it is slow, where the checking pass saw it."""
        if self.starts_per_call is not None and self.starts_per_call > 0.5:
            return f"starts {self.starts_per_call:.1f} children for one call"
        if self.openings_per_call is not None and self.openings_per_call > 0.5:
            return f"opens {self.openings_per_call:.1f} sessions upstream for one call"
        if self.upstream_requests_per_call is not None and self.upstream_requests_per_call > 1.7:
            return f"sends {self.upstream_requests_per_call:.1f} messages upstream for one call"
        return ""


class SdkServer(load.Server):
    """The Python server over HTTP while the block runs."""

    def __init__(self) -> None:
        super().__init__()
        self._command = [sys.executable, str(HERE / "sdk_server.py"), "--port", "0"]


@dataclass(frozen=True)
class Seen:
    """What an upstream was asked so far, by HTTP or as stdio children."""

    requests: int
    openings: int
    """Of which `initialize`."""
    starts: int
    """Children."""


class Before:
    """An upstream, and what it saw."""

    def __init__(self, place: Place, stdio: Path | None = None) -> None:
        self.place = place
        self._stdio = stdio

    def seen(self) -> Seen | None:
        """Of an upstream that counts."""
        if self._stdio is None:
            return None
        with urllib.request.urlopen(self.place.url.replace("/mcp", "/seen"), timeout=10) as answer:
            asked = json.load(answer)
        letters = self._stdio.read_text() if self._stdio.exists() else ""
        return Seen(
            requests=asked["requests"] + letters.count(READ),
            openings=asked["openings"] + letters.count(OPENED),
            starts=letters.count(STARTED),
        )


@contextmanager
def upstream(name: str, folder: Path) -> Iterator[Before]:
    if name == UPSTREAMS[0]:
        entry = load.stdio_entry()
        with load.Upstream() as up:
            yield Before(Place(up.url, up.pid, [entry["command"], *entry["args"]], folder))
    else:
        seen = folder / "seen"
        command = [sys.executable, str(HERE / "sdk_server.py"), "--stdio", "--seen", str(seen)]
        with SdkServer() as up:
            yield Before(Place(up.url, up.pid, command, folder), seen)


def check(row: Row, up: Running, before: Before) -> None:
    """The pass before anything is timed; counts what the upstream sees of it. Raises WrongAnswer."""
    begun = before.seen()
    row.calls_checked = answers.check(up.url, up.tool, rest=up.rest)
    after = before.seen()
    if begun and after:
        row.upstream_requests_per_call = (after.requests - begun.requests) / row.calls_checked
        row.openings_per_call = (after.openings - begun.openings) / row.calls_checked
        row.starts_per_call = (after.starts - begun.starts) / row.calls_checked
    try:
        answers.check(up.url, up.tool, rest=up.rest, calls=16, same_ids=True)
    except answers.WrongAnswer as error:
        row.refuses_same_ids = str(error)


def sample(contender: Contender, up: Running, in_flight: int, seconds: float) -> Sample:
    """One turn; raises WrongAnswer, LoadError or OSError."""
    before_s = up.cpu_s()
    if up.rest:
        report = rest_load(up.url, in_flight, seconds)
    else:
        call = ("--tool", up.tool, "--era", contender.era, *contender.options)
        report = load.run(
            *("--http", up.url, *call, "--in-flight", str(in_flight)),
            *("--duration-s", str(seconds), "--warm-up-s", str(WARM_UP_S)),
        )
    spent_s = up.cpu_s() - before_s
    if not report.sent:
        raise answers.WrongAnswer("no call was answered in a turn")
    if contender.checked and not report.is_clean:
        raise answers.WrongAnswer(
            f"under load {report.sent - report.right} of {report.sent} calls went wrong"
        )
    return Sample(
        throughput_per_s=report.sent / report.all["elapsed_s"],
        cpu_us_per_call=spent_s * 1e6 / report.sent,
        p50_ms=report.p50_ms,
        p99_ms=report.p99_ms,
        calls=report.sent,
        generator_saturated=report.saturated,
    )


def rest_load(url: str, in_flight: int, seconds: float) -> load.Report:
    command = [sys.executable, "-m", "benches.peers.rest", "--url", url, "--in-flight", str(in_flight)]
    command += ["--duration-s", str(seconds), "--warm-up-s", str(WARM_UP_S)]
    done = subprocess.run(command, cwd=load.ROOT, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise load.LoadError(done.stderr.strip().rsplit("\n", 1)[-1])
    return load.Report.of(json.loads(done.stdout))


TROUBLES = (answers.WrongAnswer, load.LoadError, subprocess.SubprocessError, OSError, RuntimeError)


def begin(contender: Contender, before: Before, stack: ExitStack, row: Row) -> Running | None:
    """Starts and checks one; what goes wrong is written into its row."""
    try:
        row.version = contender.version()
        up = stack.enter_context(contender.start(before.place))
        if contender.checked:
            check(row, up, before)
    except (StartError, *TROUBLES) as error:
        row.fail(error)
        return None
    return up


def measure(
    contenders: Sequence[Contender],
    *,
    upstreams: Sequence[str] = UPSTREAMS,
    in_flight: Sequence[int] = (1, 16),
    rounds: int = 3,
    seconds: float = 2.0,
    say: Say = lambda text: None,
) -> list[Row]:
    """The rows, upstream by upstream; all contenders before one are up at once."""
    rows = []
    for name in upstreams:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="omnimind-peers-")))
            before = stack.enter_context(upstream(name, folder))
            up: list[tuple[Contender, Row, Running]] = []
            for contender in contenders:
                if contender.near_free_only and name != UPSTREAMS[0]:
                    continue
                row = Row(contender.name, contender.kind, name)
                rows.append(row)
                found = begin(contender, before, stack, row)
                say(f"{name}: {row.name} {row.trouble or f'is up, {row.calls_checked} calls answered right'}")
                if found:
                    up.append((contender, row, found))
            for count in in_flight:
                for turn in range(rounds):
                    say(f"{name}: {count} in flight, round {turn + 1} of {rounds}")
                    for one in up if turn % 2 == 0 else reversed(up):
                        take(*one, count, seconds)
    return rows


def take(contender: Contender, row: Row, up: Running, in_flight: int, seconds: float) -> None:
    """One turn into its row."""
    if row.trouble:
        return
    try:
        row.samples.setdefault(in_flight, []).append(sample(contender, up, in_flight, seconds))
        row.pss_mb = max(row.pss_mb, up.pss_mb())
    except TROUBLES as error:
        row.fail(error)
