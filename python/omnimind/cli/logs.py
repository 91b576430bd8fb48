"""`omnimind logs NAME [-f]`: what a server wrote to stderr, from its log file in the state folder."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from omnimind import catalog, settings
from omnimind.cli import options, terminal
from omnimind.errors import Exit, FleetError, closest

_POLL_S = 0.1


def run(argv: Sequence[str]) -> int:
    """Print the last lines of a log, and follow it with -f."""
    parser = options.parser("logs", "Show what a server wrote to stderr.")
    parser.add_argument("name", metavar="NAME", help="a server, or gateway or zygote")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    parser.add_argument("-n", "--lines", metavar="N", type=options.count, default=100, help="how many (100)")
    options.add_state(parser)
    options.add_json(parser)
    arguments = parser.parse_args(argv)
    path = find(settings.state_dir(arguments.state) / "logs", arguments.name)
    with path.open("rb") as file:
        for raw in deque(file, maxlen=arguments.lines):
            _show(raw, arguments.json)
        if arguments.follow:
            sys.stdout.flush()
            for raw in follow(path, file.tell(), os.fstat(file.fileno()).st_ino):
                _show(raw, arguments.json)
                sys.stdout.flush()
    return Exit.OK


def find(folder: Path, name: str) -> Path:
    """The log of a server; raises with a suggestion if there is none."""
    known = sorted(path.stem for path in folder.glob("*.log"))
    for wanted in (name, catalog.canonical(name)):
        if wanted in known:
            return folder / f"{wanted}.log"
    near = closest(name, known)
    raise FleetError(
        "OM0203",
        f"there is no log of {name}",
        where=str(folder),
        help=f"did you mean {near}?" if near else f"there are logs of: {', '.join(known) or 'nothing yet'}",
    )


def follow(path: Path, offset: int, inode: int) -> Iterator[bytes]:
    """New whole lines of a file, for ever; goes on with the new file when it is rotated."""
    pending = b""
    while True:
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                if status.st_ino != inode or status.st_size < offset:
                    offset, inode, pending = 0, status.st_ino, b""
                file.seek(offset)
                fresh = file.read(1 << 20)
                offset += len(fresh)
        except FileNotFoundError:
            fresh = b""
        *lines, pending = (pending + fresh).split(b"\n")
        yield from lines
        if not fresh:
            time.sleep(_POLL_S)


def _show(raw: bytes, as_json: bool) -> None:
    text = raw.decode("utf-8", "replace").rstrip("\n")
    if as_json:
        print(text)
        return
    try:
        entry = json.loads(text)
        stamp, line = str(entry["time"]), str(entry["line"])
    except (ValueError, KeyError, TypeError):
        print(terminal.printable(text))
        return
    print(f"{terminal.paint(stamp[11:23], 'dim')} {terminal.printable(line)}")
