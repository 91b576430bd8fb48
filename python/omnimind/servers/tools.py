"""What the `server.py` of every server shares: how a server is made, how work leaves the event loop, and
what a result looks like.

Results keep the shape of the reference servers' results: text in `content`, the same as data in
`structuredContent`. Sending a large text twice costs bandwidth and, in many clients, tokens; so above
`STRUCTURED_BYTES` a text goes once, in `content`, and `_meta` says so. Data is printed without spaces.
"""

from __future__ import annotations

import functools
import inspect
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, get_args

import anyio.from_thread
import anyio.to_thread
from mcp.server import MCPServer
from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import FuncMetadata
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_REQUEST, CallToolResult, ContentBlock, TextContent, ToolAnnotations
from pydantic import ValidationError

from omnimind import __version__
from omnimind.servers import announce, depends, principal
from omnimind.servers.problem import Problem

if TYPE_CHECKING:
    from omnimind.servers import ServerContext

STRUCTURED_BYTES: Final = 64 * 1024
PROGRESS_S: Final = 0.25

READS: Final = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
ADDS: Final = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
)
ENSURES: Final = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
CHANGES: Final = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=False
)
REPLACES: Final = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
)

_ERRORS = 10
_LISTS_HINT = CacheHint(ttl_ms=300_000, scope="public")  # what is listed depends on no caller and no time

P = ParamSpec("P")
T = TypeVar("T")


class Toolbox:
    """The tools of one server, collected before the server is made.

    Two things happen to each on the way: a `Problem` becomes an error result with its own words, and its
    schema loses what says nothing to a model (generated titles, docstrings of our classes, `null` defaults),
    because every list of tools is paid for in tokens.
    """

    def __init__(self) -> None:
        self.tools: list[Tool] = []

    def tool(
        self, title: str, annotations: ToolAnnotations, rests_on: depends.Basis | None = None
    ) -> Callable[[Callable[P, Awaitable[CallToolResult]]], Callable[P, Awaitable[CallToolResult]]]:
        """Register a function under its own name, described by its docstring. `rests_on` says of a tool that only
        reads what its answers depend on (see `depends`); without it none of them is ever kept."""

        def register(
            function: Callable[P, Awaitable[CallToolResult]],
        ) -> Callable[P, Awaitable[CallToolResult]]:
            @functools.wraps(function)
            async def answer(*args: P.args, **kwargs: P.kwargs) -> CallToolResult:
                depends.rests_on(rests_on)
                try:
                    return await function(*args, **kwargs)
                except Problem as problem:
                    return CallToolResult(content=[_text(str(problem))], is_error=True)

            tool = _Tool.from_function(
                answer,
                title=title,
                description=" ".join((inspect.getdoc(function) or "").split()),
                annotations=annotations,
            )
            tool.fn_metadata = _Arguments(
                arg_model=tool.fn_metadata.arg_model,
                output_schema=tool.fn_metadata.output_schema,
                output_model=tool.fn_metadata.output_model,
                wrap_output=tool.fn_metadata.wrap_output,
            )
            tool.parameters = _tidy(tool.parameters)
            if tool.fn_metadata.output_schema is not None:
                tool.fn_metadata.output_schema = _tidy(tool.fn_metadata.output_schema)
            self.tools.append(tool)
            return answer

        return register


class _Arguments(FuncMetadata):
    """Takes a list or an object also as JSON in a text, as the SDK does for clients that send them so; but where a
    text is asked for, a text stays one: `null` is a word to look for, and `[1]` a thing to remember."""

    def pre_parse_json(self, data: dict[str, Any]) -> dict[str, Any]:
        fields = {field.alias or name: field for name, field in self.arg_model.model_fields.items()}
        parsed = super().pre_parse_json(data)
        return {
            name: given
            if isinstance(given, str) and name in fields and str in get_args(fields[name].annotation)
            else parsed[name]
            for name, given in data.items()
        }


class _Tool(Tool):
    """A tool that says in one line which argument is wrong, and how.

    Arguments that it does not know are ignored, as by the reference servers; but `dry_run` where `dryRun` was meant
    would change a file that was not to be changed, so a parameter in another spelling is refused.
    """

    async def run(
        self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False
    ) -> Any:
        if misspelt := _misspelt(arguments, self.parameters["properties"]):
            text = f"Input validation error: invalid arguments for {self.name}: {misspelt}"
            return CallToolResult(content=[_text(text)], is_error=True)
        try:
            return await super().run(arguments, context, convert_result)
        except ToolError as refusal:
            if not isinstance(refusal.__cause__, ValidationError):
                raise
            wrong = refusal.__cause__.errors(include_url=False, include_input=False, include_context=False)
            said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in wrong[:_ERRORS])
            text = f"Input validation error: invalid arguments for {self.name}: {said}"
            return CallToolResult(content=[_text(text)], is_error=True)


def _misspelt(arguments: Iterable[str], parameters: Iterable[str]) -> str:
    spellings = {_folded(name): name for name in parameters}
    meant = [(name, spellings.get(_folded(name), name)) for name in arguments]
    return "; ".join(
        f"{name}: there is no such parameter, {one} is meant" for name, one in meant if name != one
    )


