"""`omnimind bench`: one load, three clocks side by side, and what follows from it.

It starts a fleet of its own, so that figures of different machines can be compared and nothing of the user's is
touched; `--running` takes the fleet that runs. Under sudo only what watches the kernel stays root: this process becomes
the user who called it before it starts anything. Data goes to stdout, progress to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import omnimind
from omnimind.cli import options, terminal
from omnimind.errors import Exit, OmniMindError, UsageError

if TYPE_CHECKING:
    from omnimind.bench import clocks
    from omnimind.bench.report import Benchmark, Health, Phase
    from omnimind.bench.running import Interrupts, Run
    from omnimind.bench.watcher import Watcher
    from omnimind.cli.bench_target import Target
    from omnimind.monitor.needs import Kernel
    from omnimind.stress.plan import Plan

REPORTS: Final = Path("data/test_reports")
NAME: Final = "ebpf_mcp_latency"
_LEAST_S, _MOST_S = 4, 86_400
_MOST_CALLERS: Final = 10_000


def run(argv: Sequence[str]) -> int:
    """Measure and write the reports; exit code 1 if the run broke off, or if a gate is given and closed."""
    arguments = _parse(argv)
    from omnimind.bench.running import Interrupts
    from omnimind.monitor import invoker

    notes: list[str] = []
    who = invoker.find()
    if who is not None:
        sys.dont_write_bytecode = True  # nothing of root's among the user's files
    with ExitStack() as ending:
        kernel = _kernel(arguments.ebpf, notes)
        watcher = ending.enter_context(_watcher(kernel)) if kernel else None
        if who is not None:
            who.become()
        folder = _folder(arguments.out)
        interrupts = ending.enter_context(Interrupts())
        try:
            found = _measured(arguments, kernel, watcher, interrupts, notes)
        except KeyboardInterrupt:
            terminal.say("ended without a report")
            return Exit.INTERRUPTED
        with interrupts.kept():
            code = _tell(found, arguments, folder)
    return Exit.INTERRUPTED if found.interrupted else code


def parser() -> options.Parser:
    """The options of the command."""
    from omnimind.bench.verdict import GATE_MS

    found = options.parser(
        "bench", "Measure a fleet by three clocks, client, gateway and kernel, and say what follows."
    )
    found.add_argument("--duration", metavar="S", type=options.count, default=60, help="seconds of load (60)")
    found.add_argument(
        "--concurrency", metavar="N", type=options.count, default=100, help="callers of the closed loop (100)"
    )
    found.add_argument("--ebpf", action="store_true", help="the kernel's clock, too (root and bpftrace)")
    found.add_argument("--running", action="store_true", help="the fleet that runs, not one for this alone")
    options.add_state(found)
    found.add_argument("--mix", metavar="FILE", type=Path, help="what to call; docs/stress.md shows one")
    found.add_argument("--seed", metavar="N", type=options.count, default=1, help="of gaps and choices (1)")
    found.add_argument("--no-cache", action="store_true", help="ask for answers that are not from memory")
    found.add_argument(
        "--gate",
        metavar="MS",
        type=_milliseconds,
        nargs="?",
        const=GATE_MS,
        help=f"exit code 1 if p99 at 70 %% is above ({GATE_MS:g}), an answer was wrong, or 1 %% failed",
    )
    found.add_argument("--out", metavar="DIR", type=Path, default=REPORTS, help=f"for reports ({REPORTS})")
    options.add_json(found)
    return found


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    arguments = parser().parse_args(argv)
    wrongs = (
        (
            not _LEAST_S <= arguments.duration <= _MOST_S,
            f"--duration is from {_LEAST_S} to {_MOST_S} seconds: it has four phases",
        ),
        (not 1 <= arguments.concurrency <= _MOST_CALLERS, f"--concurrency is from 1 to {_MOST_CALLERS}"),
        (arguments.state and not arguments.running, "--state is for --running: the other fleet has its own"),
    )
    for wrong, why in wrongs:
        if wrong:
            raise UsageError("OM0100", why, help="see: omnimind bench --help")
    return arguments


def _milliseconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of milliseconds above 0")
    return value


def _kernel(asked: bool, notes: list[str]) -> Kernel | None:
    """What the kernel's clock needs, or None with a note of why."""
    from omnimind.bench.watcher import TRACEFS, mount_tracefs
    from omnimind.monitor import needs, watching

    if not asked:
        notes.append("the kernel's clock is missing: it was not asked for (--ebpf, with sudo)")
        return None
    if mount_tracefs():
        terminal.say(f"mounted the kernel's tracepoints at {TRACEFS}")
    found, missing = needs.examine(needs.facts())
    notes += [f"the kernel's clock is missing: {one.what}; help: {one.fix}" for one in missing]
    for note in notes:
        terminal.say(f"note: {note}")
    if found is not None and (coarse := watching.coarse(found)):
        notes.append(coarse)
    return found


def _watcher(kernel: Kernel) -> Watcher:
    from omnimind.bench.watcher import Watcher

    return Watcher(kernel)


def _folder(named: Path) -> Path:
    """Where the reports go; that this can be is known before anything is measured."""
    folder = named.expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(None, "it is not yours to write")
    except OSError as error:
        raise UsageError(
            "OM0100",
            f"reports cannot be written: {error.strerror or error}",
            where=str(folder),
            help="name a folder that is yours: --out DIR",
        ) from None
    return folder


