"""The gateway's word on its cache, for people: what a level does, what becomes of a request, and what helps.

Rule: the gateway says why; here stands only what one can do about it. A reason that is not in the table is
shown as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ADVICE: Final[dict[str, str]] = {
    "the cache is off": 'remove "cache": false from the section "gateway" of the configuration',
    "the cache is off for this server": 'remove "cache": false from the entry of {server}',
    "the cache is off for this tool": 'remove the tool from "tools" in the key "cache" of the entry of {server}',
    "the server keeps state by session": (
        'only a server without "sessions": "own" can be cached; leave it out if {server} keeps nothing of its clients'
    ),
    "no answer to this method is kept": (
        "kept are tools/call, resources/read, the lists of tools, prompts, resources and templates, server/discover"
    ),
    "the server has not listed this tool": "see the names: omnimind list",
    'the server\'s hints are not trusted (trust: ["annotations"])': (
        'if you believe what {server} says of its tools, add "trust": ["annotations"] and '
        '"cache": {{"ttl_ms": 60000}} to its entry'
    ),
    "the tool is not read-only": "nothing is to be done: a call that may change something always goes to its server",
    "the tool's answers depend on the outside world": (
        "nothing is to be done: {server} says so (openWorldHint), and nobody can tell when its answer changes"
    ),
    "no time is configured for this tool (cache.tools or cache.ttl_ms)": (
        'say how old an answer may be: "cache": {{"tools": {{"{tool}": 60000}}}} in the entry of {server} (ms)'
    ),
    "its last answer did not say what it depends on, or came too soon after a change": (
        "ask again in a moment; docs/servers/{server}.md says which answers are never kept"
    ),
    "its last answer could not be kept: no ttlMs and no configured time, or an error": (
        'say how old an answer may be: "cache": {{"ttl_ms": 60000}} in the entry of {server} (ms)'
    ),
    "the gateway makes this answer itself, from what each server said; ask about one server": (
        "name the server: omnimind cache explain SERVER --method {method}"
    ),
}
"""What helps, by the gateway's reason (`rust/gateway/src/cache/policy.rs` and its neighbours)."""

_ASLEEP: Final = ("parked", "stopped", "backoff", "draining", "starting")


def note(name: str, level: Mapping[str, Any]) -> str | None:
    """What is to be said of a level beside its row."""
    if "off" in level:
        return f"off: {level['off']}"
    if name == "predictive":
        return _ahead(level) if level["on"] else "off: it is configured so"
    if name == "semantic":
        return _alike(level.get("tools", []))
    damaged = level.get("damaged", 0)
    return f"{damaged} entries were damaged, and counted as misses" if damaged else None


def _ahead(level: Mapping[str, Any]) -> str:
    asked = f"asked ahead {level['issued']}: {level['used']} wanted, {level['wasted']} not, {level['cancelled']} ended"
    wasted_ms = level["wasted_ms"]
    return f"{asked}; of {_ms(level['useful_ms'] + wasted_ms)} of tool time {_ms(wasted_ms)} wasted"


def _alike(tools: list[Mapping[str, Any]]) -> str:
    served, checked, wrong = (sum(tool[key] for tool in tools) for key in ("served", "checked", "wrong"))
    said = f"{len(tools)} tools; answered {served}, compared with the real tool {checked}, of these different {wrong}"
    if not served:
        return said
    worst = max((tool for tool in tools if tool["served"]), key=lambda tool: float(tool["false_upper"]))
    bound = f"{100 * worst['false_upper']:.2g} %"
    return f"{said}; wrong answers of {worst['server']} {worst['tool']} are at most {bound} (95 % sure)"


def verdict(found: Mapping[str, Any]) -> str:
    """What becomes of the request, in one or two sentences."""
    hit, server = found.get("hit"), found.get("server")
    if hit is not None:
        return _of_hit(hit)
    if found["kept"]:
        words = f"no hit. It goes to {server}; whether its answer can be kept shows when it comes"
        times = {1: "once"}.get(found["changes"], f"{found['changes']} times")
        return (
            f"{words}. What was kept of {server} has become old {times}." if found["changes"] else f"{words}."
        )
    if found["why"] == "the server has not listed this tool" and found.get("state") in _ASLEEP:
        return f"no hit: {server} is {found['state']}, so nobody can say what its tools are."
    return f"no hit: {found['why']}."


def _of_hit(hit: Mapping[str, Any]) -> str:
    level, age = hit["level"], _ms(hit["age_ms"])
    if hit["left_ms"]:
        left = f"good for {_ms(hit['left_ms'])} more, unless something changes before"
        return f"a hit ({level}). The answer is {age} old and {left}."
    return (
        f"past its time ({level}, {age} old). It is given once more while a fresh one is fetched if the entry has a "
        '"stale_ms" that lasts, and stands in for a server that cannot be reached.'
    )


def advice(found: Mapping[str, Any]) -> str | None:
    """What one can do so that the request becomes a hit; None if there is nothing to say."""
    if found.get("hit") is not None:
        return None
    server = found.get("server")
    if found["kept"]:
        return "make the call, and ask again"
    if found["why"] == "the server has not listed this tool" and found.get("state") in _ASLEEP:
        return f"omnimind start {server}"
    help = ADVICE.get(str(found["why"]))
    return (
        None
        if help is None
        else help.format(server=server, tool=found.get("tool", "TOOL"), method=found["method"])
    )


def _ms(time_ms: float) -> str:
    """A time for people."""
    for unit, length_ms in (("h", 3_600_000), ("min", 60_000), ("s", 1_000)):
        if time_ms >= length_ms:
            return f"{time_ms / length_ms:.3g} {unit}"
    return f"{time_ms:.0f} ms"
