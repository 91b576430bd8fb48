"""`omnimind monitor`: how long calls take, in windows and at the end; by the kernel's clock, or by the gateway's.

With `--ebpf` the kernel is asked; where that cannot be, every missing thing is named with its fix and the gateway's
histograms give the same report, which says so. Under sudo everything but bpftrace acts as the user who called it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from omnimind import catalog, settings, tokens
from omnimind.cli import fleet, options, terminal
from omnimind.errors import Exit, OmniMindError, UsageError
from omnimind.monitor import gateway, invoker, needs, watching
from omnimind.monitor.report import Meter, Report, Source

if TYPE_CHECKING:
    from omnimind.monitor.needs import Kernel

_MOST_PORTS = 512
_LATE_S = 15.0
"""How much later than its interval a reading may come: bpftrace takes its time on a busy machine."""


@dataclass(frozen=True, slots=True)
class _Target:
    """The fleet that runs, if one does, and what to watch of it."""

    record: fleet.Record | None
    ports: Mapping[int, str]
    servers: Mapping[int, str]
    children: Sequence[int]


def run(argv: Sequence[str]) -> int:
    """Report until Ctrl-C, or for the given time."""
    arguments = _parser().parse_args(argv)
    who = invoker.find()
    if who is not None:
        sys.dont_write_bytecode = True  # nothing of root's among the user's files
    with invoker.acting(who):
        target = _target(_state(arguments.state, who), arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    kernel = _kernel(arguments.ebpf)
    if kernel is not None:
        whole = _by_kernel(arguments, target, kernel)
    else:
        with invoker.acting(who):
            whole = _by_gateway(arguments, target, _state(arguments.state, who))
    text = json.dumps(whole.as_json(), indent=2) if arguments.json else whole.text()
    print(text)
    if arguments.out:
        _write(arguments.out, f"{text}\n", who)
    return Exit.OK


def _parser() -> argparse.ArgumentParser:
    parser = options.parser(
        "monitor",
        "Show how long calls take: a report for every interval, and one of all at the end (Ctrl-C).",
    )
    parser.add_argument("--ebpf", action="store_true", help="by the kernel's clock (root and bpftrace)")
    parser.add_argument(
        "--interval", metavar="S", type=_seconds, default=10, help="seconds between reports (10)"
    )
    parser.add_argument("--duration", metavar="S", type=_seconds, help="end after so many seconds")
    parser.add_argument(
        "--port",
        metavar="PORT[-PORT]",
        type=_ports,
        action="append",
        default=[],
        help="watch these instead of the fleet's; may be repeated (with --ebpf)",
    )
    parser.add_argument(
        "--pid",
        metavar="PID",
        type=options.count,
        action="append",
        default=[],
        help="a server that speaks over stdin and stdout, with all it starts (with --ebpf)",
    )
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the last report to a file, too")
    options.add_json(parser)
    options.add_state(parser)
    return parser


def _seconds(text: str) -> int:
    value = options.count(text)
    if not 1 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 1 to 86400")
    return value


def _ports(text: str) -> range:
    low, _, high = text.partition("-")
    first, last = options.port(low), options.port(high or low)
    if first == 0 or last < first:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, or two with the lower first: 8000-8010")
    return range(first, last + 1)


def _state(named: Path | None, who: invoker.Invoker | None) -> Path:
    """The state folder; under sudo that of the user, whose home platformdirs finds in the environment."""
    if who is None:
        return settings.state_dir(named)
    kept = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update(who.environment(kept))
        return settings.state_dir(named)
    finally:
        os.environ.clear()
        os.environ.update(kept)


def _target(state: Path, arguments: argparse.Namespace) -> _Target:
    record = fleet.find(state)
    servers, children = _processes(state) if record else ({}, [])
    ports = {catalog.GATEWAY_PORT: watching.GATEWAY}
    if record is None:
        ports |= {builtin.port: builtin.name for builtin in catalog.BUILTINS}
    else:
        ports = watching.ports(record.endpoint, record.servers)
    wanted = [port for some in arguments.port for port in some]
    if len(set(wanted)) > _MOST_PORTS:
        raise UsageError("OM0100", f"more than {_MOST_PORTS} ports", help="watch a smaller range")
    if wanted:
        ports = {port: ports.get(port, "") for port in wanted}
    elif arguments.pid:
        ports = {}
    only = arguments.pid or ([] if wanted else children)
    return _Target(record, ports, servers, only)


def _processes(state: Path) -> tuple[dict[int, str], list[int]]:
    """The names of the servers' processes, and those that speak over stdin and stdout."""
    try:
        rows = fleet.ask(state, {"cmd": "status"}).get("servers", [])
    except OmniMindError:
        return {}, []
    running = [row for row in rows if isinstance(row, dict) and isinstance(row.get("pid"), int)]
    names = {row["pid"]: str(row.get("name")) for row in running}
    return names, [row["pid"] for row in running if row.get("kind") == "stdio"]


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _kernel(asked: bool) -> Kernel | None:
    """What is needed for the kernel's clock, or None with every reason said."""
    if not asked:
        return None
    found, missing = needs.examine(needs.facts())
    for one in missing:
        terminal.say(f"missing: {one.what}\n   help: {one.fix}")
    if found is None:
        terminal.say("so this is not the kernel's clock but the gateway's")
    elif coarse := watching.coarse(found):
        terminal.say(f"note: {coarse}")
    return found


