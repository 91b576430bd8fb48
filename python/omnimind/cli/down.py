"""`omnimind down`: stop the fleet and wait until it is gone; with `--stale`, clear up after earlier runs.

A fleet that does not answer, because it still starts or hangs, is asked by a signal to its guard, whose
identity the lock file proves. `--stale` needs no configuration and leaves a running fleet alone.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from omnimind import settings
from omnimind.cli import fleet, options, terminal
from omnimind.errors import Exit, FleetError, OmniMindError

if TYPE_CHECKING:
    from omnimind.cli import leftovers

_POLL_S = 0.05
_NEWS_S = 2.0
_ANSWER_S = 10.0
_HURRY_S = 1.0
DEFAULT_TIMEOUT_S = 60
GUARD_NAME = "omnimind-guard"


def run(argv: Sequence[str]) -> int:
    """Stop the fleet, or clear up."""
    parser = options.parser("down", "Stop the running fleet and wait until it is gone.")
    options.add_state(parser)
    options.add_json(parser)
    parser.add_argument("--now", action="store_true", help="do not wait for calls in flight")
    parser.add_argument(
        "--stale",
        action="store_true",
        help="instead: end what earlier runs left, remove stale sockets, name who else holds ports 4320-4330",
    )
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=options.count, default=DEFAULT_TIMEOUT_S, help="how long to wait"
    )
    arguments = parser.parse_args(argv)
    state = settings.state_dir(arguments.state)
    if arguments.stale:
        return _clear(state, arguments.json)
    took_s = stop(state, arguments.timeout, now=arguments.now)
    if arguments.json:
        terminal.print_json({"stopped": True, "seconds": round(took_s, 3)})
    else:
        terminal.say("stopped")
    return Exit.OK


def stop(state: Path, timeout_s: float, *, now: bool = False) -> float:
    """Stop the fleet of a state folder; how long that took. Raises FleetError if it goes on."""
    guard = fleet.holder(state)
    began_s = time.monotonic()
    _ask(state, guard, now)
    news_s, nudge_s = began_s + _NEWS_S, time.monotonic() + _HURRY_S
    while guard is not None and fleet.holder(state) == guard:
        if time.monotonic() - began_s > timeout_s:
            raise FleetError(
                "OM0204",
                f"the fleet still runs after {timeout_s:g} s",
                where=f"its guard is pid {guard[0]}",
                help="see what it waits for: omnimind status; do not wait for calls: omnimind down --now",
            )
        if now and time.monotonic() > nudge_s:
            nudge_s += _HURRY_S  # the guard ends at once what was asked often enough
            _signal_guard(state, guard)
        if time.monotonic() > news_s:
            news_s += _NEWS_S
            terminal.say(f"still running: {_waiting_for(state)}")
        time.sleep(_POLL_S)
    return time.monotonic() - began_s


def _ask(state: Path, guard: tuple[int, int] | None, now: bool) -> None:
    try:
        fleet.ask(state, {"cmd": "stop"}, timeout_s=_HURRY_S if now else _ANSWER_S)
    except OmniMindError:
        # Starting, hanging or alone without its orchestrator: the guard itself listens to signals.
        if guard is None or not _signal_guard(state, guard):
            raise
    if now and guard is not None:
        for _ in range(2):
            _signal_guard(state, guard)
            time.sleep(_POLL_S)


def _signal_guard(state: Path, guard: tuple[int, int]) -> bool:
    """SIGTERM to the fleet's guard, if the process that wrote the lock file is one and holds the lock."""
    from omnimind.linux import pidfd, proc

    found = proc.read(guard[0])
    is_guard = found is not None and found.name == GUARD_NAME
    if not is_guard or not _is_locked(state):
        return False
    pidfd.send(*guard, signal.SIGCONT)  # one that was stopped hears nothing
    return pidfd.send(*guard, signal.SIGTERM)


def _is_locked(state: Path) -> bool:
    try:
        with open(state / fleet.LOCK_FILE, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _waiting_for(state: Path) -> str:
    try:
        answer = fleet.ask(state, {"cmd": "status"}, timeout_s=1.0)
    except OmniMindError:
        return "the last processes"
    rows = [answer.get("gateway"), *answer.get("servers", [])]
    names = [
        str(row.get("name", "gateway"))
        for row in rows
        if isinstance(row, dict) and row.get("state") not in ("stopped", "disabled")
    ]
    return ", ".join(names) or "the last processes"


def _clear(state: Path, as_json: bool) -> int:
    from omnimind.cli import leftovers

    done = leftovers.clear(state)
    if as_json:
        terminal.print_json({"state_dir": os.fspath(state), **asdict(done)})
    else:
        _print(state, done)
    return Exit.FAILURE if done.left else Exit.OK


def _print(state: Path, done: leftovers.Survey) -> None:
    for left in done.processes:
        print(f"ended {terminal.printable(left.name)} (pid {left.pid}), left by an earlier run")
    for path in done.sockets:
        print(f"removed the stale socket {path}")
    for left in done.left:
        print(
            f"could not end {terminal.printable(left.name)} (pid {left.pid}); help: kill it as its user, or as root"
        )
    for stranger in done.strangers:
        who = "a process of another user" if stranger.pid is None else f"{stranger.name} (pid {stranger.pid})"
        print(
            f"port {stranger.port} is held by {terminal.printable(who)}, which is not this fleet's: left alone"
        )
    if not done.processes and not done.sockets and not done.left:
        print(f"nothing is left of earlier runs in {state}")
    if done.fleet_pid is not None:
        print(f"a fleet runs here (pid {done.fleet_pid}) and goes on; stop it with: omnimind down")
