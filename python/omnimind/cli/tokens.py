"""`omnimind tokens`: what each server's list of tools costs a model, and what a shorter form of it would cost.

Servers are asked at their own endpoints, one after the other; one that does not answer is named and the others count.
What a client of all of them gets is asked of `/mcp`, in each form (`?tools=`), so it is what would be sent and no sum.
With `--file` nothing is asked: a list that was saved is counted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from omnimind import settings
from omnimind.cli import connection, fleet, options, terminal
from omnimind.compression import tokens, tool_lists
from omnimind.compression.tool_lists import Costs
from omnimind.errors import Exit, GatewayError, UsageError

_NAME, _TOOL = 24, 46
"""Characters of a name that are shown, so that a line has 80 at most."""
_BAR: Final = 38
_HEAVIEST: Final = 20
_COLUMNS: Final = ("whole", "shown", "pruned", "signatures")
_PROFILES: Final = ("whole", "pruned", "signatures", "search")


@dataclass(frozen=True)
class Row:
    """A server's list."""

    name: str
    tools: list[dict[str, Any]]
    costs: Costs


@dataclass
class Found:
    """All lists, why some are missing, and what who gets them all pays by form."""

    rows: list[Row] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)
    paid: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of the list as it is sent, and of what hosts show of it."""

    def add(self, name: str, tools: list[dict[str, Any]]) -> None:
        """Raises ValueError if one is no tool."""
        self.rows.append(Row(name, tools, tool_lists.costs(tools)))

    def sum_up(self) -> None:
        def summed(form: str) -> int:
            return sum(getattr(row.costs, form) for row in self.rows)

        self.paid = {
            "whole": (summed("whole"), summed("shown")),
            "pruned": (summed("pruned"), summed("pruned_shown")),
            "signatures": (summed("signatures"), summed("signatures")),
        }


def run(argv: Sequence[str]) -> int:
    """Print what lists cost."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.file and arguments.servers:
        parser.error("name servers or a file, not both")
    found = _of_file(arguments.file) if arguments.file else _of_fleet(arguments)
    if arguments.json:
        terminal.print_json(_as_json(found))
    else:
        print(_tools(found) if arguments.tools else _lists(found))
    for name, why in found.silent.items():
        terminal.say(f"{terminal.printable(name)} is not counted: {terminal.printable(why)}")
    return Exit.OK if found.rows or not found.silent else Exit.FAILURE


def _parser() -> options.Parser:
    parser = options.parser(
        "tokens",
        "Say what each server's list of tools costs a model in tokens, and what shorter forms of it would cost.",
    )
    parser.add_argument("servers", metavar="SERVER", nargs="*", help="only these (default: all of the fleet)")
    parser.add_argument(
        "--tools", action="store_true", help="the tools that cost most, instead of the servers"
    )
    parser.add_argument(
        "--file", metavar="FILE", help="count a list saved by omnimind list --json instead; - reads stdin"
    )
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=options.count, default=60, help="give up on a server after (60)"
    )
    options.add_state(parser)
    options.add_json(parser)
    return parser


def _of_fleet(arguments: argparse.Namespace) -> Found:
    state = settings.state_dir(arguments.state)
    chosen = [fleet.server_name(state, name) for name in arguments.servers]
    found = Found()
    for name in dict.fromkeys(chosen or _names(state)):
        try:
            with connection.client(state, arguments.timeout, name, tools="whole") as client:
                found.add(name, client.tools())
        except (GatewayError, ValueError) as error:
            found.silent[name] = error.what if isinstance(error, GatewayError) else str(error)
    if chosen:
        found.sum_up()
        return found
    for profile in _PROFILES:
        with connection.client(state, arguments.timeout, tools=profile) as client:
            listed = client.tools()
        found.paid[profile] = (
            tokens.count(tool_lists.written(listed)),
            tokens.count(tool_lists.shown(listed)),
        )
    return found


def _names(state: Path) -> list[str]:
    rows = fleet.ask(state, {"cmd": "status"}).get("servers", [])
    return [str(row["name"]) for row in rows if row.get("state") != "disabled"]


