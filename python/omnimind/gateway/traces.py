"""What is asked of traces, in the variables that every OpenTelemetry SDK reads.

Rule: traces are off unless an endpoint for them is named; what is asked for and cannot be done is an error with its
fix, and the fleet runs without traces. Nothing of OpenTelemetry is imported here.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from omnimind.errors import OmniMindError

PREFIX: Final = "OTEL_"
"""What the names of all these variables begin with."""
INSTALL: Final = (
    "install the extra: pip install '.[otel]' in the checkout, or its packages alone: "
    "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_RATIOS = ("traceidratio", "parentbased_traceidratio")
_SAMPLERS = (*_RATIOS, "always_on", "parentbased_always_on", "parentbased_always_off")
_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of traces."""

    sampler: str
    ratio: float
    queue: int
    """Spans that may wait to be exported; more are dropped."""
    batch: int
    """Spans in one request to the collector."""
    delay_ms: int
    """How long a span waits for others to go with it."""

    def to_plane(self) -> dict[str, Any]:
        """The member `traces` of the plane's first message."""
        sampler = {"name": self.sampler, "ratio": self.ratio}
        return {"sampler": sampler, "queue": self.queue, "batch": self.batch}


def wanted(environ: Mapping[str, str]) -> Wanted | None:
    """What these variables ask for; None for no traces. Raises OmniMindError for what cannot be done."""
    asked = {name: value.strip() for name, value in environ.items() if name.startswith(PREFIX)}
    exporter = asked.get("OTEL_TRACES_EXPORTER") or "otlp"
    sampler = asked.get("OTEL_TRACES_SAMPLER") or "parentbased_always_on"
    off = (
        asked.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none" or sampler == "always_off"
    )
    if off or not any(asked.get(name) for name in _ENDPOINTS):
        return None
    if exporter != "otlp":
        raise _refused("OTEL_TRACES_EXPORTER", exporter, "it can be otlp, or none for no traces")
    for name in _PROTOCOLS:
        if asked.get(name) and asked[name] != "http/protobuf":
            raise _refused(name, asked[name], "it can be http/protobuf, which collectors take on port 4318")
    if sampler not in _SAMPLERS:
        raise _refused(
            "OTEL_TRACES_SAMPLER", sampler, "it can be always_off, " + ", ".join(sorted(_SAMPLERS))
        )
    if not _is_installed():
        raise OmniMindError(
            "OM0603",
            "traces are asked for, and what sends them is not installed",
            why="OTEL_EXPORTER_OTLP_ENDPOINT names a collector",
            help=f"{INSTALL}, then `omnimind restart gateway`; or OTEL_SDK_DISABLED=true",
        )
    queue = _count(asked, "OTEL_BSP_MAX_QUEUE_SIZE", 2048)
    return Wanted(
        sampler=sampler,
        ratio=_ratio(asked) if sampler in _RATIOS else 1.0,
        queue=queue,
        batch=min(_count(asked, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512), queue),
        delay_ms=_count(asked, "OTEL_BSP_SCHEDULE_DELAY", 5000),
    )


def _ratio(asked: Mapping[str, str]) -> float:
    name = "OTEL_TRACES_SAMPLER_ARG"
    text = asked.get(name) or "1"
    try:
        ratio = float(text)
    except ValueError:
        ratio = math.nan
    if not 0 <= ratio <= 1:
        raise _refused(name, text, "it is a share from 0 to 1")
    return ratio


def _count(asked: Mapping[str, str], name: str, default: int) -> int:
    text = asked.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 2**31:
        raise _refused(name, text, "it is a number above 0")
    return int(text)


def _refused(name: str, value: str, help: str) -> OmniMindError:
    return OmniMindError(
        "OM0603", f"traces are asked for in a way that is not known: {name}={value}", help=help
    )


def _is_installed() -> bool:
    try:
        return all(importlib.util.find_spec(name) is not None for name in _NEEDED)
    except ModuleNotFoundError:
        return False
