"""The level of a line of text, if it says one.

Known are syslog's `<3>`, Python's `ERROR name: text` and `time - name - ERROR - text`, brackets, glog's `E1122`,
`level=error`, and JSON objects (names, syslog's and pino's numbers). Rule: a level is only believed at the head of
a line, where programs put it; a sentence that speaks of an ERROR has none. What says none is `unknown`, not `info`.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, Literal, get_args

Level = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
LEVELS: Final[tuple[str, ...]] = get_args(Level)
UNKNOWN: Final = "unknown"
BY_RANK: Final = (UNKNOWN, *LEVELS)
RANKS: Final[dict[str, int]] = {name: at for at, name in enumerate(BY_RANK)}

_NAMES: Final = {
    **{name: name for name in LEVELS},
    "trace": "debug", "verbose": "debug", "dbg": "debug", "information": "info", "inf": "info", "log": "info",
    "warn": "warning", "wrn": "warning", "err": "error", "severe": "error",
    "crit": "critical", "fatal": "critical", "panic": "emergency", "emerg": "emergency",
}  # fmt: skip
_GLOG = {"I": "info", "W": "warning", "E": "error", "F": "critical"}
_KEYS = ("level", "severity", "lvl", "levelname", "log.level", "loglevel", "PRIORITY")
_HEAD_CHARS = 200
_WORDS = 10
_HINT = re.compile(
    r"trace|verbo|debug|dbg|info|\binf\b|\blog\b|notice|warn|wrn|err|severe|crit|fatal|alert|emerg|panic",
    re.IGNORECASE,
)
_PAIR = re.compile(
    r"""(?:^|[\s,{])["']?(?:level|lvl|severity|levelname|log\.level)["']?\s?[=:]\s?["']?([A-Za-z]{3,12})\b""",
    re.IGNORECASE,
)
_SYSLOG = re.compile(r"<([0-9]{1,3})>")
_GLOG_HEAD = re.compile(r"([IWEF])[0-9]{4} [0-9]{2}:[0-9]{2}:")
_TIME = re.compile(r"[0-9][0-9:.,TZ+/_-]*")
_CALENDAR = re.compile(
    r"(?:mon|tue|wed|thu|fri|sat|sun|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}|utc|am|pm",
    re.IGNORECASE,
)
_NAME = re.compile(r"[A-Za-z_][\w./@-]*(?:\[[0-9]+\])?")
_AROUND = "[](){}<>|:-,!"


def level_of(text: str) -> str:
    """One of LEVELS, or `unknown`."""
    head = text[:_HEAD_CHARS].lstrip()
    if head.startswith("{"):
        return _of_json(text) or UNKNOWN
    if syslog := _SYSLOG.match(head):
        return _of_syslog(int(syslog[1]) % 8)
    if glog := _GLOG_HEAD.match(head):
        return _GLOG[glog[1]]
    if _HINT.search(head) is None:
        return UNKNOWN
    return _of_head(head.split(None, _WORDS)) or _of_pair(head) or UNKNOWN


def named(word: str) -> str | None:
    """The level that a name means, in any case."""
    return _NAMES.get(word.lower())


def _of_syslog(priority: int) -> str:
    return BY_RANK[8 - priority] if 0 <= priority <= 7 else UNKNOWN


def of_priority(text: str) -> str:
    """The level of a journal entry's PRIORITY, 0 (emergency) to 7 (debug)."""
    return _of_syslog(int(text)) if text.isascii() and text.isdigit() and len(text) < 3 else UNKNOWN


def _of_pair(head: str) -> str | None:
    pair = _PAIR.search(head)
    return named(pair[1]) if pair else None


def _of_head(words: list[str]) -> str | None:
    """The first word that is a level, as long as only times, names and brackets stand before it."""
    for at, word in enumerate(words[:_WORDS]):
        bare = word.strip(_AROUND)
        if at == 0 and ":" in bare:  # Python's `WARNING:name:text`
            bare = bare.partition(":")[0]
        following = words[at + 1] if at + 1 < len(words) else ""
        level = named(bare) if bare else None
        if level and (
            bare.isupper() or word[0] in "[(<" or word.endswith(":") or following[:1] in ("|", ":")
        ):
            return level
        if not bare or _TIME.fullmatch(bare) or _CALENDAR.fullmatch(bare) or word[0] in "[(":
            continue
        if _NAME.fullmatch(word.rstrip(":|")) and (
            word.endswith((":", "|")) or following in ("-", "|") or _host_of(following)
        ):
            continue
        return None
    return None


def _host_of(following: str) -> bool:
    """True if the next word is `program[pid]:`, so that this one is syslog's name of the machine."""
    return following.endswith("]:") and "[" in following


def _of_json(text: str) -> str | None:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return _of_pair(text[:_HEAD_CHARS])
    return _of_keys(said) if isinstance(said, dict) else None


def _of_keys(said: dict[str, Any]) -> str | None:
    for key in _KEYS:
        value = said.get(key)
        if isinstance(value, str) and (level := named(value)):
            return level
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return _of_number(value)
    return None


def _of_number(value: float) -> str | None:
    """Syslog counts from 7 down to 0, pino and bunyan from 10 up to 60."""
    if 0 <= value <= 7:
        return _of_syslog(int(value))
    steps = ((10, "debug"), (30, "info"), (40, "warning"), (50, "error"), (60, "critical"))
    found = [name for least, name in steps if least <= value <= 100]
    return found[-1] if found else None
