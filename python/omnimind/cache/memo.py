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

_numbers = count()


def memoized(
    cache: Cache[Any, Any],
    function: Callable[..., Any],
    key: Callable[..., Any] | None,
    ttl_s: float | None,
    stale_s: float | None,
) -> Callable[..., Any]:
    """The decorated function."""
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


def _plain_keys(cache: Cache[Any, Any], function: Callable[..., Any]) -> Callable[..., bytes]:
    name = f"{function.__module__}.{function.__qualname__}"
    if not cache.is_lasting:
        name = f"{name}#{next(_numbers)}"
    elif "<" in name or function.__module__ == "__main__":
        raise ValueError(f"{name} has no name that lasts as long as the cache does; pass key=")
    prefix = b"%d:%b" % (len(name), name.encode())
    return lambda *arguments, **named: spelling.of_call(prefix, arguments, named)
