"""The decorator: a function that yields becomes a tool, or a resource, that answers a page.

The first call runs the producer and answers its first page with a cursor; a call with the cursor goes on with the same
run, if it is still alive, and else runs the producer anew: after what it gave last, if the producer can be told
(`resume`), or past what was given before. So nothing is lost when a run ends; a cursor costs nothing but its signature.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import secrets
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Final, Generic, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BaseModel, Field

from omnimind.servers import principal as callers
from omnimind.servers.streaming.cursors import KEY_BYTES, Mark, bound_to, seal, unseal
from omnimind.servers.streaming.live import Items, Live, Shelf, Sleep

T = TypeVar("T")
P = ParamSpec("P")

PAGE_ITEMS: Final = 100
IDLE_S: Final = 30.0
CURSOR_S: Final = 24 * 3600
MOST_LIVE: Final = 64
AFTER: Final = "after"

Cursor = Annotated[
    str | None, Field(description="The `cursor` of an earlier result, with the same other arguments")
]


class Page(BaseModel, Generic[T]):
    """Some items of a longer list."""

    items: list[T]
    cursor: str | None = None
    """What to ask for the next page with; None: there is none."""


@dataclass(frozen=True, slots=True)
class _Settings:
    page_items: int
    idle_s: float
    cursor_s: float
    key: bytes
    resume: Callable[[Any], Any] | None
    principal: Callable[[], str]
    clock: Callable[[], float]
    sleep: Sleep


def stream(
    *,
    page_items: int = PAGE_ITEMS,
    idle_s: float = IDLE_S,
    cursor_s: float = CURSOR_S,
    max_live: int = MOST_LIVE,
    key: bytes | None = None,
    resume: Callable[[Any], Any] | None = None,
    principal: Callable[[], str] = callers.current,
    clock: Callable[[], float] = time.time,
    sleep: Sleep = asyncio.sleep,
) -> Callable[[Callable[P, Items[T] | Awaitable[Items[T]]]], Callable[..., Awaitable[Page[T]]]]:
    """See `omnimind.stream`. `clock` tells seconds since 1970, `sleep` waits; both are for tests."""
    if page_items < 1 or max_live < 1 or not idle_s > 0 or not cursor_s > 0:
        raise ValueError("page_items and max_live must be at least 1, idle_s and cursor_s above 0")
    if key is not None and len(key) < KEY_BYTES:
        raise ValueError(f"a key must have {KEY_BYTES} bytes or more, got {len(key)}")
    sealing = secrets.token_bytes(KEY_BYTES) if key is None else key
    settings = _Settings(page_items, idle_s, cursor_s, sealing, resume, principal, clock, sleep)
    return lambda producer: _paged(producer, settings, max_live)


def _paged(
    producer: Callable[P, Items[T] | Awaitable[Items[T]]], settings: _Settings, max_live: int
) -> Callable[..., Awaitable[Page[T]]]:
    own = inspect.signature(producer)
    hints = get_type_hints(producer, include_extras=True)
    if "cursor" in own.parameters:
        raise TypeError("a streamed function takes no cursor itself: it is given one")
    if (settings.resume is not None) != (AFTER in own.parameters):
        raise TypeError(f"`resume` and a parameter `{AFTER}` of the function belong together")
    shelf = Shelf[T](max_live)
    is_async = inspect.isasyncgenfunction(producer) or inspect.iscoroutinefunction(producer)
    tool = f"{producer.__module__}.{producer.__qualname__}"
    context = {name for name, hint in hints.items() if _is_context(hint)}

    @functools.wraps(producer)
    async def page(*args: Any, cursor: str | None = None, **kwargs: Any) -> Page[T]:
        given = own.bind(*args, **kwargs)
        given.apply_defaults()
        said = {name: value for name, value in given.arguments.items() if name not in context | {AFTER}}
        binding = bound_to(settings.principal(), tool, said)
        mark = Mark(secrets.token_hex(8), 0, None)
        run = None
        if cursor is not None:
            mark = unseal(settings.key, binding, cursor, settings.clock())
            run = shelf.take(mark.run, mark.position)
            if run is None:  # whoever has the run, or had it, is not this caller
                mark = mark._replace(run=secrets.token_hex(8))
        if run is None:
            resumes = settings.resume is not None
            if resumes:
                given.arguments[AFTER] = mark.after
            run = Live(
                lambda: producer(*given.args, **given.kwargs),
                is_async=is_async,
                skip=0 if resumes else mark.position,
                position=mark.position,
                idle_s=settings.idle_s,
                sleep=settings.sleep,
            )
        items, more = await run.page(settings.page_items)
        if not more:
            return Page(items=items)
        try:
            after = None if settings.resume is None else settings.resume(items[-1])
            ends_s = int(settings.clock() + settings.cursor_s)
            following = seal(settings.key, binding, Mark(mark.run, run.position, after), ends_s)
        except Exception:
            run.end()
            raise
        shelf.put(mark.run, run)
        return Page(items=items, cursor=following)

    _declare(page, own, hints)
    return page


def _declare(page: Callable[..., Any], own: inspect.Signature, hints: dict[str, Any]) -> None:
    """Gives the function the signature that the SDK makes a schema of."""
    kept = [
        parameter.replace(annotation=hints.get(name, parameter.annotation))
        for name, parameter in own.parameters.items()
        if name != AFTER
    ]
    at = next((i for i, one in enumerate(kept) if one.kind is one.VAR_KEYWORD), len(kept))
    kept.insert(
        at, inspect.Parameter("cursor", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Cursor)
    )
    answer: Any = Page[_item(hints.get("return"))]  # type: ignore[misc]
    page.__signature__ = own.replace(parameters=kept, return_annotation=answer)  # type: ignore[attr-defined]
    page.__annotations__ = {one.name: one.annotation for one in kept if one.annotation is not one.empty}
    page.__annotations__["return"] = answer
    del page.__wrapped__  # type: ignore[attr-defined]


def _item(hint: Any) -> Any:
    """What the items are, if the function says so."""
    origin = get_origin(hint)
    if origin in (UnionType, None) or not isinstance(origin, type):
        return Any
    iterates = issubclass(origin, AsyncIterable | Iterable)
    return get_args(hint)[0] if iterates and get_args(hint) else Any


def _is_context(hint: Any) -> bool:
    """Whether a parameter is what the SDK tells of a request: no argument of the caller's."""
    kind = get_origin(hint) or hint
    return getattr(kind, "__name__", "") == "Context" and getattr(kind, "__module__", "").startswith("mcp.")
