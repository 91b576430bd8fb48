"""Runs of ruff, mypy, pytest and pip, each in the jail, each in a fresh folder of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import anyio.to_thread

from omnimind.servers.problem import Problem
from omnimind.servers.python import install, lint, packages, scratch, test_run, type_check, workbench
from omnimind.servers.python.findings import Finding, complaint, shortened
from omnimind.servers.python.install import Settings
from omnimind.servers.python.jail import Call, Job, Limits, Outcome, Program
from omnimind.servers.python.jail.inmate import Stream
from omnimind.servers.python.jail.job import MIB
from omnimind.servers.python.packages import Package
from omnimind.servers.python.sources import Sources
from omnimind.servers.python.test_run import Report
from omnimind.servers.python.workbench import Workbench

RUFF: Final = Limits(wall_s=30.0, memory_bytes=4096 * MIB, output_bytes=8 * MIB)
"""Its allocator reserves address space by the gigabyte and touches little of it."""
MYPY: Final = Limits(wall_s=120.0, memory_bytes=2048 * MIB)
PYTEST: Final = Limits(memory_bytes=1024 * MIB, output_bytes=16 * MIB)
PIP: Final = Limits(
    wall_s=install.SECONDS, memory_bytes=1024 * MIB, disk_bytes=install.FOLDER_BYTES, output_bytes=4 * MIB
)
LONGEST_S: Final = 600
"""The longest run of tests that can be asked for."""
LINE_BYTES: Final = 256 * 1024
LOG_CHARACTERS: Final = 4_000
CACHE_BYTES: Final = 256 * MIB


@dataclass(frozen=True, slots=True)
class Changed:
    """Files that a tool changed in its copies, and how."""

    files: Mapping[str, bytes]
    diff: str


async def linted(
    bench: Workbench, given: Sources, select: Sequence[str], ignore: Sequence[str], *, fix: bool
) -> tuple[list[Finding], Changed]:
    """What ruff finds; with `fix`, what is left when it has put right what is safe, and the changes."""
    _refuse_nothing(given, "check")
    command = lint.check_command(workbench.program("ruff"), given, select, ignore, fix=fix)
    async with bench.folder(given.files) as folder:
        outcome = await _ruff(bench, command, folder)
        found = lint.read_findings(outcome.stdout, outcome.stderr.decode("utf-8", "replace"), str(folder))
        return found, await anyio.to_thread.run_sync(_changed, folder, given) if fix else Changed({}, "")


async def formatted(
    bench: Workbench, given: Sources, line_length: int | None
) -> tuple[list[Finding], Changed]:
    """What ruff's formatter changes, and the files that it could not read as Python."""
    _refuse_nothing(given, "format")
    command = lint.format_command(workbench.program("ruff"), given, line_length)
    async with bench.folder(given.files) as folder:
        outcome = await _ruff(bench, command, folder)
        said = outcome.stderr.decode("utf-8", "replace")
        unparsed = lint.read_unparsed(said)
        if outcome.end == "failed" and not unparsed:
            raise complaint("ruff", said, str(folder))
        return unparsed, await anyio.to_thread.run_sync(_changed, folder, given)


def _refuse_nothing(given: Sources, what: str) -> None:
    if not given.python():
        raise Problem(f"there is no Python file to {what}; the names of Python files end in .py or .pyi")


async def _ruff(bench: Workbench, command: Sequence[str], folder: Path) -> Outcome:
    program = Program(command[0], tuple(command[1:]), {"RUFF_NO_CACHE": "true", "RAYON_NUM_THREADS": "2"})
    outcome = await bench.jail.run(Job(program, folder, limits=RUFF))
    _refuse_early_end(outcome, RUFF, "ruff")
    return outcome


def _changed(folder: Path, given: Sources) -> Changed:
    now = workbench.take(folder, given.python())
    changed = {name: data for name, data in now.items() if data != given.files[name]}
    return Changed(changed, lint.difference(given.files, changed))