def _measured(
    arguments: argparse.Namespace,
    kernel: Kernel | None,
    watcher: Watcher | None,
    interrupts: Interrupts,
    notes: list[str],
) -> Benchmark:
    from omnimind.bench import advice, machine, report, verdict
    from omnimind.cli import bench_target

    began_utc = datetime.now(UTC)
    with ExitStack() as ending:
        target = (
            bench_target.running(arguments)
            if arguments.running
            else bench_target.thrown_away(arguments, ending)
        )
        gateway_pid = int(target.status()["gateway"]["pid"])
        here = machine.describe(gateway_pid)
        seen = _eyes(kernel, watcher, target.ports, notes)
        planned = _planned(arguments, target, gateway_pid, seen, interrupts)
        planned.warm_up()
        phases, health = _with_health(planned, target, notes)
        for fault in planned.faults:
            notes.append(f"the run broke off: {fault}")
            terminal.say(notes[-1])
        with interrupts.kept():
            ending.close()
    found = report.Benchmark(
        version=omnimind.__version__,
        began_utc=began_utc.isoformat(timespec="seconds"),
        machine=here,
        fleet=target.words,
        duration_s=arguments.duration,
        concurrency=arguments.concurrency,
        seed=arguments.seed,
        no_store=arguments.no_cache,
        phases=phases,
        health=health,
        notes=tuple(notes),
        interrupted=interrupts.pressed > 0,
    )
    judged = found.judged
    lines = advice.advise(phases, judged, here, health)
    return replace(found, verdict=verdict.judge(judged), advice=lines)


def _with_health(planned: Run, target: Target, notes: list[str]) -> tuple[tuple[Phase, ...], Health | None]:
    """The phases, and how a fleet of our own fared in them."""
    from omnimind.bench import health

    if target.nine is None:
        return planned.phases(), None
    before = health.look(target.nine)
    phases = planned.phases()
    if planned.interrupts.pressed or planned.faults:
        return phases, None
    try:
        with planned.interrupts.kept():
            after = health.look(target.nine)
            costs = health.costs(target.nine, target.mix.calls)
    except OmniMindError as error:
        notes.append(f"crash rate and tokens are missing: {error}")
        return phases, None
    parts = [part for phase in phases for part in phase.client.load.tools]
    return phases, health.of_run(before, after, 0, parts, costs * len(phases))


def _eyes(
    kernel: Kernel | None, watcher: Watcher | None, ports: Mapping[int, str], notes: list[str]
) -> clocks.Kernel | None:
    """The kernel's clock, watching; None without it, or with a note if bpftrace cannot begin."""
    from omnimind.bench import clocks
    from omnimind.monitor import watching
    from omnimind.monitor.kernel import MonitorError
    from omnimind.monitor.readings import Names

    if kernel is None or watcher is None:
        return None
    terminal.say("loading the probes")
    try:
        watcher.watch(list(ports))
    except MonitorError as error:
        why = " ".join((error.why or "").split())
        notes.append(f"the kernel's clock is missing: {error.what}: {why}")
        terminal.say(f"note: {notes[-1]}")
        return None
    return clocks.Kernel(watcher, watching.source(kernel, list(ports)), Names(ports, lambda _: None))


def _planned(
    arguments: argparse.Namespace,
    target: Target,
    gateway_pid: int,
    seen: clocks.Kernel | None,
    interrupts: Interrupts,
) -> Run:
    from omnimind.bench import clocks, running
    from omnimind.cli import stress
    from omnimind.monitor import gateway
    from omnimind.stress.plan import Plan
    from omnimind.stress.running import Fleet

    stress.allow_connections()

    def show(name: str, plan: Plan) -> running.Show:
        return stress.Progress(plan, name)

    plan = Plan(
        url=target.url,
        token=target.token,
        mix=target.mix,
        rate_per_s=None,
        concurrency=arguments.concurrency,
        duration_s=arguments.duration,
        warm_up_s=0.0,
        seed=arguments.seed,
        no_store=arguments.no_cache,
    )
    metrics = clocks.Clocks(lambda: gateway.fetch(target.url, target.token), gateway_pid, seen)
    return running.Run(plan, metrics, Fleet(target.status), interrupts, show)


def _tell(found: Benchmark, arguments: argparse.Namespace, folder: Path) -> int:
    """The reports to their files, one of them to stdout; the exit code that the gate asks for."""
    from omnimind.bench import page, text, verdict
    from omnimind.bench.running import PHASES

    moment = datetime.fromisoformat(found.began_utc).strftime("%Y%m%dT%H%M%SZ")
    everything = json.dumps(found.as_json(), indent=1, ensure_ascii=False) + "\n"
    shown = terminal.printable(text.render(found))
    for ending, content in (("txt", shown), ("json", everything), ("html", page.render(found))):
        _write(folder / f"{NAME}_{moment}.{ending}", content)
    sys.stdout.write(everything if arguments.json else shown)
    is_whole = found.interrupted or len(found.phases) == PHASES
    if arguments.gate is None:
        return Exit.OK if is_whole else Exit.FAILURE
    breaches = verdict.breaches(found, arguments.gate)
    for breach in breaches:
        terminal.say(f"{terminal.paint('failed', 'red', sys.stderr)}: {breach}")
    return Exit.FAILURE if breaches or not is_whole else Exit.OK


def _write(file: Path, content: str) -> None:
    try:
        file.write_text(content, encoding="utf-8")
    except OSError as error:
        raise OmniMindError(
            "OM0602",
            f"the report cannot be written: {error.strerror}",
            where=str(file),
            help="--out elsewhere",
        ) from None
    terminal.say(f"written: {file}")
