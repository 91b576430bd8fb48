"""`omnimind doctor`: what could keep a fleet from running here, or from running well; each with a fix.

One module a group of checks, each a function that yields findings. Nothing is changed. Servers are started
once each, alone, in a folder that is thrown away; `--no-start` leaves that out. A check that itself fails is a
finding too, so that the others are still made.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from omnimind import settings
from omnimind.cli import options, terminal
from omnimind.cli.doctor.finding import Finding, fail
from omnimind.errors import Exit, SettingsError

_COLORS = {"ok": "green", "warn": "yellow", "fail": "red"}
_SPAN = re.compile(r"(\d{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def run(argv: Sequence[str]) -> int:
    """Print the findings; exit code 1 if one is a failure."""
    parser = options.parser(
        "doctor",
        "Check this machine, the configuration, the ports, the state folder and every server's start.",
    )
    options.add_config(parser)
    options.add_state(parser)
    options.add_json(parser)
    parser.add_argument("--no-start", action="store_true", help="do not start the servers to time them")
    parser.add_argument(
        "--since",
        metavar="SPAN",
        type=_span,
        help="instead: what went wrong in the last 4h, 30m, 2d; one row a server",
    )
    arguments = parser.parse_args(argv)
    state = settings.state_dir(arguments.state)
    if arguments.since is not None:
        from omnimind.cli import incident

        print(incident.table(state, arguments.since, arguments.json))
        return Exit.OK
    found: list[Finding] = []
    for finding in examine(arguments.config, state, _sayer(arguments), start=not arguments.no_start):
        found.append(finding)
        if not arguments.json:
            _print(finding)
    if arguments.json:
        terminal.print_json([asdict(finding) for finding in found])
    else:
        _sum_up(found)
    return Exit.FAILURE if any(finding.level == "fail" for finding in found) else Exit.OK


def examine(
    config: Path | None, state: Path, say: Callable[[str], None], *, start: bool = True
) -> Iterator[Finding]:
    """Every finding, in order."""
    from omnimind.cli.doctor import config as configuration
    from omnimind.cli.doctor import kernel, machine, ports, running
    from omnimind.cli.doctor import state as folder

    yield from _guarded("machine", lambda: machine.examine(state))
    yield from _guarded("kernel", kernel.examine)
    loaded = None
    try:
        loaded = settings.load(config, state)
    except SettingsError as error:
        yield configuration.invalid(error)
    if loaded is not None:
        yield from _guarded("configuration", lambda: configuration.examine(loaded))
        yield from _guarded("ports", lambda: ports.examine(loaded))
    yield from _guarded("state folder", lambda: folder.examine(state))
    yield from _guarded("fleet", lambda: running.examine(state))
    if loaded is not None and start:
        from omnimind.cli.doctor import starts

        yield from _guarded("starts", lambda: starts.examine(loaded, say))


def _guarded(group: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """A group's findings; a fault of ours in it is one more."""
    try:
        yield from check()
    except Exception as fault:
        detail = f"could not be checked: {type(fault).__name__}: {fault}"
        yield fail(group, detail, "report it; OMNIMIND_DEBUG=1 omnimind status may say more")


def _sayer(arguments: argparse.Namespace) -> Callable[[str], None]:
    return (lambda text: None) if arguments.json else terminal.say


def _span(text: str) -> float:
    match = _SPAN.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a span such as 90s, 30m, 4h or 2d")
    return float(int(match.group(1)) * _SECONDS[match.group(2)])


def _print(finding: Finding) -> None:
    mark = terminal.paint(f"{finding.level:<4}", _COLORS[finding.level])
    print(f"{mark}  {finding.check}: {terminal.printable(finding.detail)}")
    if finding.help:
        print(f"      help: {terminal.printable(finding.help)}")
    sys.stdout.flush()


def _sum_up(found: Sequence[Finding]) -> None:
    counts = {level: sum(finding.level == level for finding in found) for level in _COLORS}
    print(f"\n{counts['ok']} ok, {counts['warn']} to improve, {counts['fail']} wrong")