def _of_file(file: str) -> Found:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        value = json.loads(text)
        for member in ("result", "tools"):
            value = value.get(member, value) if isinstance(value, dict) else value
        if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
            raise ValueError("no list of tools is in it")
        found = Found()
        found.add("stdin" if file == "-" else Path(file).name, value)
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            "OM0100",
            f"{file} cannot be counted: {why}",
            help="save a list: omnimind list --json > tools.json",
        ) from None
    found.sum_up()
    return found


def _lists(found: Found) -> str:
    rows = [
        (row.name, len(row.tools), *(getattr(row.costs, form) for form in _COLUMNS))
        for row in sorted(found.rows, key=lambda row: -row.costs.whole)
    ]
    if len(rows) != 1:
        whole, pruned, signatures = (found.paid[form] for form in ("whole", "pruned", "signatures"))
        tools = sum(len(row.tools) for row in found.rows)
        name = "/mcp" if "search" in found.paid else "all"
        rows.append((name, tools, *whole, pruned[0], signatures[0]))
    heads = ["SERVER", *_right(["TOOLS", *(form.upper() for form in _COLUMNS)])]
    cells = [[_short(name, _NAME), *_right(f"{figure:,}" for figure in figures)] for name, *figures in rows]
    return "\n\n".join(
        [
            terminal.table(heads, cells),
            "\n".join(_picture(found)),
            f"Tokens of {tokens.TOKENIZER}; models with another vocabulary count somewhat differently.\n"
            "shown (█): name, description and inputSchema alone, what a model pays whose host\n"
            "leaves out the rest (░).",
        ]
    )


def _picture(found: Found) -> Iterable[str]:
    """A bar a form, as long as what is paid for it."""
    whole, shown = found.paid["whole"]
    yield terminal.paint(f"{'FORM':<10}{'TOKENS':>9}{'':6}{'SHOWN':>9}", "dim")
    for form, (cost, seen) in found.paid.items():
        length, dark = (round(_BAR * part / whole) or bool(part) if whole else 0 for part in (cost, seen))
        bar = "█" * dark + "░" * (length - dark)
        saved = _saved(cost, whole), _saved(seen, shown)
        yield f"{form:<10}{cost:>9,}{saved[0]:>6}{seen:>9,}{saved[1]:>6}  {bar}".rstrip()


def _saved(cost: int, whole: int) -> str:
    return f"{cost / whole - 1:+.0%}" if whole and cost != whole else ""


def _tools(found: Found) -> str:
    several = len(found.rows) > 1
    costs = [
        (f"{row.name}: {tool['name']}" if several else str(tool["name"]), tool_lists.costs([tool]))
        for row in found.rows
        for tool in row.tools
    ]
    costs.sort(key=lambda one: -one[1].whole)
    everything = sum(cost.whole for _, cost in costs)
    rows = [
        [
            _short(name, _TOOL),
            *_right([f"{cost.whole:,}", f"{cost.whole / everything:.1%}", f"{cost.pruned:,}"]),
        ]
        for name, cost in costs[:_HEAVIEST]
    ]
    table = terminal.table(["TOOL", *_right(["WHOLE", "SHARE", "PRUNED"])], rows)
    rest = costs[_HEAVIEST:]
    if not rest:
        return table
    share = sum(cost.whole for _, cost in rest) / everything
    return f"{table}\nand {len(rest)} more, {share:.1%} together"


def _right(cells: Iterable[str]) -> list[str]:
    return [f"{cell:>9}" for cell in cells]


def _short(name: str, characters: int) -> str:
    return name if len(name) <= characters else name[: characters - 1] + "…"


def _as_json(found: Found) -> dict[str, Any]:
    return {
        "tokenizer": tokens.TOKENIZER,
        "exact": True,
        "servers": [
            {
                "name": row.name,
                "tokens": asdict(row.costs),
                "tools": [
                    {"name": tool["name"], "tokens": asdict(tool_lists.costs([tool]))} for tool in row.tools
                ],
            }
            for row in found.rows
        ],
        "paid": {form: {"tokens": cost, "shown": seen} for form, (cost, seen) in found.paid.items()},
        "not_counted": found.silent,
    }
