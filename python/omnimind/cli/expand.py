"""`omnimind expand HANDLE`: what was cut, byte for byte, from the originals of a state folder.

It needs no fleet. The text goes to stdout as it stands in the original; what is to be said of it goes to stderr.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence

from omnimind import settings
from omnimind.cli import options, terminal
from omnimind.compression import handles
from omnimind.errors import Exit, OmniMindError, StateError, UsageError
from omnimind.servers.principal import LOCAL


def run(argv: Sequence[str]) -> int:
    """Print an original, or a part of it."""
    arguments = _parser().parse_args(argv)
    kept = _kept(arguments)
    try:
        text = kept.data.decode()
    except UnicodeDecodeError:
        sys.stdout.buffer.write(kept.data)
        return Exit.OK
    found = _part(text, arguments)
    if arguments.json:
        about = {"handle": kept.handle, "mime": kept.mime, "source": kept.source, "until_ms": kept.until_ms}
        terminal.print_json({**about, **dataclasses.asdict(found)})
        return Exit.OK
    sys.stdout.flush()
    sys.stdout.buffer.write(found.text.encode())
    sys.stdout.buffer.flush()
    if found.found == 0:
        terminal.say("nothing was found")
    if found.next is not None:
        terminal.say(f"{found.shown:,} of {found.found:,} shown; go on with --lines {found.next}")
    return Exit.OK


def _parser() -> argparse.ArgumentParser:
    parser = options.parser(
        "expand", "Print what was cut, byte for byte: the original of a handle, or a part of it."
    )
    parser.add_argument("handle", metavar="HANDLE", help="as the first line of a cut text names it")
    parser.add_argument("--lines", metavar="A-B", help="lines as a mark says them; bytes as B1200-5300")
    parser.add_argument("--grep", metavar="RE", help="lines that match a regular expression, as line:text")
    parser.add_argument(
        "--context", metavar="N", type=options.count, default=0, help="lines around each match"
    )
    parser.add_argument("--json-path", metavar="PATH", help="values of a path, as '$.items[*].id'")
    parser.add_argument("--query", metavar="TEXT", help="the passages that answer this best")
    parser.add_argument(
        "--max-tokens", metavar="N", type=options.count, help="no more than so many tokens of it"
    )
    options.add_state(parser)
    options.add_json(parser)
    return parser


def _kept(arguments: argparse.Namespace) -> handles.Kept:
    folder = handles.folder_of(settings.state_dir(arguments.state))
    try:
        kept = handles.Originals(folder).get(LOCAL, arguments.handle)
    except OSError as error:
        raise StateError("OM0205", str(error), where=str(folder)) from error
    except ValueError as error:
        raise UsageError("OM0100", str(error)) from error
    if kept is None:
        raise OmniMindError(
            "OM0801",
            f"there is no original {arguments.handle}",
            where=str(folder),
            help="originals are kept for a day, each for the principal that was given its handle",
        )
    return kept


def _part(text: str, arguments: argparse.Namespace) -> handles.Expanded:
    lines = arguments.lines or handles.lines_of(arguments.handle)
    try:
        return handles.expand(
            text,
            at=handles.place(lines) if lines else None,
            grep=arguments.grep,
            context=arguments.context,
            json_path=arguments.json_path,
            query=arguments.query,
            max_tokens=arguments.max_tokens,
        )
    except ValueError as error:
        raise UsageError("OM0100", str(error)) from error
