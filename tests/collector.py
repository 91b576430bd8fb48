"""A collector of traces for tests: a real OTLP/HTTP receiver, which can be made slow, failing or dead."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.fleet import wait_until


@dataclass(frozen=True)
class Span:
    """A span as it came."""

    name: str
    kind: str
    trace: str
    span: str
    parent: str | None
    state: str
    start_ns: int
    end_ns: int
    failed: bool
    attributes: dict[str, str]
    resource: dict[str, str]


class Collector:
    """What was received, and how it is answered."""

    def __init__(self) -> None:
        self.status = 200
        self.pause_s = 0.0
        self.requests = 0
        self._spans: list[Span] = []
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"collector": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, **more: str) -> dict[str, str]:
        """What a fleet needs to send its traces here at once."""
        at_once = {"OTEL_BSP_SCHEDULE_DELAY": "20"}
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, **at_once, **more}

    def spans(self, **wanted: str) -> list[Span]:
        """All spans with these attributes of their own, `kind` and `trace` among them."""
        with self._lock:
            return [span for span in self._spans if all(getattr(span, key) == wanted[key] for key in wanted)]

    def wait(self, many: int, **wanted: str) -> list[Span]:
        """The same, once there are so many; then there must be no more."""
        wait_until(lambda: len(self.spans(**wanted)) >= many, 20, f"{many} spans of {wanted} came")
        spans = self.spans(**wanted)
        assert len(spans) == many, spans
        return sorted(spans, key=lambda span: span.start_ns)

    def take(self, body: bytes) -> int:
        """One request; the status it is answered with."""
        self.requests += 1
        time.sleep(self.pause_s)
        if self.status == 200:
            request = ExportTraceServiceRequest.FromString(body)
            with self._lock:
                self._spans.extend(_read(request))
        return self.status

    def close(self) -> None:
        """Nobody is there any more."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Collector:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Handler(BaseHTTPRequestHandler):
    collector: Collector
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        status = self.collector.take(body) if self.path == "/v1/traces" else 404
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def _read(request: Any) -> Iterator[Span]:
    for part in request.resource_spans:
        resource = {pair.key: pair.value.string_value for pair in part.resource.attributes}
        for scope in part.scope_spans:
            for span in scope.spans:
                yield Span(
                    name=span.name,
                    kind=WireSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    trace=span.trace_id.hex(),
                    span=span.span_id.hex(),
                    parent=span.parent_span_id.hex() or None,
                    state=span.trace_state,
                    start_ns=span.start_time_unix_nano,
                    end_ns=span.end_time_unix_nano,
                    failed=span.status.code == Status.STATUS_CODE_ERROR,
                    attributes={pair.key: pair.value.string_value for pair in span.attributes},
                    resource=resource,
                )
