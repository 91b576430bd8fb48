"""The cost of an answer from memory: `tools/call` hits of the gateway beside a server that reads no request.

    python -m benches.hits [--rounds 14] [--seconds 1] [--json FILE]

The yardstick is `omnimind-load fixed`: a hyper server in a process of its own with as many threads, the same settings
of a connection, the same connections and the same request bytes. It reads the body of a request whole and answers
with a fixed body of the same length and the same header fields; it looks into nothing: no path, no token, no JSON. What
a hit takes beyond it is the way through the gateway: the head's checks, the token, the message, the key, the memory.

Everything is up at once and measured in turns, every other round in reverse order; a figure is the median over the
rounds. A hit and the fixed reply it is held against are measured one right after the other, since a machine is not as
fast in one minute as in the next. Every turn, whoever's, begins when the gateway has nothing left to do: what thousands
of misses leave to be packed, written and learned is not the cost of the hits after them, nor of the fixed replies that
run beside it. CPU per call is user and system time of the serving process. The bar: at 16 in flight a hit in memory
takes at most 1.15 x the CPU of the fixed reply, for answers of 0.3, 2 and 16 KB. Beside it stand questions as long as
their answers (the whole question is in the key, so it is checked, spelled and hashed), misses, and nginx with
`return 200`.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benches import load, processes
from benches.nginx import Nginx
from benches.passthrough import gateway_pid
from tests.fleet import Fleet

CPU_BAR = 1.15
SIZES = (300, 2_048, 16_384)
"""Bytes of an answer."""
IN_FLIGHT = 16
PAIR = ["fixed", "hit"]
LOOK_S = 0.1
"""Between two looks at whether the gateway is at rest."""
REST = 0.02
"""At rest it takes at most so much of one core."""
SETTLED_WITHIN_S = 10.0
SERVER = {
    "trust": ["annotations"],
    "cache": {"ttl_ms": 3_600_000},
}
VERSION = "2026-07-28"
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"


@dataclass(frozen=True)
class Question:
    """A call that is made again and again; long ones carry in themselves what is to come back."""

    answer_bytes: int
    long: bool

    @property
    def name(self) -> str:
        size = f"{self.answer_bytes / 1024:.1f} KB"
        return f"{size} for {size}" if self.long else size

    @property
    def pad(self) -> int:
        """What the answer has beside its envelope."""
        return max(0, self.answer_bytes - 190)

    @property
    def arguments(self) -> dict[str, Any]:
        return {"text": "x" * self.pad} if self.long else {"text": "", "pad": self.pad}

    @property
    def options(self) -> tuple[str, ...]:
        if self.long:
            return ("--arguments", '{"text":"$PAD"}', "--size", str(self.pad))
        return ("--arguments", json.dumps(self.arguments, separators=(",", ":")))


@dataclass(frozen=True)
class Sample:
    """One turn of one contender."""

    throughput_per_s: float
    cpu_us_per_call: float
    p50_ms: float


@dataclass
class Result:
    """All turns, by what was asked and by who answered."""

    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)

    def median(self, question: str, contender: str, figure: str) -> float:
        figures: list[float] = [getattr(sample, figure) for sample in self.samples[question][contender]]
        return statistics.median(figures)

    def ratio(self, question: str, contender: str) -> float:
        """CPU per call beside the fixed reply: the median over the rounds of the ratio in each round."""
        pairs = zip(self.samples[question][contender], self.samples[question]["fixed"], strict=True)
        return statistics.median(one.cpu_us_per_call / fixed.cpu_us_per_call for one, fixed in pairs)

    def misses(self, bar: float = CPU_BAR) -> list[str]:
        """The bars that are not met, in words. Questions as long as their answers have none."""
        ratios = {
            question: self.ratio(question, "hit") for question in self.samples if " for " not in question
        }
        return [
            f"{question}: a hit takes {ratio:.2f} x the CPU of a fixed reply, at most {bar}"
            for question, ratio in ratios.items()
            if ratio > bar
        ]

    def table(self) -> str:
        """For people."""
        lines = [f"{'answer':20}{'':8}{'calls/s':>10}{'CPU us':>8}{'x fixed':>9}{'p50 ms':>8}"]
        for question, contenders in self.samples.items():
            lines += [
                f"{question:20}{name:8}{self.median(question, name, 'throughput_per_s'):>10.0f}"
                f"{self.median(question, name, 'cpu_us_per_call'):>8.1f}{self.ratio(question, name):>9.2f}"
                f"{self.median(question, name, 'p50_ms'):>8.2f}"
                for name in contenders
            ]
        return "\n".join(lines)


class Fixed(load.Server):
    """The server that reads no request."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__("fixed", "--http", "127.0.0.1:0", "--size", str(size_bytes))


