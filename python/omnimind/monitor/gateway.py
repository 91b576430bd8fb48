"""The gateway's own clock: the histograms on `/metrics`, read as calls by place.

It begins when the gateway has read a request's head: what a request waits in the kernel's queues is not in it. The
family that tells server and tool is taken from a gateway that has it; else its one histogram of all responses.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from omnimind.errors import GatewayError
from omnimind.monitor.histogram import Bucket, Histogram
from omnimind.monitor.report import HIGH_US, Calls, Reading, Source

BY_TOOL: Final = "mcp_server_operation_duration_seconds"
ALL: Final = "omnimind_response_head_seconds"
_WHAT: Final = {
    BY_TOOL: "from a request's head to the last word of its answer",
    ALL: "from a request's head to its answer's head",
}
_ANSWER_S: Final = 10.0
_SAMPLE: Final = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def fetch(endpoint: str, token: str | None) -> str:
    """`/metrics` of the gateway that serves this endpoint. Raises GatewayError."""
    parts = urlsplit(endpoint)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=_ANSWER_S)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        connection.request("GET", "/metrics", headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(endpoint, str(error) or type(error).__name__) from None
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise _unreachable(endpoint, f"/metrics answered with status {answer.status}")
    return text


def reading(text: str) -> Reading:
    """What the text says of each tool of each server, or of all together."""
    found = histograms(text, _family(text))
    high_us = _high_from_us(found)
    return Reading({name: Calls(one, high=one.at_least(high_us)) for name, one in found.items()})


def source(text: str, notes: tuple[str, ...] = ()) -> Source:
    """What this clock is, and from where on its calls are certainly above 50 ms."""
    family = _family(text)
    high_us = _high_from_us(histograms(text, family))
    if high_us != HIGH_US:
        notes = (
            *notes,
            f"this clock has no bound at 50 ms: counted as high is what took {high_us / 1000:g} ms",
        )
    return Source("gateway", _WHAT[family], notes, high_us)


def _family(text: str) -> str:
    return BY_TOOL if f"{BY_TOOL}_bucket" in text else ALL


def _high_from_us(found: dict[str, Histogram]) -> int:
    bounds = {low for one in found.values() for low, _ in one.counts if low >= HIGH_US}
    return min(bounds, default=HIGH_US)


def histograms(text: str, family: str) -> dict[str, Histogram]:
    """The histograms of a family by server and tool (or method): `memory add_memory`; `gateway` without labels."""
    upto: dict[str, dict[float, int]] = {}
    for labels, value in _samples(text, f"{family}_bucket"):
        bound = float(labels.pop("le").replace("+Inf", "inf"))
        words = (labels.get("server"), labels.get("tool") or labels.get("method"))
        name = " ".join(word for word in words if word) or "gateway"
        bounds = upto.setdefault(name, {})
        bounds[bound] = bounds.get(bound, 0) + int(float(value))
    return {name: _from_bounds(bounds) for name, bounds in upto.items()}


def counts(text: str, name: str, label: str) -> dict[str, int]:
    """The samples of a counter, added up by one of its labels."""
    found: dict[str, int] = {}
    for labels, value in _samples(text, name):
        word = labels.get(label, "")
        found[word] = found.get(word, 0) + int(float(value))
    return found


def _from_bounds(upto: dict[float, int]) -> Histogram:
    counts: dict[Bucket, int] = {}
    low, seen = 0, 0
    for bound, count in sorted(upto.items()):
        high = None if bound == float("inf") else round(bound * 1e6)
        counts[(low, high)] = count - seen
        low, seen = high or low, count
    return Histogram(counts)


def _samples(text: str, name: str) -> Iterator[tuple[dict[str, str], str]]:
    for line in text.splitlines():
        if line.startswith(name) and (match := _SAMPLE.match(line)) and match[1] == name:
            yield dict(_LABEL.findall(match[2] or "")), match[3]


def _unreachable(endpoint: str, why: str) -> GatewayError:
    return GatewayError(
        "OM0401",
        f"the gateway's figures cannot be read: {why}",
        where=endpoint,
        help="see whether it runs: omnimind status",
    )