async def type_checked(bench: Workbench, given: Sources, principal: str, *, strict: bool) -> list[Finding]:
    """What mypy finds, in the caller's own cache and with the packages that the caller installed."""
    workbench.require("mypy")
    with bench.cache(principal, CACHE_BYTES) as cache:
        found = await _types(bench, given, cache, bench.library(principal), strict=strict)
        if (
            found is None and cache is not None
        ):  # a machine that lost power may have left a cache that is broken
            scratch.remove(cache)
            found = await _types(bench, given, None, bench.library(principal), strict=strict)
    if found is None:
        raise Problem(
            "mypy broke down over this code, which is a fault of mypy; leave out files to find the cause"
        )
    return found


async def _types(
    bench: Workbench, given: Sources, cache: Path | None, library: str | None, *, strict: bool
) -> list[Finding] | None:
    """What mypy finds; None if it broke down. Without a cache it makes one that goes with the run."""
    async with bench.folder(given.files) as folder:
        kept = str(cache / ("strict" if strict else "usual")) if cache else ".mypy_cache"
        arguments = type_check.arguments(given, kept, strict=strict)
        call = Call(type_check.RUN, {"arguments": arguments, "library": library})
        job = Job(call, folder, read=_paths(library), write=(str(cache),) if cache else (), limits=MYPY)
        outcome = await bench.jail.run(job)
        _refuse_early_end(outcome, MYPY, "mypy")
        match outcome.value:
            case {"stdout": str(stdout), "stderr": str(stderr)} if outcome.end == "done":
                return type_check.read_findings(stdout, stderr, str(folder))
        return None


def _paths(*found: str | None) -> tuple[str, ...]:
    return tuple(path for path in found if path is not None)


async def tested(
    bench: Workbench,
    given: Sources,
    principal: str,
    arguments: Sequence[str],
    wall_s: float,
    told: Callable[[Report], Awaitable[None]],
) -> Report:
    """What became of the tests; `told` is called with what is known so far, each time something happened."""
    workbench.require("pytest")
    library = bench.library(principal)
    limits = replace(PYTEST, wall_s=wall_s)
    call = Call(test_run.RUN, {"arguments": list(arguments), "library": library})
    report = Report()
    rest = b""

    async def on_output(stream: Stream, data: bytes) -> None:
        nonlocal rest
        if stream == "stdout":
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                report.take(line)
            rest = rest[-LINE_BYTES:]
            await told(report)

    async with bench.folder(given.files) as folder:
        job = Job(call, folder, read=_paths(library), limits=limits)
        outcome = await bench.jail.run(job, on_output)
        report.close("" if report.code is not None else outcome.why(limits))
        said = outcome.stderr.decode("utf-8", "replace").replace(f"{folder}/", "")
        report.log = shortened(said, LOG_CHARACTERS)
        report.seconds = outcome.seconds
        return report


async def installed(
    bench: Workbench, settings: Settings, principal: str, requirements: Sequence[str]
) -> list[Package]:
    """Install these beside what the principal has already, and say all that is there then."""
    if find_spec("pip") is None:
        raise Problem(
            "pip is not in the environment of OmniMind; its operator can add it with `python -m ensurepip`"
        )
    environment = bench.environment(principal)
    every = environment.requirements(requirements)
    async with bench.folder({}) as folder:
        call = Call(install.RUN, {"arguments": install.arguments(settings, every, "made")})
        job = Job(call, folder, read=settings.reads, network=settings.network, limits=PIP)
        outcome = await bench.jail.run(job)
        _refuse_early_end(outcome, PIP, "pip")
        if outcome.end == "failed" or outcome.value != 0:
            raise install.failure(settings, outcome.stderr.decode("utf-8", "replace"))
        made = folder / "made"
        if not made.is_dir():
            raise Problem("nothing was installed: pip found nothing to do")
        now = await anyio.to_thread.run_sync(environment.adopt, made, every)
    return packages.found([], str(now), known=bench.headers)


def _refuse_early_end(outcome: Outcome, limits: Limits, tool: str) -> None:
    """Raise Problem for a run that something other than itself brought to its end."""
    if outcome.end not in ("done", "failed"):
        raise Problem(f"{tool} gave no result: {outcome.why(limits)}; give it fewer files at a time")
