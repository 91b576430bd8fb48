"""The built-in servers: the cheapest tool of each, called over the worker's own socket and through the gateway.

    python -m benches.builtins [--rounds 5] [--seconds 2] [--json FILE] [SERVER ...]

Both ways lead to the same worker, in turns, so that what else the machine does falls on both alike; a figure is
the median over the rounds of what each round found. The bar: through the gateway at least 0.9 of the calls that
the worker answers when it is driven directly.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benches import load
from omnimind import catalog
from omnimind.stress.mix import CHEAPEST
from tests.system.gateway_process import GatewayProcess, address, listening, snapshot
from tests.system.worker_process import worker

BAR = 0.9
IN_FLIGHT = 16


@dataclass(frozen=True)
class Found:
    """Medians of one server."""

    server: str
    tool: str
    direct_per_s: float
    gateway_per_s: float
    ratio: float
    direct_p50_ms: float
    gateway_p50_ms: float


@contextmanager
def both_ways(server: str, folder: Path) -> Iterator[tuple[list[str], list[str]]]:
    """A worker and a gateway before it: how the generator reaches the one and the other."""
    state = folder / server
    state.mkdir()
    spec = {"name": server, "kind": "worker", "tier": "high", "first_party": True}
    with worker(server, state) as process, listening() as held:
        key = folder / f"{server}.key"
        key.write_text(process.key.hex() + "\n")
        with GatewayProcess(1, snapshot(spec), [held]) as gateway:
            change = {"name": server, "state": "ready", "path": process.address, "key": process.key.hex()}
            gateway.tell({"t": "server", **change})
            url = f"http://{address(held)}/servers/{server}/mcp"
            direct = ["--unix", process.address, "--hello", str(key), "--principal", "local"]
            yield direct, ["--http", url]


def measure(server: str, *, rounds: int, seconds: float) -> Found:
    """Turns of both ways, every other round in reverse order."""
    tool, arguments = CHEAPEST[server]
    reports: tuple[list[load.Report], list[load.Report]] = ([], [])
    call = ["--tool", tool, "--arguments", arguments, "--in-flight", str(IN_FLIGHT)]
    with tempfile.TemporaryDirectory(prefix="omnimind-bench-") as name, both_ways(server, Path(name)) as ways:
        for target in ways:
            load.run(*target, *call, "--count", "200")  # the worker has started, both connections are open
        for turn in range(rounds):
            for way in (0, 1) if turn % 2 == 0 else (1, 0):
                report = load.run(*ways[way], *call, "--duration-s", str(seconds), "--warm-up-s", "0.3")
                if not report.is_clean:
                    raise RuntimeError(f"{server}: not every call was answered right: {report.all}")
                reports[way].append(report)
    direct, gateway = reports
    ratios = [g.throughput_per_s / d.throughput_per_s for d, g in zip(direct, gateway, strict=True)]
    return Found(
        server,
        tool,
        direct_per_s=statistics.median(one.throughput_per_s for one in direct),
        gateway_per_s=statistics.median(one.throughput_per_s for one in gateway),
        ratio=statistics.median(ratios),
        direct_p50_ms=statistics.median(one.p50_ms for one in direct),
        gateway_p50_ms=statistics.median(one.p50_ms for one in gateway),
    )


def table(found: Sequence[Found]) -> str:
    """For people."""
    head = f"{'':13}{'tool':26}{'direct/s':>9}{'gateway/s':>11}{'ratio':>7}{'p50 ms':>8}{'p50 ms':>8}"
    rows = [
        f"{one.server:13}{one.tool:26}{one.direct_per_s:>9.0f}{one.gateway_per_s:>11.0f}{one.ratio:>7.2f}"
        f"{one.direct_p50_ms:>8.2f}{one.gateway_p50_ms:>8.2f}"
        for one in found
    ]
    return "\n".join([head, *rows])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("servers", metavar="SERVER", nargs="*", help="default: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each turn")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    names = options.servers or [builtin.name for builtin in catalog.BUILTINS]
    found = [measure(name, rounds=options.rounds, seconds=options.seconds) for name in names]
    print(table(found))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(one) for one in found], indent=2))
    return 0 if all(one.ratio >= BAR for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
