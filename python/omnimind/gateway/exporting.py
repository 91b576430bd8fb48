"""Spans on their way to a collector: from the plane's buffer through OpenTelemetry's exporter, on a thread of its own.

Rule: no request waits for it. The plane keeps a bounded number of spans and drops the rest; here is no second queue.
A collector that is not there, is slow or refuses costs spans, which are counted (`omnimind_spans_total`), and a line
in the log once a minute. What OpenTelemetry needs is imported on that thread, when there is something to export.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from omnimind import __version__
from omnimind.errors import OmniMindError
from omnimind.gateway.traces import Wanted, wanted

if TYPE_CHECKING:
    from omnimind._core import Gateway, Span

FLUSH_S: Final = 2.0
"""How long the end of a gateway waits for its last spans."""
QUIET_S: Final = 60.0
_LIBRARY = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


def asked(environ: Mapping[str, str]) -> Wanted | None:
    """What is asked of traces; what cannot be done is said on stderr, and there are none."""
    try:
        return wanted(environ)
    except OmniMindError as error:
        sys.stderr.write(error.render() + "\n")
        return None


def begin(plane: Gateway, wanted: Wanted | None) -> Exporter | None:
    """Begin to export what this plane was told to record; None if that is nothing."""
    return None if wanted is None else Exporter(plane, wanted)


class Exporter:
    """Exports the spans of one plane until it has drained."""

    def __init__(self, plane: Gateway, wanted: Wanted, clock: Callable[[], float] = time.monotonic) -> None:
        self._plane = plane
        self._wanted = wanted
        self._clock = clock
        self._said_at: float | None = None
        self._collector: Collector | None = None
        self._thread = threading.Thread(target=self._run, name="omnimind-traces", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait for the last spans, but not for long; call it once the plane has drained."""
        self._thread.join(FLUSH_S)
        if self._thread.is_alive() and self._collector is not None:
            self._collector.close()
            self._thread.join(FLUSH_S / 4)

    def _run(self) -> None:
        while (spans := self._plane.spans(self._wanted.delay_ms)) is not None:
            for start in range(0, len(spans), self._wanted.batch):
                batch = spans[start : start + self._wanted.batch]
                sent = self._sent(batch)
                self._plane.spans_exported(len(batch) if sent else 0, 0 if sent else len(batch))

    def _sent(self, spans: Sequence[Span]) -> bool:
        try:
            if self._collector is None:
                self._collector = Collector()
            why = self._collector.send(spans)
        except Exception as error:  # whatever is wrong with traces, the gateway goes on
            why = f"{type(error).__name__}: {error}"
        if why is not None:
            self._say(f"traces: {len(spans)} spans were not exported: {why}\n")
        return why is None

    def _say(self, line: str) -> None:
        now = self._clock()
        if self._said_at is None or now - self._said_at >= QUIET_S:
            self._said_at = now
            sys.stderr.write(line)


class Collector:
    """OpenTelemetry's exporter, configured by its own variables."""

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        self._heard = _Heard()
        library = logging.getLogger(_LIBRARY)
        library.addHandler(self._heard)
        library.propagate = False
        resource = Resource.create()
        if str(resource.attributes["service.name"]).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": "omnimind"}))
        self._common: dict[str, Any] = {
            "resource": resource.merge(Resource({"service.version": __version__})),
            "instrumentation_scope": InstrumentationScope("omnimind", __version__),
        }
        self._exporter: SpanExporter = OTLPSpanExporter()
        self._success = SpanExportResult.SUCCESS

    def send(self, spans: Sequence[Span]) -> str | None:
        """Export these spans. None, or why that failed."""
        self._heard.last = "unknown"
        if self._exporter.export([self._readable(span) for span in spans]) == self._success:
            return None
        return self._heard.last

    def close(self) -> None:
        """Give up what is under way."""
        self._exporter.shutdown()

    def _readable(self, span: Span) -> Any:
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

        state = None if span.state is None else TraceState.from_header([span.state])
        flags = TraceFlags(span.flags)
        parent = span.parent_id and SpanContext(
            span.trace_id, span.parent_id, span.parent_is_remote, flags, state
        )
        return ReadableSpan(
            span.name,
            context=SpanContext(span.trace_id, span.span_id, False, flags, state),
            parent=parent or None,
            attributes=span.attributes,
            kind=SpanKind[span.kind],
            status=Status(StatusCode.ERROR if span.failed else StatusCode.UNSET),
            start_time=span.start_ns,
            end_time=span.end_ns,
            **self._common,
        )


class _Heard(logging.Handler):
    """The library's last word on why an export failed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = "unknown"

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()
