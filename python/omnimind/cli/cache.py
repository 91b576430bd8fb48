"""`omnimind cache stats|flush|explain`: what the gateway remembers, forgetting it, and why a request is a hit or not.

All three go to the running fleet, whose gateway has the cache; nothing is read from its files. A server that runs
alone (`omnimind serve`) has a cache of its own, which its port's `/metrics` tells of and a restart forgets.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from omnimind import settings, tokens
from omnimind.cli import cache_words, fleet, options, terminal
from omnimind.cli.logs import size
from omnimind.errors import Exit, GatewayError, UsageError

_REQUEST_BYTES = 60_000
_STORES: Final = ("ram", "compressed", "disk")
_LEVELS: Final = (*_STORES, "semantic", "predictive")
_COLORS: Final[dict[str, str]] = {"on": "green", "off": "dim"}


def run(argv: Sequence[str]) -> int:
    """Run one of stats, flush, explain; stats without any."""
    words = list(argv)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words.insert(0, "stats")
    if words[0] == "explain":
        arguments = _explain_parser().parse_intermixed_args(words[1:])
    else:
        arguments = _parser().parse_args(words)
    return int(arguments.act(settings.state_dir(arguments.state), arguments))


def _parser() -> argparse.ArgumentParser:
    parser = options.parser(
        "cache", "Show, empty and question the gateway's cache; without an action: stats."
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    stats = actions.add_parser("stats", help="how full it is, and what it did")
    stats.set_defaults(act=_stats)
    flush = actions.add_parser("flush", help="forget what one server answered, or all")
    flush.add_argument("server", metavar="SERVER", nargs="?", help="one server (default: all)")
    flush.set_defaults(act=_flush)
    actions.add_parser("explain", help="say whether a call would be answered from the cache, and why")
    for action in (stats, flush):
        options.add_state(action)
        options.add_json(action)
    return parser


def _explain_parser() -> options.Parser:
    """That of `explain`, whose options may stand anywhere."""
    parser = options.parser(
        "cache explain", "Say what would become of a call if omnimind call made it now. Nothing is called."
    )
    parser.add_argument("server", metavar="SERVER", help="a server, or SERVER__TOOL as for omnimind call")
    parser.add_argument("tool", metavar="TOOL", nargs="?", help="one of its tools")
    parser.add_argument("arguments", metavar="JSON", nargs="?", help="its arguments; - reads stdin")
    parser.add_argument(
        "--method", metavar="METHOD", help="another method, such as resources/read; JSON is its params then"
    )
    parser.add_argument(
        "--principal", metavar="NAME", default=tokens.LOCAL, help=f"whose call it is ({tokens.LOCAL})"
    )
    parser.set_defaults(act=_explain)
    options.add_state(parser)
    options.add_json(parser)
    return parser


def _ask(state: Path, request: dict[str, Any]) -> dict[str, Any]:
    return fleet.ask_gateway(state, {"cmd": "cache", **request}, "a cache")


# --- stats


def _stats(state: Path, arguments: argparse.Namespace) -> int:
    found = _ask(state, {"op": "stats"})
    if arguments.json:
        terminal.print_json(found)
        return Exit.OK
    if not found.get("on"):
        print('the cache is off: every request goes to its server ("cache": false of "gateway")')
        return Exit.OK
    levels: dict[str, dict[str, Any]] = {name: found["levels"][name] for name in _LEVELS}
    header = ("LEVEL", "STATE", "ENTRIES", "BYTES", "HITS", "MISSES", "HIT RATIO")
    print(terminal.table(header, [_level_row(name, level) for name, level in levels.items()], _COLORS))
    for name, level in levels.items():
        if (note := cache_words.note(name, level)) is not None:
            print(f"  {name}: {terminal.printable(note)}")
    counted = ("SERVER", "HITS", *map(str.upper, _STORES), "STALE", "SHARED", "MISSES", "KEPT", "CHANGES")
    print("\n" + terminal.table(counted, [_server_row(row) for row in found["servers"]]))
    if found.get("units"):
        print(
            f"at their own ports units of systemd answer, with caches of their own: {', '.join(found['units'])}"
        )
    return Exit.OK


def _level_row(name: str, level: dict[str, Any]) -> list[object]:
    if "off" in level or level.get("on") is False:
        return [name, "off", *[None] * 5]
    if "hits" not in level:
        filled = None if "bytes" not in level else size(level["bytes"])
        return [name, "on", level.get("entries"), filled, None, None, None]
    hits = level["hits"] + level["stale_hits"]
    filled = f"{size(level['bytes'])} of {size(level['max_bytes'])}"
    return [name, "on", level["entries"], filled, hits, level["misses"], _ratio(hits, level["misses"])]


def _ratio(hits: int, misses: int) -> str | None:
    return f"{100 * hits / (hits + misses):.0f} %" if hits + misses else None


def _server_row(row: dict[str, Any]) -> list[object]:
    hits = [row["hits"][store] for store in _STORES]
    counts = [row[key] for key in ("stale", "shared", "misses", "kept", "changes")]
    return [row["name"], sum(hits), *hits, *counts]


# --- flush


def _flush(state: Path, arguments: argparse.Namespace) -> int:
    found = _ask(state, {"op": "flush", "server": arguments.server})
    if arguments.json:
        terminal.print_json(found)
    else:
        print(f"flushed: {', '.join(found['flushed']) or 'nothing, no server runs'}")
    return Exit.OK


# --- explain


def _explain(state: Path, arguments: argparse.Namespace) -> int:
    from omnimind.cli import mcp_client

    server, method, params = _request(arguments)
    message = mcp_client.envelope(1, method, params)
    question = {"op": "explain", "server": server, "principal": arguments.principal, "message": message}
    found = _answer(state, question)
    if "name" in params:
        found["tool"] = str(params["name"]).removeprefix(f"{found.get('server')}__")
    help = cache_words.advice(found)
    if arguments.json:
        terminal.print_json({**found, "help": help})
        return Exit.OK
    subject = " ".join(filter(None, (found.get("server"), found.get("tool", method))))
    print(terminal.printable(f"{subject} for {arguments.principal}: {cache_words.verdict(found)}"))
    if help is not None:
        print(f"help: {terminal.printable(help)}")
    return Exit.OK


def _request(arguments: argparse.Namespace) -> tuple[str | None, str, dict[str, Any]]:
    """The server, None for the aggregate endpoint, and the request that the command line means."""
    from omnimind.cli.call import json_object

    words = [word for word in (arguments.tool, arguments.arguments) if word is not None]
    given = words.pop() if words and (words[-1] == "-" or words[-1].lstrip()[:1] in ("{", "[")) else None
    if given is None and len(words) == 2:
        given = words.pop()
    body = {} if given is None else json_object(given)
    if arguments.method is not None:
        if words:
            raise UsageError(
                "OM0100", "--method stands in place of a tool", help="see: omnimind cache explain --help"
            )
        return arguments.server, arguments.method, body
    if words:
        return arguments.server, "tools/call", {"name": words[0], "arguments": body}
    if "__" in arguments.server:
        return None, "tools/call", {"name": arguments.server, "arguments": body}
    raise UsageError(
        "OM0100",
        f"no tool of {arguments.server} is named",
        help=f"name one, or a method: omnimind cache explain {arguments.server} --method tools/list",
    )


def _answer(state: Path, question: dict[str, Any]) -> dict[str, Any]:
    import msgpack

    try:
        too_large = len(msgpack.packb(question)) > _REQUEST_BYTES
    except (OverflowError, ValueError) as fault:
        raise UsageError("OM0402", f"the arguments cannot be looked up: {fault}") from None
    if too_large:
        raise UsageError("OM0402", f"the arguments are larger than {size(_REQUEST_BYTES)}")
    found = _ask(state, question)
    if "error" in found:
        raise GatewayError(
            "OM0405", str(found["error"]), help="the tools: omnimind list; the servers: omnimind status"
        )
    return found
