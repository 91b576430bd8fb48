"""What traces cost: `tools/call` through the gateway without them, with a tenth and with all requests recorded.

    python -m benches.traces [--rounds 5] [--seconds 2]

Three fleets are up at once, each with the near-free upstream as a stdio child and all with one collector, and are
measured in turns, every other round in reverse order. CPU per call is that of the gateway process: the Rust plane and,
where there are traces, the thread that exports them. A figure is the median over the rounds; what counts is the
ratio to the fleet without traces in the same round. A turn ends with nothing left to export.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import ExitStack

from benches import load, processes
from benches.passthrough import gateway_pid
from tests.collector import Collector
from tests.fleet import Fleet
from tests.scrape import scrape

OFF = "off"
SAMPLERS = {
    OFF: {"OTEL_SDK_DISABLED": "true"},
    "a tenth": {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"},
    "all": {"OTEL_TRACES_SAMPLER": "always_on"},
}
IN_FLIGHT = 16
DELAY_MS = 1000
DELAY = {"OTEL_BSP_SCHEDULE_DELAY": str(DELAY_MS)}
SETTLE_S = DELAY_MS / 1e3 + 0.3


def turn(fleet: Fleet, seconds: float) -> float:
    """CPU microseconds of the gateway process for each call."""
    pid = gateway_pid(fleet)
    before = processes.cpu_s([pid])
    report = load.run(
        *("--http", fleet.url("bench"), "--in-flight", str(IN_FLIGHT)),
        *("--duration-s", str(seconds), "--warm-up-s", "0"),
    )
    if not report.is_clean:
        raise load.LoadError(f"calls went wrong: {report.all}")
    time.sleep(SETTLE_S)
    return (processes.cpu_s([pid]) - before) / report.sent * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    with ExitStack() as stack:
        collector = stack.enter_context(Collector())
        fleets = {
            name: stack.enter_context(
                Fleet(
                    {"bench": load.stdio_entry(sessions="shared")},
                    environment=collector.environment(**said, **DELAY),
                )
            )
            for name, said in SAMPLERS.items()
        }
        for fleet in fleets.values():
            turn(fleet, 0.5)
        found: dict[str, list[float]] = {name: [] for name in fleets}
        for number in range(options.rounds):
            for name in sorted(fleets, reverse=bool(number % 2)):
                found[name].append(turn(fleets[name], options.seconds))
        for name, figures in found.items():
            ratio = statistics.median(one / off for one, off in zip(figures, found[OFF], strict=True))
            spans = scrape(fleets[name].base).total("omnimind_spans_total", state="exported")
            lost = scrape(fleets[name].base).total("omnimind_spans_total") - spans
            print(
                f"{name:8} {statistics.median(figures):7.1f} us CPU a call, {ratio:5.2f} x off; "
                f"{spans:.0f} spans exported, {lost:.0f} not"
            )


if __name__ == "__main__":
    main()
