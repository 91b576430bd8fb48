"""What is sent, in which order the clocks are read around it, and what Ctrl-C leaves of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from omnimind.bench import running
from omnimind.bench.clocks import Clocks, Kernel
from omnimind.bench.running import Interrupts, Run, warm_up_s
from omnimind.errors import GatewayError
from omnimind.monitor.histogram import Histogram
from omnimind.monitor.report import Calls, Reading, Source
from omnimind.stress import running as sending
from omnimind.stress.plan import Plan
from omnimind.stress.report import Report
from tests.unit.stress import reports

METRICS = """\
mcp_server_operation_duration_seconds_bucket{{server="memory",method="tools/call",tool="read",le="0.05"}} {count}
mcp_server_operation_duration_seconds_bucket{{server="memory",method="tools/call",tool="read",le="+Inf"}} {all}
omnimind_queue_wait_seconds_bucket{{server="memory",le="0.001"}} {count}
omnimind_queue_wait_seconds_bucket{{server="memory",le="+Inf"}} {count}
omnimind_service_seconds_bucket{{server="memory",le="+Inf"}} {count}
omnimind_refusals_total{{reason="overloaded"}} {count}
omnimind_refusals_total{{reason="host"}} 5
"""


class World:
    """A gateway and a kernel that count what is sent to them, and the calls in the order in which they came."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.calls = 0
        self.questions = 0
        self.on: dict[str, Callable[[], None]] = {}
        self.throughput = 200.0

    def heard(self, what: str) -> None:
        self.order.append(what)
        self.on.pop(what, lambda: None)()

    def metrics(self) -> str:
        self.heard("gateway")
        self.questions += 1
        return METRICS.format(count=self.calls, all=self.calls + self.calls // 10)

    def reading(self) -> Reading:
        self.heard("kernel")
        seen = Histogram({(1000, 2000): self.calls + self.questions})
        return Reading({"gateway:1": Calls(seen, seen, seen)})

    def send(self, plan: Plan, **_: Any) -> Report:
        kind = "closed" if plan.rate_per_s is None else f"{plan.rate_per_s:g}/s"
        self.calls += 100
        try:
            self.heard(kind)
            cut = False
        except KeyboardInterrupt:
            cut = True
        found = reports.report(sent=100, throughput_per_s=self.throughput, elapsed_s=plan.duration_s)
        return Report(
            **{**{name: getattr(found, name) for name in found.__dataclass_fields__}, "interrupted": cut}
        )


class Eyes(Kernel):
    """The kernel's clock of a world."""

    def __init__(self, world: World) -> None:
        object.__setattr__(self, "source", Source("kernel", "made up"))
        object.__setattr__(self, "_world", world)

    def reading(self) -> Reading:
        found: Reading = self._world.reading()  # type: ignore[attr-defined]
        return found


class Quiet:
    def __call__(self, seen: Mapping[str, Any]) -> None:
        """Nothing to show."""

    def end(self) -> None:
        """Nothing to end."""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    monkeypatch.setattr(sending, "run", found.send)
    return found


def run_of(world: World, interrupts: Interrupts) -> Run:
    clocks = Clocks(world.metrics, os.getpid(), Eyes(world))
    plan = reports.plan(rate_per_s=None, concurrency=8, duration_s=20.0, seed=5)
    return Run(plan, clocks, sending.Fleet(dict), interrupts, lambda *_: Quiet())


def press(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


def test_the_clocks_are_read_around_each_phase_so_that_they_count_the_same(world: World) -> None:
    with Interrupts() as interrupts:
        run = run_of(world, interrupts)
        run.warm_up()
        phases = run.phases()
    around = ["gateway", "kernel", "{}", "kernel", "gateway"]
    sent = ["closed", "100/s", "140/s", "180/s"]
    assert world.order == ["closed", *(word.format(kind) for kind in sent for word in around)]
    assert [phase.name for phase in phases] == ["closed", "open 50 %", "open 70 %", "open 90 %"]
    for phase in phases:
        client, gateway, kernel = phase.clocks
        assert (client.calls, gateway.calls, kernel.calls) == (100, 110, 100)
        assert phase.around.refusals == {"overloaded": 100}
        assert phase.around.waits["memory"].wait.calls == phase.around.waits["memory"].service.calls == 100
        assert phase.gateway.seconds == phase.kernel.seconds == 5.0 if phase.kernel else False
    assert [phase.client.load.sent for phase in phases] == [100] * 4


def test_open_loops_stay_open_and_each_has_a_seed_of_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[Plan] = []

    def send(plan: Plan, **rest: Any) -> Report:
        plans.append(plan)
        return world.send(plan, **rest)

    monkeypatch.setattr(sending, "run", send)
    with Interrupts() as interrupts:
        run_of(world, interrupts).phases()
    assert [plan.concurrency for plan in plans] == [8, 1000, 1000, 1000]
    assert [plan.duration_s for plan in plans] == [5.0] * 4
    assert [plan.seed for plan in plans] == [5, 6, 7, 8]


def test_without_an_answer_there_is_no_rate_to_take_a_share_of(world: World) -> None:
    world.throughput = 0.0
    with Interrupts() as interrupts:
        assert [phase.name for phase in run_of(world, interrupts).phases()] == ["closed"]


def test_what_was_measured_is_kept_when_it_breaks_off(world: World) -> None:
    def lost() -> None:
        raise GatewayError("OM0401", "it is gone")

    world.on["140/s"] = lost
    with Interrupts() as interrupts:
        run = run_of(world, interrupts)
        assert [phase.name for phase in run.phases()] == ["closed", "open 50 %"]
        assert [fault.what for fault in run.faults] == ["it is gone"]
        world.on["closed"] = lost
        with pytest.raises(GatewayError):
            run.phases()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_sent_when_somebody_ended_it_is_measured_to_its_end(world: World, number: int) -> None:
    world.on["100/s"] = lambda: press(number)
    with Interrupts() as interrupts:
        phases = run_of(world, interrupts).phases()
    assert [phase.name for phase in phases] == ["closed", "open 50 %"]
    assert phases[-1].client.interrupted
    assert phases[-1].clocks[-1].calls == 100
    assert interrupts.pressed == 1


def test_while_the_clocks_are_read_the_first_is_remembered(world: World) -> None:
    world.on["kernel"] = press
    with Interrupts() as interrupts:
        assert run_of(world, interrupts).phases() == ()
    assert world.order == ["gateway", "kernel"]


def test_the_second_ends_everything(world: World) -> None:
    def twice() -> None:
        press()
        press()

    world.on["kernel"] = twice
    with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt):
        run_of(world, interrupts).phases()


def test_afterwards_ctrl_c_is_what_it_was() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_the_warm_up_is_a_tenth_within_bounds() -> None:
    assert [warm_up_s(duration) for duration in (4, 30, 600)] == [1.0, 3.0, 5.0]
    assert running.PHASES == 4
