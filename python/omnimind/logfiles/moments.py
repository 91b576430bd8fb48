"""Moments as people write them: `10m` ago, `10:00`, an ISO date or time. All are UTC unless they say otherwise."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta

_SPAN = re.compile(r"(\d{1,9})\s*([smhdw])")
_CLOCK = re.compile(r"\d\d:\d\d(?::\d\d)?")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def since(text: str, now: datetime) -> datetime:
    """A moment from `10m`, `4h`, `2d`, from `10:00` (the last time it was that) or an ISO date or time (UTC unless it
    says otherwise). Raises ValueError."""
    span = _SPAN.fullmatch(text.strip())
    if span:
        return now - timedelta(seconds=int(span[1]) * _UNITS[span[2]])
    if _CLOCK.fullmatch(text.strip()):
        today = datetime.combine(now.astimezone(UTC).date(), time.fromisoformat(text.strip()), UTC)
        return today if today <= now else today - timedelta(days=1)
    moment = datetime.fromisoformat(text.strip())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
