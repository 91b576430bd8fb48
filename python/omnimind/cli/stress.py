"""`omnimind stress`: calls by the clock against the running fleet or another endpoint, and a report of what came back.

The defaults are mild: 100 calls a second for ten seconds, of tools that only read. Data goes to stdout, progress to
stderr; an answer that is wrong, or a limit that does not hold, is exit code 1.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from omnimind import settings
from omnimind.cli import options, terminal
from omnimind.errors import Exit, UsageError

if TYPE_CHECKING:
    from omnimind.stress.mix import Mix
    from omnimind.stress.plan import Plan
    from omnimind.stress.report import Report
    from omnimind.stress.running import Fleet

_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}
_DEFAULT_S: Final = {"steady": 10.0, "ramp": 30.0, "spike": 30.0, "soak": 3600.0}
_CLOSED_AT_ONCE, _OPEN_AT_ONCE = 16, 1000
_LIST_PATIENCE_S: Final = 30.0
_LINE_S: Final = 10.0
"""How often a line of progress is written where it cannot be written over."""


def run(argv: Sequence[str]) -> int:
    """Run one load test; exit code 1 if an answer was wrong or a limit given does not hold."""
    arguments = parser().parse_args(argv)
    _check(arguments)
    from omnimind.stress import running

    plan, fleet = _plan(arguments)
    allow_connections()
    show = Progress(plan)
    report = running.run(plan, fleet=fleet, chaos_every_s=arguments.chaos, show=show)
    show.end()
    _write(report, arguments)
    breaches = report.breaches(arguments.max_p99, arguments.max_failed)
    for breach in breaches:
        terminal.say(f"{terminal.paint('failed', 'red', sys.stderr)}: {breach}")
    if report.interrupted:
        return Exit.INTERRUPTED
    return Exit.FAILURE if breaches else Exit.OK


def parser() -> options.Parser:
    """The options of the command."""
    from omnimind.stress import plan

    found = options.parser("stress", "Send many calls by the clock, and say how long they took.")
    target = found.add_argument_group("what is tested (default: the running fleet)")
    target.add_argument("--url", metavar="URL", help="an MCP endpoint over HTTP instead of the fleet")
    target.add_argument(
        "--token-file", metavar="FILE", type=Path, help="its bearer token (or OMNIMIND_TOKEN)"
    )
    options.add_state(target)
    load = found.add_argument_group("the load")
    load.add_argument("--rate", metavar="PER_S", type=_positive, help="calls a second (100)")
    load.add_argument(
        "--closed", action="store_true", help="instead: each caller asks again when it is answered"
    )
    load.add_argument(
        "--concurrency",
        metavar="N",
        type=options.count,
        help=f"callers of --closed ({_CLOSED_AT_ONCE}); calls in flight at most otherwise ({_OPEN_AT_ONCE})",
    )
    load.add_argument("--duration", metavar="TIME", type=_time, help="such as 30, 10m, 2h (10 s)")
    load.add_argument("--warmup", metavar="TIME", type=_time, default=2.0, help="sent, not measured (2 s)")
    profiles = "; ".join(f"{name}: {what}" for name, what in plan.PROFILES.items())
    load.add_argument("--profile", choices=tuple(plan.PROFILES), default="steady", help=profiles)
    load.add_argument(
        "--spike", metavar="TIMES", type=_positive, default=plan.SPIKE, help="times the rate (5)"
    )
    load.add_argument("--uniform", action="store_true", help="equal gaps, not those of independent callers")
    load.add_argument("--era", choices=get_args(plan.Eras), default="modern", help="protocol era (modern)")
    load.add_argument("--threads", metavar="N", type=options.count, default=1, help="threads that send (1)")
    load.add_argument(
        "--timeout", metavar="TIME", type=_time, default=10.0, help="give a call up after (10 s)"
    )
    load.add_argument("--seed", metavar="N", type=options.count, default=1, help="of gaps and choices (1)")
    calls = found.add_argument_group("the calls (default: the cheapest harmless tool of each server)")
    calls.add_argument("--mix", metavar="FILE", type=Path, help="JSON; docs/stress.md shows one")
    calls.add_argument("--tool", metavar="NAME", help="one tool, as the endpoint names it")
    calls.add_argument("--arguments", metavar="JSON", help="its arguments ({})")
    calls.add_argument("--no-cache", action="store_true", help="ask for answers that are not from memory")
    found.add_argument(
        "--chaos",
        metavar="TIME",
        type=_time,
        nargs="?",
        const=5.0,
        help="kill -9 a worker of the fleet every so often (5 s) meanwhile",
    )
    out = found.add_argument_group("what is found")
    out.add_argument("--json", metavar="FILE", type=Path, help="everything as JSON; - is stdout")
    out.add_argument("--html", metavar="FILE", type=Path, help="a page with curves that loads nothing")
    out.add_argument("--png", metavar="FILE", type=Path, help="one picture (needs the extra png)")
    out.add_argument("--max-p99", metavar="MS", type=_positive, help="exit code 1 if p99 is above")
    out.add_argument("--max-failed", metavar="PERCENT", type=_number, help="exit code 1 if more fails")
    return found


def _check(arguments: argparse.Namespace) -> None:
    """What the parser cannot see: options that do not go together."""
    both = (
        (arguments.closed and arguments.rate, "--closed has no --rate: its callers set the pace"),
        (
            arguments.closed and arguments.profile in ("ramp", "spike"),
            f"--profile {arguments.profile} changes the rate, and --closed has none",
        ),
        (arguments.mix and arguments.tool, "--mix and --tool both say what to call"),
        (arguments.arguments and not arguments.tool, "--arguments needs --tool"),
        (
            arguments.url and arguments.chaos is not None,
            "--chaos kills workers of the running fleet, which --url is not",
        ),
        (arguments.concurrency == 0, "--concurrency must be at least 1"),
        (not 0 < (arguments.duration or 1) <= 7 * 86400, "--duration is from a moment to 168h"),
        (arguments.timeout == 0, "--timeout must be above 0"),
    )
    for wrong, why in both:
        if wrong:
            raise UsageError("OM0100", why, help="see: omnimind stress --help")
    if arguments.png:
        from omnimind.pictures import png

        png.need()


def _plan(arguments: argparse.Namespace) -> tuple[Plan, Fleet | None]:
    """The plan, and the fleet if it is one of this machine."""
    from omnimind.stress.plan import Plan

    url, token, servers, fleet = _target(arguments)
    at_once = _CLOSED_AT_ONCE if arguments.closed else _OPEN_AT_ONCE
    plan = Plan(
        url=url,
        token=token,
        mix=_mix(arguments, url, token, servers),
        rate_per_s=None if arguments.closed else arguments.rate or 100.0,
        concurrency=arguments.concurrency or at_once,
        duration_s=arguments.duration or _DEFAULT_S[arguments.profile],
        warm_up_s=arguments.warmup,
        profile=arguments.profile,
        spike=arguments.spike,
        arrivals="uniform" if arguments.uniform else "poisson",
        eras=arguments.era,
        threads=arguments.threads,
        timeout_s=arguments.timeout,
        seed=arguments.seed,
        no_store=arguments.no_cache,
    )
    return plan, fleet


def _target(arguments: argparse.Namespace) -> tuple[str, str | None, list[str], Fleet | None]:
    """Endpoint, token, the names of its servers, and the fleet."""
    from omnimind import tokens
    from omnimind.cli import connection
    from omnimind.cli import fleet as control
    from omnimind.stress.mix import token_of
    from omnimind.stress.running import Fleet

    given = (
        token_of(arguments.token_file) if arguments.token_file else os.environ.get(connection.TOKEN_VARIABLE)
    )
    if arguments.url:
        return arguments.url, given, [], None
    state = settings.state_dir(arguments.state)
    record = control.need(state)
    token = given or (tokens.local_token(state) if record.token_file else None)

    def status() -> Mapping[str, Any]:
        return control.ask(state, {"cmd": "status"})

    servers = [str(row["name"]) for row in status().get("servers", ()) if isinstance(row, dict)]
    return connection.endpoint(record), token, servers, Fleet(status)


def _mix(arguments: argparse.Namespace, url: str, token: str | None, servers: list[str]) -> Mix:
    from omnimind.cli.mcp_client import Client
    from omnimind.stress import mix

    if arguments.mix:
        return mix.read(arguments.mix, servers)
    if arguments.tool:
        from omnimind.cli.call import json_object

        words = json.dumps(json_object(arguments.arguments)) if arguments.arguments else "{}"
        return mix.Mix((mix.Call(arguments.tool, mix.server_of(arguments.tool, servers), words),))
    # A fleet may list its tools without what they say of themselves; other servers read no query.
    whole = url if "?" in url else f"{url}?tools=whole"
    with Client(whole, token, _LIST_PATIENCE_S) as client:
        return mix.harmless(client.tools(), servers)


def allow_connections() -> None:
    """As many open files as this process may have: every call in flight has a connection of its own."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Progress:
    """One line on a terminal that is written over; elsewhere a line now and then."""

    def __init__(self, plan: Plan, label: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._plan = plan
        self._label = f"{label}  " if label else ""
        self._clock = clock
        self._on_terminal = sys.stderr.isatty()
        self._last: Mapping[str, Any] = {"elapsed_s": 0.0, "right": 0}
        self._next_line_s = clock() + _LINE_S

    def __call__(self, seen: Mapping[str, Any]) -> None:
        """Show how far it is."""
        if self._on_terminal:
            sys.stderr.write(f"\r{self._line(seen):<79}")
            sys.stderr.flush()
        elif self._clock() >= self._next_line_s:
            self._next_line_s += _LINE_S
            terminal.say(self._line(seen))
        else:
            return
        self._last = seen

    def _line(self, seen: Mapping[str, Any]) -> str:
        from omnimind.stress import text

        since_s = seen["elapsed_s"] - self._last["elapsed_s"]
        rate = (seen["right"] - self._last["right"]) / since_s if since_s > 0 else 0.0
        whole_s = self._plan.warm_up_s + self._plan.duration_s
        ms = seen["latency_ms"]
        times = f"p50 {text.time(ms['p50'])} p99 {text.time(ms['p99'])} ms" if ms["max"] else "warming up"
        late = f", late {text.time(seen['lag_ms']['p99'])} ms" if seen["lag_ms"]["p99"] > 1 else ""
        far = f"{self._label}{seen['elapsed_s']:.0f}/{whole_s:.0f} s"
        return f"{far}  {rate:,.0f}/s  {times}  {seen['failed']:,} failed{late}"

    def end(self) -> None:
        """Wipe the line."""
        if self._on_terminal:
            sys.stderr.write(f"\r{'':<79}\r")
            sys.stderr.flush()


def _write(report: Report, arguments: argparse.Namespace) -> None:
    """The report to where it was asked for; text on stdout unless that is for JSON."""
    from omnimind.stress import page, text

    to_stdout = arguments.json is not None and str(arguments.json) == "-"
    if to_stdout:
        terminal.print_json(report.as_json())
    else:
        print(terminal.printable(text.render(report)), end="")
        if arguments.json:
            _save(arguments.json, json.dumps(report.as_json(), indent=1, ensure_ascii=False) + "\n")
    if arguments.html:
        _save(arguments.html, page.render(report))
    if arguments.png:
        from omnimind.pictures import png
        from omnimind.stress import picture

        _save(arguments.png, png.render(picture.render(report)))


def _save(file: Path, what: str | bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(what.encode() if isinstance(what, str) else what)
    except OSError as error:
        raise UsageError(
            "OM0100",
            f"the report cannot be written: {error.strerror or error}",
            where=str(file),
            help="name a file in a folder that is yours",
        ) from None
    terminal.say(f"written: {file}")


def _time(text: str) -> float:
    """Seconds: a number, perhaps with s, m or h."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)([smh]?)", text, re.ASCII)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time: such as 30, 1.5, 10m or 2h")
    return float(found[1]) * _SECONDS[found[2]]


def _number(text: str) -> float:
    """A number from 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0")
    return value


def _positive(text: str) -> float:
    """A number above 0."""
    value = _number(text)
    if not value:
        raise argparse.ArgumentTypeError("it must be above 0")
    return value
