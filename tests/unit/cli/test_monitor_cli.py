"""`omnimind monitor` without the kernel's clock: what is missing is said, and the gateway's takes over."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fake_fleet import FakeFleet

from omnimind import cli
from omnimind.errors import Exit
from omnimind.monitor import needs
from omnimind.monitor.needs import Facts

Capture = pytest.CaptureFixture[str]
BOUNDS = {"0.001024": 1.0, "0.032768": 1.5, "0.065536": 1.75, "+Inf": 2.0}


class Metrics(BaseHTTPRequestHandler):
    """A gateway that answers four hundred calls more between one look and the next."""

    looks = 0

    def do_GET(self) -> None:
        assert self.path == "/metrics"
        assert self.headers["Authorization"].startswith("Bearer ")
        Metrics.looks += 1
        text = "".join(
            f'omnimind_response_head_seconds_bucket{{le="{bound}"}} {int(200 * share * Metrics.looks)}\n'
            for bound, share in BOUNDS.items()
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture
def metrics(fleet: FakeFleet) -> Iterator[FakeFleet]:
    Metrics.looks = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Metrics) as web:
        thread = threading.Thread(target=web.serve_forever, args=(0.01,))
        thread.start()
        fleet.endpoint = f"http://127.0.0.1:{web.server_port}/mcp"
        fleet.write_record()
        yield fleet
        web.shutdown()
        thread.join()


def test_the_gateways_clock_reports_what_happened_meanwhile(
    metrics: FakeFleet, capsys: Capture, tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "report.txt"
    assert cli.main(["monitor", "--duration", "1", "--out", str(out)]) == Exit.OK
    shown = capsys.readouterr()
    assert shown.out == out.read_text()
    lines = shown.out.splitlines()
    assert lines[0] == "clock: gateway, from a request's head to its answer's head"
    assert lines[1] == "note: this clock has no bound at 50 ms: counted as high is what took 65.536 ms"
    assert "Total calls: 400" in lines
    assert "⚠️  High latency calls (>50ms): 50" in lines
    assert "watching by the gateway's clock, for 1 s" in shown.err


def test_json_is_one_document_and_windows_are_progress(metrics: FakeFleet, capsys: Capture) -> None:
    assert cli.main(["monitor", "--json", "--interval", "1", "--duration", "2"]) == Exit.OK
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert (found["clock"], found["all"]["calls"], found["all"]["high"]) == ("gateway", 800, 100)
    assert "1 s: 400 calls, 50 above 50 ms" in shown.err


def test_what_the_kernels_clock_lacks_is_said_and_the_gateways_takes_over(
    metrics: FakeFleet, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "facts", lambda: Facts(False, "5.4.0", True, None, None, None))
    assert cli.main(["monitor", "--ebpf", "--duration", "1"]) == Exit.OK
    shown = capsys.readouterr()
    assert "missing: this is not root" in shown.err
    assert "   help: run it with sudo" in shown.err
    assert "missing: bpftrace is not installed" in shown.err
    assert "so this is not the kernel's clock but the gateway's" in shown.err
    assert shown.out.startswith("clock: gateway, ")


@pytest.mark.parametrize(
    ("argv", "what"),
    [
        (["--port", "99999"], "is not a port"),
        (["--port", "20-10"], "with the lower first"),
        (["--port", "0"], "is not a port"),
        (["--interval", "0"], "is not a number of seconds"),
        (["--pid", "x"], "whole number"),
        (["--port", "1-600"], "more than 512 ports"),
    ],
)
def test_wrong_arguments_are_usage(argv: list[str], what: str, state: Path, capsys: Capture) -> None:
    assert cli.main(["monitor", *argv]) == Exit.USAGE
    assert what in capsys.readouterr().err


def test_without_a_fleet_and_without_the_kernel_there_is_nothing_to_watch(
    state: Path, capsys: Capture
) -> None:
    assert cli.main(["monitor", "--duration", "1"]) == Exit.NO_FLEET
    assert capsys.readouterr().err.startswith("error[OM0201]: no fleet runs")
