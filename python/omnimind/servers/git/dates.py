"""The dates that git_log takes: a fixed set of forms, and an error for everything else.

git reads any text as some date and never refuses one, so a slip gives a wrong answer silently. Here a date without
a time means the whole day: a range begins at its first second and ends at its last. A date without a zone is local.
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from email.utils import parsedate_to_datetime

from omnimind.servers.problem import Problem

_LONGEST = 100
_UNITS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
            "eight": 8, "nine": 9, "ten": 10, "last": 1}  # fmt: skip
_AGO = re.compile(r"(\d{1,6}|[a-z]+)[ .]+(second|minute|hour|day|week|month|year)s?(?:[ .]+ago)?")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WRITTEN = (
    re.compile(
        r"(?P<month>[a-z]{3,9})\.? (?P<day>\d{1,2})(?:st|nd|rd|th)?,? (?P<year>\d{4})(?: (?P<time>.+))?"
    ),
    re.compile(
        r"(?P<day>\d{1,2})(?:st|nd|rd|th)? (?P<month>[a-z]{3,9})\.?,? (?P<year>\d{4})(?: (?P<time>.+))?"
    ),
)
_DAY = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
_HELP = (
    "write ISO 8601 ('2024-01-15', '2024-01-15T14:30:25+02:00'), a relative date ('2 weeks ago', 'yesterday'), "
    "or a written one ('Jan 15 2024')"
)


def moment(text: str, what: str, now: datetime, *, end: bool) -> datetime:
    """The moment a date means. `now` has a zone; with `end` a day without a time means its last second."""
    said = " ".join(text.lower().split())
    if not said or len(said) > _LONGEST:
        raise Problem(f"Invalid {what}: it is {'empty' if not said else 'too long for a date'}; {_HELP}")
    try:
        found = _known(said, text.strip(), now, end)
    except (ValueError, OverflowError):
        found = None
    if found is None:
        raise Problem(f"Invalid {what}: '{text[:_LONGEST]}' is not a date that is understood; {_HELP}")
    return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)


def _known(said: str, given: str, now: datetime, end: bool) -> datetime | None:
    if said in ("now", "today", "yesterday", "noon", "midnight", "never"):
        return _named(said, now, end)
    if re.fullmatch(r"@\d{1,12}|\d{9,12}", said):
        return datetime.fromtimestamp(int(said.lstrip("@")), now.tzinfo)
    if ago := _AGO.fullmatch(said):
        return _ago(ago[1], ago[2], now)
    if day := _DAY.fullmatch(said):
        return _whole_day(datetime(int(day[1]), int(day[2]), int(day[3])), end)
    for form in _WRITTEN:
        if found := form.fullmatch(said):
            return _written(found, end)
    if re.match(r"\d{4}-\d{2}-\d{2}[t ]", said):
        return datetime.fromisoformat(_iso(given))
    if re.match(r"[a-z]{3}, \d", said):
        return parsedate_to_datetime(given)
    return None


def _iso(given: str) -> str:
    """`2024-01-15 10:00:00 +0200`, as git prints it, has a space that ISO has not."""
    return re.sub(r"\s+(?=[+-]\d{2}:?\d{2}$|[zZ]$)", "", given)


def _named(said: str, now: datetime, end: bool) -> datetime:
    if said == "yesterday":
        return now - timedelta(days=1)
    if said in ("noon", "midnight"):
        at = datetime.combine(now.date(), time(12 if said == "noon" else 0), now.tzinfo)
        return at if at <= now else at - timedelta(days=1)
    if said == "today":
        return _whole_day(datetime.combine(now.date(), time(0), now.tzinfo), end)
    return now if said == "now" else datetime.fromtimestamp(0, now.tzinfo)


def _ago(number: str, unit: str, now: datetime) -> datetime | None:
    count = int(number) if number.isdigit() else _NUMBERS.get(number)
    if count is None:
        return None
    if unit in _UNITS:
        return now - count * _UNITS[unit]
    months = count * (12 if unit == "year" else 1)
    year, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    day = now.day
    while True:
        try:
            return now.replace(year=year, month=month + 1, day=day)
        except ValueError:
            if day <= 28:
                raise
            day -= 1


def _written(found: re.Match[str], end: bool) -> datetime | None:
    month = found["month"]
    names = [name for name in _MONTHS if month.startswith(name)]
    if (
        not names
        or not "january february march april may june july august september october november december".count(
            month
        )
    ):
        return None
    day = datetime(int(found["year"]), _MONTHS.index(names[0]) + 1, int(found["day"]))
    if found["time"] is None:
        return _whole_day(day, end)
    return datetime.fromisoformat(f"{day.date()}T{found['time'].replace(' ', '').upper()}")


def _whole_day(day: datetime, end: bool) -> datetime:
    return day + timedelta(days=1, seconds=-1) if end else day
