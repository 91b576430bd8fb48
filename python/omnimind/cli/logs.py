"""`omnimind logs [SERVER] [-f]`: what servers wrote to stderr, from the files of the state folder.

All servers merged by time where none is named. `--reset` removes what was logged: through the fleet where one
runs, because it holds the files open, else directly.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omnimind import catalog, settings
from omnimind.cli import fleet, logview, options, terminal
from omnimind.errors import Exit, FleetError, NoFleetError, UsageError, closest
from omnimind.logfiles import moments, segments

_POLL_S = 0.1
_NEW_LOGS_S = 1.0
_LINES = 100


def run(argv: Sequence[str]) -> int:
    """Print logs, and follow them with -f."""
    parser = options.parser("logs", "Show what servers wrote to stderr. Times are UTC.")
    parser.add_argument(
        "name", metavar="SERVER", nargs="?", help="one server, or gateway, orchestrator, zygote"
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    parser.add_argument(
        "-n",
        "--lines",
        metavar="N",
        type=options.count,
        help=f"how many (default: {_LINES}; all with --since)",
    )
    parser.add_argument("--since", metavar="WHEN", type=_moment, help="such as 10m, 4h, 2d, 2026-11-22T10:00")
    parser.add_argument("--grep", metavar="REGEX", type=_pattern, help="only lines that hold this")
    parser.add_argument("--reset", action="store_true", help="remove what was logged so far")
    options.add_state(parser)
    options.add_json(parser)
    arguments = parser.parse_args(argv)
    state = settings.state_dir(arguments.state)
    if arguments.reset:
        if arguments.follow or arguments.since or arguments.grep:
            raise UsageError("OM0100", "--reset goes alone", help="see: omnimind logs --help")
        return _reset(state, arguments.name, arguments.json)
    names = [find(state, arguments.name)] if arguments.name is not None else segments.names(state / "logs")
    if not names and not arguments.follow:
        terminal.say(f"nothing is logged yet in {state / 'logs'}")
    _show(state / "logs", names, arguments)
    return Exit.OK


def find(state: Path, name: str) -> str:
    """The log that is meant; raises with a suggestion if there is none."""
    known = segments.names(state / "logs")
    for wanted in (name, catalog.canonical(name)):
        if wanted in known:
            return wanted
    known = sorted({*known, *_silent(state)})
    for wanted in (name, catalog.canonical(name)):
        if wanted in known:
            terminal.say(f"{wanted} has written nothing yet")
            return wanted
    near = closest(name, known)
    raise FleetError(
        "OM0203",
        f"there is no log of {name}",
        where=str(state / "logs"),
        help=f"did you mean {near}?" if near else f"there are logs of: {', '.join(known) or 'nothing yet'}",
    )


def _silent(state: Path) -> list[str]:
    """Servers of a running fleet, whether they wrote something or not."""
    try:
        rows = fleet.ask(state, {"cmd": "status"}, 2.0).get("servers", [])
    except FleetError:
        return []
    except NoFleetError:
        return []
    return [str(row.get("name")) for row in rows if isinstance(row, dict)]


# --- showing


def _show(folder: Path, names: Sequence[str], arguments: argparse.Namespace) -> None:
    after = segments.stamp_of(arguments.since) if arguments.since else b""
    keep = logview.matching(arguments.grep)
    most = arguments.lines if arguments.lines is not None else None if arguments.since else _LINES
    write = _as_json if arguments.json else _Writer(names, arguments.name is None).write
    logs = {name: logview.Log(folder / f"{name}.log") for name in names}
    try:
        write(logview.history(list(logs.values()), most, after, keep))
        if arguments.follow:
            sys.stdout.flush()
            _follow(folder, logs, arguments.name is None, lambda lines: write(filter(keep, lines)))
    finally:
        for log in logs.values():
            log.close()


def _follow(
    folder: Path, logs: dict[str, logview.Log], all_of_them: bool, write: Callable[[Iterable[bytes]], None]
) -> None:
    looked_s = time.monotonic()
    while True:
        fresh = sorted((line for log in logs.values() for line in log.fresh()), key=segments.stamp)
        write(fresh)
        sys.stdout.flush()
        time.sleep(0.0 if fresh else _POLL_S)
        if all_of_them and time.monotonic() - looked_s >= _NEW_LOGS_S:
            looked_s = time.monotonic()
            for name in segments.names(folder):
                if name not in logs:
                    logs[name] = log = logview.Log(folder / f"{name}.log")
                    write(log.forward(b""))


def _as_json(lines: Iterable[bytes]) -> None:
    for line in lines:
        print(line.decode("utf-8", "replace"))


class _Writer:
    """Lines for people: the time, the server where there are several, the text."""

    def __init__(self, names: Sequence[str], with_name: bool) -> None:
        self._width = max(map(len, names), default=0) if with_name else None
        self._today = datetime.now(UTC).date().isoformat()

    def write(self, lines: Iterable[bytes]) -> None:
        """Print them."""
        for line in lines:
            entry = logview.fields(line)
            if entry is None or "line" not in entry:
                print(terminal.printable(line.decode("utf-8", "replace")))
                continue
            stamp, text = str(entry.get("time")), terminal.printable(str(entry["line"]))
            shown = stamp[11:23] if stamp.startswith(self._today) else stamp[:23].replace("T", " ")
            parts = [terminal.paint(shown, "dim")]
            if self._width is not None:
                name = terminal.printable(str(entry.get("server")))
                parts.append(terminal.paint(f"{name:<{self._width}}", "bold"))
            print(*parts, text)


# --- emptying


def _reset(state: Path, name: str | None, as_json: bool) -> int:
    wanted = None if name is None else find(state, name)
    try:
        removed = fleet.ask(state, {"cmd": "logs-reset", "server": wanted})["removed"]
    except NoFleetError:
        if fleet.holder(state) is not None:
            raise FleetError(
                "OM0204", "the fleet is still starting or stopping", help="try again in a moment"
            ) from None
        live = None if wanted is None else [f"{wanted}.log"]
        gone = segments.remove(state / "logs", live)
        removed = [{"name": each.name, "files": each.files, "bytes": each.bytes} for each in gone]
    if as_json:
        terminal.print_json({"removed": removed})
    else:
        _say_removed(removed)
    return Exit.OK


def _say_removed(removed: Sequence[dict[str, Any]]) -> None:
    if not removed:
        print("there was nothing to remove")
        return
    rows = [(row["name"], row["files"], size(row["bytes"])) for row in removed]
    print(terminal.table(["LOG", "FILES", "SIZE"], rows))
    total = sum(row["bytes"] for row in removed)
    print(f"removed {sum(row['files'] for row in removed)} files, {size(total)}")


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _moment(text: str) -> datetime:
    try:
        return moments.since(text, datetime.now(UTC))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a span such as 10m, 4h, 2d nor a time such as 2026-11-22T10:00"
        ) from None


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as fault:
        raise argparse.ArgumentTypeError(f"{text!r} is not a regular expression: {fault}") from None
