"""The predictive level: functions that are asked ahead, because what was called says what is called next.

What is observed are the calls of memoized functions that say `predict=True`: which follows which, and where
its arguments came from (earlier arguments, a part of an earlier result, the next element of a list in it). The
rules: a function says so itself, because running it ahead must do nothing but take time; what is asked ahead
runs where the owner of the cache wants it (`prefetch`), never in the caller's way; at most a tenth of the time
of these functions may be wasted, and two of a thread run ahead at once; an answer nobody asked for within seconds
is gone. Only arguments that JSON can say exactly take part, and results as far as JSON can say them.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from omnimind import _core
from omnimind.cache.results import LevelStats

Job = Callable[[], None]
Ahead = Callable[[dict[str, Any]], Callable[[float], None]]


class Foresight:
    """What is known of the calls of a cache's functions."""

    def __init__(self, prefetch: Callable[[Job], object]) -> None:
        self._predictor = _core.Predictor()
        self._prefetch = prefetch
        self._ahead: dict[str, Ahead] = {}

    def knows(self, name: str, ahead: Ahead) -> None:
        """A function that may be asked ahead: `ahead(arguments)` runs it and gives back how to keep its answer."""
        self._ahead[name] = ahead

    def observed(self, name: str, arguments: dict[str, Any], answer: Callable[[], Any], cached: bool) -> Any:
        """Answers a call and learns from it; then has asked ahead what is worth it."""
        spelled = _json(arguments)
        if spelled is None:
            return answer()
        session = threading.get_ident()
        self._predictor.arrived(session, name, spelled)
        began = time.perf_counter()
        result = answer()
        took_ms = _ms_since(began)
        expected = self._predictor.observe(
            session, name, spelled, _json(result), took_ms=took_ms, cached=cached
        )
        for prediction in expected:
            self._issue(session, prediction)
        return result

    def stats(self) -> LevelStats:
        """Hits are answers that were asked ahead in time, misses those that nobody asked for."""
        counts = self._predictor.counts()
        return LevelStats(
            off=None,
            hits=counts["used"],
            stale_hits=0,
            misses=counts["wasted"] + counts["cancelled"],
            entries=0,
            bytes=0,
            inserts=counts["issued"],
            evictions=0,
            refused=counts["refused"],
            damaged=0,
        )

    def _issue(self, session: int, prediction: _core.Prediction) -> None:
        ahead = self._ahead.get(prediction.name)
        if ahead is None or (ticket := self._predictor.begin(session, prediction)) is None:
            return
        arguments: dict[str, Any] = json.loads(prediction.arguments)

        def job() -> None:
            began = time.perf_counter()
            try:
                keep = ahead(arguments)
            except Exception:
                # Nobody asked for it, so nobody is told; who asks will see it.
                self._predictor.cancelled(ticket, _ms_since(began))
                return
            keep_s = self._predictor.finished(ticket, _ms_since(began))
            if keep_s is not None:
                keep(keep_s)

        self._prefetch(job)


def _ms_since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


def _json(value: Any) -> bytes | None:
    try:
        spelled = json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None
    return spelled.encode("utf-8", "surrogatepass")
