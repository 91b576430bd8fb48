"""The memoizing decorator of `Cache`.

A function is known by its module and name, because that is what it still has in the next process; so one that was made
inside another may not use a cache that lasts, where two such would be taken for one. In a cache that ends with
the process each decorated function is one of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, update_wrapper
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from omnimind.cache import spelling

if TYPE_CHECKING:
    from omnimind.cache.face import Cache
    from omnimind.cache.foresight import Foresight

_numbers = count()


def memoized(
    cache: Cache[Any, Any],
    function: Callable[..., Any],
    key: Callable[..., Any] | None,
    ttl_s: float | None,
    stale_s: float | None,
    foresight: Foresight | None,
) -> Callable[..., Any]:
    """The decorated function; with foresight, one that is asked ahead."""
    if foresight is not None:
        return _foreseen(cache, function, key, ttl_s, stale_s, foresight)
    key_of = key or _plain_keys(cache, function)

    async def awaited(*arguments: Any, **named: Any) -> Any:
        call = partial(function, *arguments, **named)
        return await cache.aget_or_load(key_of(*arguments, **named), call, ttl_s=ttl_s, stale_s=stale_s)

    def answered(*arguments: Any, **named: Any) -> Any:
        call = partial(function, *arguments, **named)
        return cache.get_or_load(key_of(*arguments, **named), call, ttl_s=ttl_s, stale_s=stale_s)

    decorated: Any = awaited if inspect.iscoroutinefunction(function) else answered
    update_wrapper(decorated, function)
    decorated.key_of = key_of
    return cast("Callable[..., Any]", decorated)


def _foreseen(
    cache: Cache[Any, Any],
    function: Callable[..., Any],
    key: Callable[..., Any] | None,
    ttl_s: float | None,
    stale_s: float | None,
    foresight: Foresight,
) -> Callable[..., Any]:
    if key is not None or inspect.iscoroutinefunction(function):
        raise ValueError("only plain functions of plain arguments are asked ahead: no key=, no coroutines")
    signature = inspect.signature(function)
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if kinds - {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}:
        raise ValueError("a function that is asked ahead has a name for each of its arguments")
    by_name = _plain_keys(cache, function)
    name = by_name().decode()

    def key_of(*arguments: Any, **named: Any) -> bytes:
        return by_name(**signature.bind(*arguments, **named).arguments)

    def answered(*arguments: Any, **named: Any) -> Any:
        bound = signature.bind(*arguments, **named).arguments
        key = by_name(**bound)
        answer = partial(cache.get_or_load, key, partial(function, **bound), ttl_s=ttl_s, stale_s=stale_s)
        return foresight.observed(name, bound, answer, cached=key in cache)

    def ahead(bound: dict[str, Any]) -> Callable[[float], None]:
        key, generation = by_name(**bound), cache._generation
        value = function(**bound)

        def keep(keep_s: float) -> None:
            if cache._generation == generation and key not in cache:
                cache.set(key, value, ttl_s=keep_s)

        return keep

    foresight.knows(name, ahead)
    decorated: Any = answered
    update_wrapper(decorated, function)
    decorated.key_of = key_of
    return cast("Callable[..., Any]", decorated)


def _plain_keys(cache: Cache[Any, Any], function: Callable[..., Any]) -> Callable[..., bytes]:
    name = f"{function.__module__}.{function.__qualname__}"
    if not cache.is_lasting:
        name = f"{name}#{next(_numbers)}"
    elif "<" in name or function.__module__ == "__main__":
        raise ValueError(f"{name} has no name that lasts as long as the cache does; pass key=")
    prefix = b"%d:%b" % (len(name), name.encode())
    return lambda *arguments, **named: spelling.of_call(prefix, arguments, named)
