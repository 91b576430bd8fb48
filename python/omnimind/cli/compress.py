"""`omnimind compress FILE`: the same facts in fewer tokens, on stdout.

It needs no fleet. Where something was left out, the original is kept for a day under the hash in the first line:
`omnimind expand` reads it, and so does the context server for a client that comes without a token.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omnimind import settings
from omnimind.cli import options, terminal
from omnimind.compression import handles, tokens
from omnimind.compression.face import Compressed, Compressor
from omnimind.errors import Exit, OmniMindError, UsageError
from omnimind.servers.principal import LOCAL

_OMISSIONS_SHOWN = 40


def run(argv: Sequence[str]) -> int:
    """Compress one file, or stdin."""
    arguments = _parser().parse_args(argv)
    text = _read(arguments.file)
    target = None if arguments.lossless else _target(arguments.budget, text)
    name = "" if arguments.file == "-" else Path(arguments.file).name
    compressed = _compressor(arguments.embeddings).compress(text, target, arguments.query, name=name)
    if arguments.json:
        terminal.print_json(_as_json(compressed))
    elif arguments.explain:
        print(_explained(compressed))
    else:
        print(compressed.content)
        terminal.say(_summary(compressed))
    if compressed.omissions:
        _keep(text, name, arguments)
    return Exit.OK


def _keep(text: bytes, name: str, arguments: argparse.Namespace) -> None:
    """Keep the original, so that what was left out can be read when the file is another one."""
    folder = handles.folder_of(settings.state_dir(arguments.state))
    try:
        handle = handles.Originals(folder).put(LOCAL, text.decode("utf-8", "replace"), source=name or "stdin")
    except OSError as error:
        terminal.say(f"the original was not kept: {error}")
        return
    if not arguments.json:
        terminal.say(f"the original is kept for a day: omnimind expand {handle[:16]}")


def _parser() -> argparse.ArgumentParser:
    parser = options.parser(
        "compress",
        "Say the same facts in fewer tokens. What is left out is marked with the lines of the file that it stood in.",
    )
    parser.add_argument("file", metavar="FILE", help="a file; - reads stdin")
    parser.add_argument(
        "--budget",
        metavar="N",
        default="25%",
        help="tokens that may be left, or how many in a hundred: 25000, 25%% (the default)",
    )
    parser.add_argument("--query", metavar="TEXT", help="what the reader wants to know")
    parser.add_argument(
        "--lossless",
        action="store_true",
        help="leave nothing out: only the shorter forms, whatever the budget",
    )
    parser.add_argument(
        "--explain", action="store_true", help="print what became of each part instead of the text"
    )
    parser.add_argument(
        "--embeddings",
        action="store_true",
        help="know sentences that say the same in other words (needs the extra `semantic`)",
    )
    options.add_state(parser)
    options.add_json(parser)
    return parser


def _compressor(embeddings: bool) -> Compressor:
    try:
        return Compressor(embeddings=embeddings)
    except (ImportError, OSError, ValueError) as refused:
        what, _, step = str(refused).partition("; ")
        raise OmniMindError("OM0802", what, help=step or "leave --embeddings out") from refused


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise UsageError(
            "OM0100", f"{file} cannot be read: {error.strerror}", help="name a file, or - for stdin"
        ) from error


def _target(budget: str, text: bytes) -> int:
    number = budget.removesuffix("%")
    if not number.isascii() or not number.isdigit():
        raise UsageError("OM0100", f"{budget} is no budget", help="give tokens (25000) or a share (25%)")
    if number == budget:
        return int(number)
    return tokens.count(text.decode("utf-8", "replace")) * int(number) // 100


def _summary(compressed: Compressed) -> str:
    before, after = compressed.tokens_before, compressed.tokens_after
    words = [f"{after:,} of {before:,} tokens ({_percent(after, before)}, {compressed.tokenizer})"]
    if compressed.missing_count:
        words.append(f"{compressed.missing_count} parts that should be kept are missing (--explain)")
    return "; ".join(words)


def _explained(compressed: Compressed) -> str:
    parts = [
        _summary(compressed),
        f"original: {compressed.handle}",
        terminal.table(
            ["KIND", "BYTES", "BEFORE", "AFTER", "KEPT", "FORM"],
            [
                [
                    block.kind,
                    f"{block.bytes[0]}-{block.bytes[1]}",
                    block.tokens_before,
                    block.tokens_after,
                    _percent(block.tokens_after, block.tokens_before),
                    block.form,
                ]
                for block in compressed.blocks
            ],
        ),
    ]
    if compressed.critical:
        kinds = [[kind, share.kept, share.total] for kind, share in compressed.critical.items()]
        parts.append(terminal.table(["CRITICAL", "KEPT", "OF"], kinds))
    if compressed.omissions:
        gaps = [
            [f"{gap.lines[0]}-{gap.lines[1]}", gap.units, gap.tokens]
            for gap in compressed.omissions[:_OMISSIONS_SHOWN]
        ]
        parts.append(terminal.table(["LEFT OUT AT LINES", "UNITS", "TOKENS"], gaps))
        if len(compressed.omissions) > _OMISSIONS_SHOWN:
            parts.append(f"and {len(compressed.omissions) - _OMISSIONS_SHOWN} more gaps")
    if compressed.missing:
        missing = [[one.why, f"{one.lines[0]}-{one.lines[1]}", one.text] for one in compressed.missing]
        parts.append(terminal.table(["MISSING", "LINES", "TEXT"], missing))
        if compressed.missing_count > len(compressed.missing):
            parts.append(f"and {compressed.missing_count - len(compressed.missing)} more")
    return "\n\n".join(parts)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _as_json(compressed: Compressed) -> dict[str, Any]:
    return {
        "content": compressed.content,
        "tokens": {"before": compressed.tokens_before, "after": compressed.tokens_after},
        "tokenizer": compressed.tokenizer,
        "exact": compressed.exact,
        "critical_info_preserved": compressed.critical_info_preserved,
        "critical": {kind: share._asdict() for kind, share in compressed.critical.items()},
        "missing": [one._asdict() for one in compressed.missing],
        "missing_count": compressed.missing_count,
        "handle": compressed.handle,
        "omissions": [gap._asdict() for gap in compressed.omissions],
        "blocks": [block._asdict() for block in compressed.blocks],
    }
