"""The harness of `make bench-peers` on two cheap contenders, and on some that are missing, lie, or end on the way."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from xml.etree import ElementTree

import pytest

from benches.nginx import free_port
from benches.peers import answers, contenders, document, measure, starting
from benches.peers.contenders import CONTENDERS, Contender, Place
from benches.peers.starting import Running
from tests.fleet import ROOT

HOW: dict[str, Any] = {"in_flight": [4], "rounds": 2, "seconds": 0.3}
INITIALIZE = {
    "protocolVersion": answers.VERSION,
    "capabilities": {},
    "clientInfo": {"name": "a", "version": "1"},
}
ECHO = {"name": "echo", "arguments": {"text": "by stdio"}}
SVG = "{http://www.w3.org/2000/svg}"


class Liar(BaseHTTPRequestHandler):
    """Right until its 50th answer, then the text of somebody else."""

    answered = 0

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Liar.answered += 1
        text = asked.get("params", {}).get("arguments", {}).get("text", "")
        text = text if Liar.answered < 50 else f"not {text}"
        result = {"content": [{"type": "text", "text": text}]}
        body = json.dumps({"jsonrpc": "2.0", "id": asked.get("id"), "result": result}).encode()
        self.send_response(200 if "id" in asked else 202)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def liar(_: Place) -> Iterator[Running]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Running(f"http://127.0.0.1:{server.server_port}/mcp", 1)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ends_at_once(_: Place) -> AbstractContextManager[Running]:
    return starting.running(
        [sys.executable, "-c", "raise SystemExit('no such thing')"], f"http://127.0.0.1:{free_port()}/mcp"
    )


@pytest.fixture(scope="module")
def rows() -> list[measure.Row]:
    cheap = [one for one in CONTENDERS if one.name in ("direct", "OmniMind, HTTP upstream")]
    assert len(cheap) == 2
    troubled = [
        Contender("liar", "peer", liar),
        Contender("missing", "peer", liar, "no-such-package", "peers-none"),
        Contender("ends", "peer", ends_at_once),
    ]
    return measure.measure([*cheap, *troubled], upstreams=measure.UPSTREAMS[:1], **HOW)


@pytest.mark.timeout(120)
def test_those_that_work_have_figures(rows: list[measure.Row]) -> None:
    for row in rows[:2]:
        assert not row.trouble
        assert row.calls_checked == 80
        samples = row.samples[4]
        assert len(samples) == HOW["rounds"]
        assert all(
            one.calls > 10 and one.cpu_us_per_call > 0 and one.p99_ms >= one.p50_ms > 0 for one in samples
        )
        assert 0.5 < row.pss_mb < 200


def test_those_that_do_not_say_why_and_have_none(rows: list[measure.Row]) -> None:
    lies, missing, ends = rows[2:]
    assert "was answered with 'not " in lies.trouble
    assert "no-such-package is not installed: `make bench-peers`" in missing.trouble
    assert "it ended with 1 and does not answer" in ends.trouble
    assert "no such thing" in ends.trouble
    assert all(row.samples == {} for row in rows[2:])


def test_table_and_picture_have_every_row(rows: list[measure.Row], tmp_path: Path) -> None:
    found = document.document(rows, **HOW)
    data, page, picture = document.write(found, tmp_path, "peers")
    assert json.loads(data.read_text())["machine"]["cores"] > 0
    text = page.read_text()
    for row in rows:
        line = next(line for line in text.splitlines() if line.startswith("|") and row.name in line)
        assert (line.count("| - ") == 5) == bool(row.trouble)
    words = {(one.text or "").strip() for one in ElementTree.parse(picture).iter(f"{SVG}text")}
    assert {"direct", "OmniMind, HTTP upstream"} <= words
    assert "liar" not in words
    # What is read again from JSON makes the same page.
    assert document.markdown(json.loads(data.read_text()), picture.name) == text


@pytest.mark.parametrize(
    ("requests", "openings", "starts", "said"),
    [
        (1.2, 0.1, 0.1, ""),
        (2.2, 0.1, 0.0, "sends 2.2 messages upstream for one call"),
        (3.2, 1.1, 0.0, "opens 1.1 sessions upstream for one call"),
        (4.3, 1.2, 1.2, "starts 1.2 children for one call"),
    ],
)
def test_what_the_upstream_saw_is_named_as_the_cause(
    requests: float, openings: float, starts: float, said: str
) -> None:
    row = measure.Row(
        "one",
        "peer",
        "Python SDK",
        upstream_requests_per_call=requests,
        openings_per_call=openings,
        starts_per_call=starts,
    )
    assert row.cause() == said


def test_a_cause_that_one_upstream_saw_is_said_before_the_other_too() -> None:
    rows = [
        measure.Row("one", "peer", "near-free"),
        measure.Row("one", "peer", "Python SDK", openings_per_call=1.1),
        measure.Row("two", "peer", "Python SDK"),
    ]
    causes = [row["cause"] for row in document.document(rows, **HOW)["rows"]]
    assert causes == ["opens 1.1 sessions upstream for one call"] * 2 + [""]


@pytest.mark.alone
@pytest.mark.timeout(120)
def test_the_sdk_server_counts_by_http_and_stdio_and_answers_at_once(tmp_path: Path) -> None:
    """Nothing waits for an acknowledgement (40 ms), as it would if asyncio did not take its socket for TCP."""
    with measure.upstream("Python SDK", tmp_path) as before:
        begun = before.seen()
        assert begun == measure.Seen(0, 0, 0)
        assert answers.check(before.place.url, "echo") == 80
        assert before.seen() == measure.Seen(80 + 2 * answers.AT_ONCE, answers.AT_ONCE, 0)
        took_s = []
        with answers.client(before.place.url, "echo") as caller:
            for number in range(1, 21):
                begun_s = time.monotonic()
                caller.echo(number, "at once")
                took_s.append(time.monotonic() - begun_s)
        assert min(took_s) < 0.03
        http = before.seen()
        assert http is not None
        lines = [
            {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": INITIALIZE},
            {"jsonrpc": "2.0", "method": "notifications/initialized"},
            {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": ECHO},
        ]
        with subprocess.Popen(
            before.place.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            for line in lines:
                child.stdin.write(json.dumps(line) + "\n")
                child.stdin.flush()
                if "id" in line:
                    assert "result" in json.loads(child.stdout.readline())
            child.stdin.close()
        assert before.seen() == measure.Seen(http.requests + 3, http.openings + 1, 1)


def test_what_the_upstream_costs_is_not_the_contenders() -> None:
    assert starting.is_upstream(["/somewhere/omnimind-load", "upstream", "--stdio"])
    assert starting.is_upstream([sys.executable, str(contenders.HERE / "sdk_server.py"), "--stdio"])
    assert not starting.is_upstream(["node", "bridge.js", "--stdio", "omnimind-load upstream --stdio"])


def test_an_answer_is_found_in_json_and_among_events() -> None:
    assert answers.messages(b' {"id": 1}') == [{"id": 1}]
    assert answers.messages(b'event: message\r\ndata: {"id": 2}\r\n\r\n: ping\r\n\r\n') == [{"id": 2}]


def test_every_environment_of_a_peer_is_pinned_by_hash() -> None:
    for environment in {one.environment for one in CONTENDERS} - {"", contenders.NPM_ENVIRONMENT}:
        text = (ROOT / "requirements" / f"contract-{environment}.txt").read_text()
        assert text.count("==") <= text.count("--hash=sha256:")
    packages = json.loads((contenders.NPM / "package-lock.json").read_text())["packages"]
    assert all("integrity" in one for name, one in packages.items() if name)
