"""What the variables of OpenTelemetry ask for, and what becomes of spans that cannot be exported."""

from __future__ import annotations

from typing import Any

import pytest

from omnimind.errors import OmniMindError
from omnimind.gateway import exporting, traces

THERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "_is_installed", lambda: True)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {"OTEL_TRACES_SAMPLER": "always_on"},
        THERE | {"OTEL_SDK_DISABLED": "TRUE"},
        THERE | {"OTEL_TRACES_EXPORTER": "none"},
        THERE | {"OTEL_TRACES_SAMPLER": "always_off"},
    ],
)
def test_traces_are_off_unless_an_endpoint_is_named(environ: dict[str, str]) -> None:
    assert traces.wanted(environ) is None


def test_what_is_not_said_is_as_the_specification_has_it() -> None:
    assert traces.wanted(THERE) == traces.Wanted("parentbased_always_on", 1.0, 2048, 512, 5000)


def test_every_variable_counts() -> None:
    said = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/v1/traces",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.25",
        "OTEL_BSP_MAX_QUEUE_SIZE": "100",
        "OTEL_BSP_SCHEDULE_DELAY": "20",
    }
    found = traces.wanted(said)
    assert found == traces.Wanted("parentbased_traceidratio", 0.25, 100, 100, 20)
    sampler = {"name": "parentbased_traceidratio", "ratio": 0.25}
    assert found.to_plane() == {"sampler": sampler, "queue": 100, "batch": 100}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ("OTEL_TRACES_SAMPLER_ARG", "nan"),
        ("OTEL_TRACES_SAMPLER_ARG", "half"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "²"),
    ],
)
def test_what_cannot_be_done_is_an_error_that_names_it(name: str, value: str) -> None:
    with pytest.raises(OmniMindError) as caught:
        traces.wanted(THERE | {"OTEL_TRACES_SAMPLER": "traceidratio", name: value})
    assert caught.value.code == "OM0603"
    assert f"{name}={value}" in str(caught.value)
    assert caught.value.help


def test_what_is_not_installed_is_said_with_the_command_and_the_gateway_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(traces, "_is_installed", lambda: False)
    assert exporting.asked(THERE) is None
    said = capsys.readouterr().err
    assert "error[OM0603]" in said
    assert traces.INSTALL in said
    assert exporting.asked({}) is None
    assert capsys.readouterr().err == ""


class Plane:
    """A plane whose spans are given in turn."""

    def __init__(self, *taken: list[Any]) -> None:
        self.taken = list(taken)
        self.told: list[tuple[int, int]] = []

    def spans(self, timeout_ms: int) -> list[Any] | None:
        return self.taken.pop(0) if self.taken else None

    def spans_exported(self, exported: int, failed: int) -> None:
        self.told.append((exported, failed))


class Failing:
    """A collector that takes every second export."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def send(self, spans: list[Any]) -> str | None:
        self.sizes.append(len(spans))
        if len(self.sizes) % 2:
            return None
        raise OSError("nobody there")


def test_spans_go_in_batches_and_failures_are_counted_and_said_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    collector, times = Failing(), iter([0.0, 59.0, 60.0])
    monkeypatch.setattr(exporting, "Collector", lambda: collector)
    plane: Any = Plane([0] * 5, [], [0] * 2, [0] * 2, [0] * 2)
    wanted = traces.Wanted("always_on", 1.0, queue=100, batch=2, delay_ms=1)
    exporting.Exporter(plane, wanted, clock=lambda: next(times)).finish()
    assert collector.sizes == [2, 2, 1, 2, 2, 2]
    assert plane.told == [(2, 0), (0, 2), (1, 0), (0, 2), (2, 0), (0, 2)]
    said = capsys.readouterr().err.splitlines()
    assert said == ["traces: 2 spans were not exported: OSError: nobody there"] * 2
