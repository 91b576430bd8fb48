"""`omnimind call SERVER__TOOL JSON`: call one tool of the running fleet and print what it answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from omnimind import settings
from omnimind.cli import connection, options, terminal
from omnimind.errors import Exit, GatewayError, UsageError, closest


def run(argv: Sequence[str]) -> int:
    """Call a tool; exit code 5 if it answers with an error of its own."""
    parser = options.parser("call", "Call one tool of the running fleet.")
    parser.add_argument("tool", metavar="SERVER__TOOL", help="a name as omnimind list prints it")
    parser.add_argument(
        "arguments", metavar="JSON", nargs="?", default="{}", help="its arguments; - reads stdin"
    )
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=options.count, default=600, help="give up after (600)"
    )
    options.add_state(parser)
    options.add_json(parser)
    arguments = parser.parse_args(argv)
    given = json_object(arguments.arguments)
    with connection.client(settings.state_dir(arguments.state), arguments.timeout, tools="whole") as client:
        result = client.call(_tool(client.tools(), arguments.tool), given)
    if arguments.json:
        terminal.print_json(result)
    else:
        for line in texts(result):
            print(terminal.printable(line) if sys.stdout.isatty() else line)
    return Exit.TOOL_ERROR if result.get("isError") else Exit.OK


def texts(result: dict[str, Any]) -> list[str]:
    """What a result says, a text for each part."""
    found = [_part(part) for part in result.get("content", []) if isinstance(part, dict)]
    if not found and "structuredContent" in result:
        found.append(json.dumps(result["structuredContent"], indent=2, ensure_ascii=False))
    return found


def _part(part: dict[str, Any]) -> str:
    if isinstance(part.get("text"), str):
        return str(part["text"])
    resource = part.get("resource")
    if isinstance(resource, dict):
        return str(resource.get("text") or resource.get("uri"))
    if isinstance(part.get("data"), str):
        size = len(part["data"]) * 3 // 4
        return f"[{part.get('mimeType', part.get('type'))}, {size} bytes; see it with --json]"
    return str(part.get("uri") or part)


def json_object(text: str) -> dict[str, Any]:
    """Arguments as they stand on a command line; `-` is what stdin holds."""
    try:
        value = json.loads(sys.stdin.read() if text == "-" else text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            "OM0402",
            f"the arguments are not JSON: {error}",
            help='quote them for the shell: \'{"key": "value"}\'',
        ) from None
    if not isinstance(value, dict):
        raise UsageError("OM0402", "the arguments are not a JSON object", help='such as \'{"key": "value"}\'')
    return value


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _tool(tools: list[dict[str, Any]], name: str) -> dict[str, Any]:
    names = [str(tool.get("name")) for tool in tools]
    if name in names:
        return tools[names.index(name)]
    near = closest(name, names)
    raise GatewayError(
        "OM0403",
        f"there is no tool named {name}",
        help=f"did you mean {near}?" if near else "list them: omnimind list",
    )