def _folded(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")


def _tidy(schema: Any) -> Any:
    """A JSON schema without generated titles, and with `T` where it said `T or null, by default null`."""
    if isinstance(schema, list):
        return [_tidy(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    noise = ("title", "description") if "properties" in schema else ("title",)
    kept = {key: value for key, value in schema.items() if not (key in noise and isinstance(value, str))}
    choices = kept.get("anyOf")
    if kept.get("default", ...) is None and isinstance(choices, list) and {"type": "null"} in choices:
        others = [choice for choice in choices if choice != {"type": "null"}]
        del kept["default"], kept["anyOf"]
        kept = {**others[0], **kept} if len(others) == 1 else {**kept, "anyOf": others}
    return {
        key: {name: _tidy(part) for name, part in value.items()}
        if key in ("properties", "$defs") and isinstance(value, dict)
        else _tidy(value)
        for key, value in kept.items()
    }


def new_server(
    context: ServerContext, toolbox: Toolbox, *, title: str, instructions: str
) -> MCPServer[dict[str, Any]]:
    """The SDK server with these tools. It serves no subscriptions unless `changes` adds them."""
    return MCPServer(
        context.name,
        title=title,
        instructions=instructions,
        version=__version__,
        log_level="WARNING",
        tools=toolbox.tools,
        subscriptions=False,
        middleware=[_Served(toolbox.tools)],
        cache_hints={
            "server/discover": _LISTS_HINT,
            "tools/list": _LISTS_HINT,
            "prompts/list": _LISTS_HINT,
            "resources/list": _LISTS_HINT,
            "resources/templates/list": _LISTS_HINT,
        },
    )


async def in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run blocking domain code beside the event loop."""
    return await anyio.to_thread.run_sync(functools.partial(call, *args, **kwargs))


def stop_if_cancelled() -> None:
    """For long loops inside `in_thread`: raises when the caller has gone away."""
    anyio.from_thread.check_cancelled()


def progress_of(ctx: Context[Any, Any], what: str) -> Callable[[int], None]:
    """For long loops inside `in_thread`: called with a growing count, it tells the caller a few times a second
    how far the work is, and raises when the caller has gone away."""
    told = time.monotonic()

    def check(count: int) -> None:
        nonlocal told
        stop_if_cancelled()
        now = time.monotonic()
        if now - told >= PROGRESS_S:
            told = now
            anyio.from_thread.run(ctx.report_progress, count, None, f"{count:,} {what}")

    return check


def caller() -> str:
    """The principal of the call being served."""
    try:
        return principal.current()
    except principal.UnknownPrincipalError as missing:
        raise MCPError(code=INVALID_REQUEST, message=str(missing)) from missing


def role() -> principal.Role:
    """Whether the call being served is an operator's: others are shown nothing but their own."""
    return principal.role()


class _Served:
    """Stands around every request: whose it is, what its answer depends on, and who hears that it changed data."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._readers = frozenset(
            tool.name for tool in tools if tool.annotations and tool.annotations.read_only_hint
        )

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        principal.note(ctx.params)
        if not principal.connection_is_trusted() or ctx.method not in ("tools/call", "resources/read"):
            return await call_next(ctx)
        evidence = depends.collect()
        try:
            return _with_evidence(await call_next(ctx), evidence)
        finally:
            if ctx.method == "tools/call" and (ctx.params or {}).get("name") not in self._readers:
                announce.changed()
            if evidence.others_wrote:
                announce.changed(everybody=True)


def _with_evidence(result: HandlerResult, evidence: depends.Evidence) -> HandlerResult:
    """The answer with the stamps of what it depends on, if it is a whole one and they are known."""
    stamps = evidence.stamps()
    if stamps is None or not isinstance(result, dict) or result.get("isError"):
        return result
    if result.get("resultType", "complete") != "complete":
        return result
    return {**result, "_meta": {**(result.get("_meta") or {}), depends.META_KEY: stamps}}


def text_result(text: str) -> CallToolResult:
    """A text as the reference servers send it: as content, and as `{content: text}` while it is small."""
    return content_result([_text(text)], text, len(text))


def content_result(blocks: list[ContentBlock], structured: Any, size: int) -> CallToolResult:
    """Content blocks, with `{content: structured}` beside them while `size` is small."""
    if size <= STRUCTURED_BYTES:
        return CallToolResult(content=blocks, structured_content={"content": structured})
    note = f"omitted: more than {STRUCTURED_BYTES:,} bytes; all of it is in content"
    return CallToolResult(content=blocks, _meta={"omnimind/structuredContent": note})


def data_result(data: dict[str, Any], shown: Any = None) -> CallToolResult:
    """Data as structured content; `shown` (default: the data) is what a text-only client gets, as JSON."""
    shown = data if shown is None else shown
    text = shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
    return CallToolResult(content=[_text(text)], structured_content=data)


def _text(text: str) -> TextContent:
    return TextContent(type="text", text=text)
