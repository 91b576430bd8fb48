"""The pass-through bar: `tools/call` through the gateway beside nginx proxying the same near-free upstream.

    python -m benches.passthrough [--rounds 5] [--seconds 3] [--json FILE]

All contenders run at once and are measured in turns, so that what else the machine does falls on all alike;
a figure is the median over the rounds of what each round found. CPU per call is the contender's own, without
upstream and generator. The bars: at 16 in flight at least 0.5 x nginx's throughput at no more than 2.5 x its
CPU per call, and a gateway process of at most 60 MB PSS in which the SDK is not loaded.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benches import load, processes
from benches.nginx import Nginx
from tests.fleet import Fleet

THROUGHPUT_BAR = 0.5
CPU_BAR = 2.5
PSS_BAR_MB = 60.0
SDK_LIBRARY = "pydantic_core"


@dataclass(frozen=True)
class Contender:
    """Something that answers calls, and the processes whose CPU is its own."""

    name: str
    target: tuple[str, ...]
    pids: list[int]


@dataclass(frozen=True)
class Sample:
    """One turn of one contender."""

    throughput_per_s: float
    cpu_us_per_call: float
    p50_ms: float
    p99_ms: float
    generator_saturated: bool


@dataclass
class Result:
    """All turns, and what the gateway process weighed at the end."""

    in_flight: int
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    gateway_pss_mb: float = 0.0
    sdk_loaded: bool = False

    def median(self, contender: str, figure: str) -> float:
        figures: list[float] = [getattr(sample, figure) for sample in self.samples[contender]]
        return statistics.median(figures)

    def ratio(self, contender: str, figure: str, beside: str = "nginx") -> float:
        """The median over the rounds of the ratio in each round."""
        pairs = zip(self.samples[contender], self.samples[beside], strict=True)
        ratios: list[float] = [getattr(one, figure) / getattr(other, figure) for one, other in pairs]
        return statistics.median(ratios)

    def misses(self) -> list[str]:
        """The bars that are not met, in words."""
        throughput = self.ratio("gateway to http", "throughput_per_s")
        cpu = self.ratio("gateway to http", "cpu_us_per_call")
        pss_mb = self.gateway_pss_mb
        checks = [
            (throughput >= THROUGHPUT_BAR, f"throughput {throughput:.2f} x nginx, at least {THROUGHPUT_BAR}"),
            (cpu <= CPU_BAR, f"CPU per call {cpu:.2f} x nginx, at most {CPU_BAR}"),
            (pss_mb <= PSS_BAR_MB, f"gateway {pss_mb:.0f} MB PSS, at most {PSS_BAR_MB:.0f}"),
            (not self.sdk_loaded, f"{SDK_LIBRARY} is loaded in the gateway process"),
        ]
        return [text for met, text in checks if not met]

    def table(self) -> str:
        """For people."""
        lines = [f"{'':18}{'calls/s':>10}{'x nginx':>9}{'CPU us':>8}{'x nginx':>9}{'p50 ms':>8}{'p99 ms':>8}"]
        for name, samples in self.samples.items():
            figures = (
                f"{self.median(name, 'throughput_per_s'):>10.0f}{self.ratio(name, 'throughput_per_s'):>9.2f}"
                f"{self.median(name, 'cpu_us_per_call'):>8.1f}{self.ratio(name, 'cpu_us_per_call'):>9.2f}"
                f"{self.median(name, 'p50_ms'):>8.2f}{self.median(name, 'p99_ms'):>8.2f}"
            )
            note = "  (generator saturated)" if any(sample.generator_saturated for sample in samples) else ""
            lines.append(f"{name:18}{figures}{note}")
        loaded = "loaded" if self.sdk_loaded else "not loaded"
        lines.append(f"gateway process: {self.gateway_pss_mb:.1f} MB PSS, SDK {loaded}")
        return "\n".join(lines)


def gateway_pid(fleet: Fleet) -> int:
    """The process of the Rust plane."""
    for pid in processes.family(fleet.pid):
        if "omnimind.gateway" in processes.command_line(pid):
            return pid
    raise RuntimeError("the fleet has no gateway process")


@contextmanager
def contenders(*, workers: int = 1) -> Iterator[tuple[list[Contender], int]]:
    """Everything up: the upstreams, nginx, the fleet; with the pid of the gateway."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="omnimind-bench-")))
        upstream = stack.enter_context(load.Upstream())
        socket = folder / "upstream.sock"
        stack.enter_context(load.Upstream(unix=socket))
        nginx = stack.enter_context(Nginx(upstream.port, workers=workers))
        servers = {
            "http": {"url": upstream.url},
            "unix": {"url": f"unix:{socket}"},
            "stdio": load.stdio_entry(),
        }
        fleet = stack.enter_context(Fleet(servers))
        gateway = gateway_pid(fleet)
        upstream_pid: int = upstream.place["pid"]
        yield (
            [
                Contender("direct", ("--http", upstream.url), [upstream_pid]),
                Contender("nginx", ("--http", nginx.url), nginx.workers),
                *(
                    Contender(f"gateway to {name}", ("--http", fleet.url(name)), [gateway])
                    for name in servers
                ),
            ],
            gateway,
        )


def sample(contender: Contender, *, in_flight: int, seconds: float, size_bytes: int = 0) -> Sample:
    """One turn; raises if any call was not answered right."""
    before = processes.cpu_s(contender.pids)
    report = load.run(
        *contender.target,
        *("--in-flight", str(in_flight), "--duration-s", str(seconds), "--warm-up-s", "0.2"),
        *("--size", str(size_bytes)),
    )
    spent_s = processes.cpu_s(contender.pids) - before
    if not report.is_clean:
        raise RuntimeError(f"{contender.name}: not every call was answered right: {report.all}")
    return Sample(
        throughput_per_s=report.throughput_per_s,
        cpu_us_per_call=spent_s * 1e6 / report.sent,
        p50_ms=report.p50_ms,
        p99_ms=report.p99_ms,
        generator_saturated=report.saturated,
    )


def measure(
    *, rounds: int, seconds: float, in_flight: int = 16, size_bytes: int = 0, only: tuple[str, ...] = ()
) -> Result:
    """Turns of all contenders, or of those named; every other round in reverse order."""
    result = Result(in_flight)
    with contenders() as (all_of_them, gateway):
        chosen = [one for one in all_of_them if not only or one.name in only]
        result.samples = {one.name: [] for one in chosen}
        for turn in range(rounds):
            for contender in chosen if turn % 2 == 0 else reversed(chosen):
                found = sample(contender, in_flight=in_flight, seconds=seconds, size_bytes=size_bytes)
                result.samples[contender.name].append(found)
        result.gateway_pss_mb = processes.pss_mb(gateway)
        result.sdk_loaded = processes.has_mapped(gateway, SDK_LIBRARY)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn")
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--size", type=int, default=0, help="bytes of padding in every call")
    parser.add_argument("--json", type=Path, help="also write the samples to this file")
    arguments = parser.parse_args()
    result = measure(
        rounds=arguments.rounds,
        seconds=arguments.seconds,
        in_flight=arguments.in_flight,
        size_bytes=arguments.size,
    )
    print(result.table())
    misses = result.misses()
    for miss in misses:
        print(f"bar missed: {miss}")
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps({**asdict(result), "misses": misses}, indent=2))
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