class Bench:
    """Everything up, and the turns on it."""

    def __init__(self, stack: ExitStack, questions: tuple[Question, ...]) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="omnimind-bench-")))
        upstream = stack.enter_context(load.Upstream())
        self.fleet = stack.enter_context(Fleet({"echo": {"url": upstream.url, **SERVER}}, auth=True))
        self._gateway = gateway_pid(self.fleet)
        token = folder / "token"
        token.write_text(self.fleet.token)
        self._principal = ("--principal", f"bench={token}")
        lengths = {question: len(self.ask(question)) for question in questions}
        self._fixed = {question: stack.enter_context(Fixed(length)) for question, length in lengths.items()}
        self._nginx: dict[Question, Nginx] = {}
        if shutil.which("nginx"):
            self._nginx = {
                question: stack.enter_context(Nginx(says_bytes=length))
                for question, length in lengths.items()
            }

    def ask(self, question: Question) -> bytes:
        """The answer to one call, as it comes over the wire."""
        meta = {VERSION_KEY: VERSION, CAPABILITIES_KEY: {}, "io.modelcontextprotocol/clientInfo": {}}
        params = {"name": "echo", "arguments": question.arguments, "_meta": meta}
        body = {"jsonrpc": "2.0", "id": 100_000, "method": "tools/call", "params": params}
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": VERSION,
            "Mcp-Method": "tools/call",
            "Mcp-Name": "echo",
        }
        return self._fetch(self.fleet.url("echo"), headers, json.dumps(body).encode())

    def hits(self) -> int:
        """Answers from memory so far."""
        text = self._fetch(f"{self.fleet.base}/metrics", {}, None).decode()
        return int(sum(float(n) for n in re.findall(r'cache_hits_total\{.*level="ram"\} (\d+)', text)))

    def _fetch(self, url: str, headers: dict[str, str], body: bytes | None) -> bytes:
        headers = {**headers, "Authorization": f"Bearer {self.fleet.token}"}
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
            found: bytes = answer.read()
            return found

    def settle(self) -> None:
        """Waits until the gateway is at rest; raises if it does not come to it."""
        for _ in range(round(SETTLED_WITHIN_S / LOOK_S)):
            before = processes.cpu_s([self._gateway])
            time.sleep(LOOK_S)
            if processes.cpu_s([self._gateway]) - before <= REST * LOOK_S:
                return
        raise RuntimeError(f"the gateway is still at work after {SETTLED_WITHIN_S} s")

    def turn(self, question: Question, contender: str, seconds: float) -> Sample:
        """One turn; raises if a call was not answered as it should be."""
        self.settle()
        url, pids, options = self.fleet.url("echo"), [self._gateway], question.options
        if contender == "fixed":
            server = self._fixed[question]
            # At the address of the gateway's, since the bytes of a request are to be the same.
            url, pids = server.url.replace("/mcp", "/servers/echo/mcp"), [server.pid]
        elif contender == "nginx":
            url, pids = self._nginx[question].url, self._nginx[question].workers
        elif contender == "miss":
            # Every call of every run has a text of its own.
            options = tuple(option.replace('"text":"', '"text":"$CANARY') for option in options)
        hits, before = self.hits(), processes.cpu_s(pids)
        report = load.run(
            *("--http", url, *self._principal, *options, "--in-flight", str(IN_FLIGHT)),
            *("--duration-s", str(seconds), "--warm-up-s", "0.1"),
        )
        spent_s = processes.cpu_s(pids) - before
        if contender in ("hit", "miss"):
            expected = report.sent if contender == "hit" else 0
            hit = self.hits() - hits
            if not report.is_clean or abs(hit - expected) > IN_FLIGHT:
                raise RuntimeError(f"{contender}: {hit} of {report.sent} calls hit: {report.all}")
        # The yardsticks do not know the call's id, so that none of their answers counts as right.
        throughput_per_s = report.sent / report.all["elapsed_s"]
        return Sample(throughput_per_s, spent_s * 1e6 / report.sent, report.p50_ms)

    def contenders(self) -> list[str]:
        return [*PAIR, "miss", *(["nginx"] if self._nginx else [])]


@contextmanager
def bench(questions: tuple[Question, ...]) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(stack, questions)


def measure(
    *,
    rounds: int,
    seconds: float,
    sizes: tuple[int, ...] = SIZES,
    with_long: bool = True,
    only: tuple[str, ...] = (),
) -> Result:
    """Turns of all contenders, or of those named; every other round in reverse order, the pair always first."""
    kinds = (False, True) if with_long else (False,)
    questions = tuple(Question(size, long) for long in kinds for size in sizes)
    result = Result()
    with bench(questions) as up:
        chosen = [name for name in up.contenders() if not only or name in only]
        for question in questions:
            result.samples[question.name] = {name: [] for name in chosen}
        halves = [[name for name in chosen if (name in PAIR) is is_pair] for is_pair in (True, False)]
        for turn in range(rounds):
            order = [name for half in halves for name in (half if turn % 2 == 0 else reversed(half))]
            for question in questions:
                for name in order:
                    result.samples[question.name][name].append(up.turn(question, name, seconds))
    return result


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=14)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each turn")
    parser.add_argument("--only", action="append", default=[], help="a contender; repeat for several")
    parser.add_argument("--short", action="store_true", help="no questions as long as their answers")
    parser.add_argument("--json", type=Path, help="also write the samples to this file")
    arguments = parser.parse_args()
    result = measure(
        rounds=arguments.rounds,
        seconds=arguments.seconds,
        with_long=not arguments.short,
        only=tuple(arguments.only),
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