def _by_kernel(arguments: argparse.Namespace, target: _Target, kernel: Kernel) -> Report:
    from omnimind.monitor.kernel import Probe
    from omnimind.monitor.program import Watch
    from omnimind.monitor.readings import Names

    pids = sorted({found for pid in target.children for found in _family(pid)})
    names = Names(target.ports, lambda pid: _name(pid, target.servers))
    watch = Watch(tuple(target.ports), pids, arguments.interval)
    source = watching.source(kernel, list(target.ports), len(target.children))
    terminal.say("loading the probes")
    with Probe(watch, kernel) as probe:
        began = time.monotonic()
        meter = Meter(source, names.reading({}), began)
        _say_begin(source, arguments)

        def step(left_s: float) -> None:
            maps = probe.reading(min(left_s, arguments.interval + _LATE_S))
            if maps is not None:
                _show(meter.window(names.reading(maps), time.monotonic()), arguments)

        _repeat(arguments.duration, step)
        ended = time.monotonic()
        meter.window(names.reading(probe.stop()), ended)
    return meter.whole()


def _by_gateway(arguments: argparse.Namespace, target: _Target, state: Path) -> Report:
    if target.record is None:
        raise fleet.no_fleet(state)
    if arguments.port or arguments.pid:
        terminal.say(
            "note: --port and --pid are for the kernel's clock; this is all that the gateway answers"
        )
    endpoint = target.record.endpoint
    token = tokens.local_token(state) if target.record.token_file else None
    text = gateway.fetch(endpoint, token)
    meter = Meter(gateway.source(text), gateway.reading(text), time.monotonic())
    _say_begin(gateway.source(text), arguments)

    def step(left_s: float) -> None:
        time.sleep(min(left_s, arguments.interval))
        if left_s > arguments.interval:
            _show(meter.window(gateway.reading(gateway.fetch(endpoint, token)), time.monotonic()), arguments)

    _repeat(arguments.duration, step)
    meter.window(gateway.reading(gateway.fetch(endpoint, token)), time.monotonic())
    return meter.whole()


def _repeat(duration_s: int | None, step: Callable[[float], None]) -> None:
    """Take steps, each told what is left, until the time is over or somebody ends it."""
    end = time.monotonic() + duration_s if duration_s else float("inf")
    with suppress(KeyboardInterrupt):
        while (left_s := end - time.monotonic()) > 0:
            step(left_s)


def _say_begin(source: Source, arguments: argparse.Namespace) -> None:
    span = f"for {arguments.duration} s" if arguments.duration else "until Ctrl-C"
    terminal.say(f"watching by the {source.clock}'s clock, {span}; a report every {arguments.interval} s")


def _show(report: Report, arguments: argparse.Namespace) -> None:
    """A window: to be read, or with --json only that it went by."""
    if arguments.json:
        everything = report.all
        terminal.say(f"{report.seconds:.0f} s: {everything.total.calls} calls, {everything.high} above 50 ms")
    else:
        print(f"{report.text()}\n", flush=True)


def _family(pid: int) -> list[int]:
    """A process and all that it started."""
    import psutil

    try:
        root = psutil.Process(pid)
        return [pid, *(child.pid for child in root.children(recursive=True))]
    except psutil.Error:
        raise UsageError(
            "OM0100", f"there is no process {pid}", help="see the pids of servers: omnimind status"
        ) from None


def _name(pid: int, servers: Mapping[int, str]) -> str | None:
    """The server that a process is, or that started it; else the process's own name."""
    import psutil

    try:
        process = psutil.Process(pid)
        line = [process, *process.parents()]
        return next((servers[one.pid] for one in line if one.pid in servers), process.name())
    except psutil.Error:
        return None


def _write(path: Path, text: str, who: invoker.Invoker | None) -> None:
    try:
        invoker.write(path, text, who)
    except OSError as error:
        raise OmniMindError(
            "OM0602",
            f"the report cannot be written: {error.strerror}",
            where=str(path),
            help="--out elsewhere",
        ) from None
    terminal.say(f"wrote {path}")
