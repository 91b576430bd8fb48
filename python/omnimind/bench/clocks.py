"""The gateway's clock, the kernel's and the machine's, read before and after a stretch of load.

The rule: the readings bound the load exactly. Before it the gateway is asked first and the kernel last, after it the
kernel first and the gateway last: what the kernel counts between are the calls of the load, and not our own question
for `/metrics`. A reading of the kernel begins after it was asked for, so that nothing waits in a queue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from omnimind.bench import machine
from omnimind.bench.report import Around
from omnimind.bench.watcher import Watcher
from omnimind.monitor import gateway, report
from omnimind.monitor.histogram import Histogram
from omnimind.monitor.readings import Names
from omnimind.monitor.report import Calls, Reading, Report, Source

_QUEUE = "omnimind_queue_wait_seconds"
_SERVICE = "omnimind_service_seconds"
_REFUSALS = "omnimind_refusals_total"


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel's clock where there is one: who watches, and what that is."""

    watcher: Watcher
    source: Source
    names: Names

    def reading(self) -> Reading:
        """All until now. Raises MonitorError."""
        return self.names.reading(self.watcher.reading())


@dataclass(frozen=True, slots=True)
class Before:
    """What the clocks said before a stretch of load."""

    metrics: str
    kernel: Reading | None
    used: machine.Used


@dataclass(frozen=True, slots=True)
class Clocks:
    """`metrics` asks the gateway for its figures; `gateway_pid` is whose control group counts."""

    metrics: Callable[[], str]
    gateway_pid: int
    kernel: Kernel | None

    def before(self) -> Before:
        """The load may begin when this returns. Raises GatewayError, MonitorError."""
        metrics = self.metrics()
        kernel = self.kernel.reading() if self.kernel else None
        return Before(metrics, kernel, machine.used(self.gateway_pid))

    def after(self, before: Before, seconds: float) -> tuple[Report, Report | None, Around]:
        """What gateway and kernel saw of the load that has ended, and what else happened; it took so many seconds."""
        used = machine.used(self.gateway_pid)
        seen = None
        if self.kernel and before.kernel:
            seen = report.between(self.kernel.source, before.kernel, self.kernel.reading(), seconds)
        text = self.metrics()
        clock = gateway.source(text)
        served = report.between(clock, gateway.reading(before.metrics), gateway.reading(text), seconds)
        busy, stolen, throttled = used.since(before.used)
        around = Around(
            _waits(before.metrics, text), _refusals(before.metrics, text), busy, stolen, throttled
        )
        return served, seen, around


def _waits(earlier: str, later: str) -> Mapping[str, Calls]:
    """By server: the time before it and at it."""
    queued, served = (_since(earlier, later, family) for family in (_QUEUE, _SERVICE))
    return {
        server: Calls(service=served.get(server, Histogram()), wait=waited)
        for server, waited in queued.items()
    }


def _since(earlier: str, later: str, family: str) -> dict[str, Histogram]:
    before = gateway.histograms(earlier, family)
    now = gateway.histograms(later, family)
    return {name: one.since(before.get(name, Histogram())) for name, one in now.items()}


def _refusals(earlier: str, later: str) -> Mapping[str, int]:
    before, now = (gateway.counts(text, _REFUSALS, "reason") for text in (earlier, later))
    new = {reason: count - before.get(reason, 0) for reason, count in now.items()}
    return {reason: count for reason, count in new.items() if count > 0}
