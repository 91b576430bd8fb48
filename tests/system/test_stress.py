"""`omnimind stress` against a real fleet and a near-free server: what it reports is what happened."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benches import load
from omnimind import catalog
from omnimind.cli import fleet as control
from omnimind.errors import Exit
from tests.fleet import ROOT, Fleet

pytestmark = pytest.mark.timeout(120)

COMMAND = [sys.executable, "-m", "omnimind", "stress"]
NAMES = {builtin.name for builtin in catalog.BUILTINS}
ECHO = ["--tool", "echo", "--arguments", '{"text": "$CANARY"}']


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    restart = {"max_attempts": 100, "backoff_min_ms": 0, "backoff_max_ms": 0}
    with Fleet({name: {"restart": restart} for name in NAMES}, auth=True) as running:
        yield running


@pytest.fixture(scope="module")
def free() -> Iterator[load.Upstream]:
    with load.Upstream() as server:
        yield server


def stress(*words: str, code: int = Exit.OK) -> tuple[dict[str, Any], str]:
    """The report as JSON, and what was said beside it."""
    done = subprocess.run([*COMMAND, *words, "--json", "-"], capture_output=True, text=True, timeout=90)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout), done.stderr


def calls_at(free: load.Upstream) -> int:
    """How many calls the server says it answered."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", free.port, timeout=10)
    connection.request("POST", "/mcp", json.dumps({"jsonrpc": "2.0", "id": 0, "method": "near-free/calls"}))
    count: int = json.loads(connection.getresponse().read())["result"]["calls"]
    connection.close()
    return count


def test_the_running_fleet_is_called_and_its_processes_are_measured(fleet: Fleet, tmp_path: Path) -> None:
    files = [tmp_path / "out" / f"report.{ending}" for ending in ("json", "html", "png")]
    words = ("--rate", "60", "--duration", "2", "--warmup", "1", "--era", "both", "--profile", "spike")
    out = ("--json", files[0], "--html", files[1], "--png", files[2])
    command = [*COMMAND, "--state", fleet.state, *words, *out]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == Exit.OK, done.stdout + done.stderr
    report = json.loads(files[0].read_text())
    found = report["load"]
    assert found["right"] == found["sent"] > 200, done.stdout
    for parts in ("phases", "tools", "servers", "eras"):
        assert sum(part["calls"] for part in found[parts]) == found["measured"]
    assert {part["name"] for part in found["servers"] if part["calls"]} == NAMES
    assert [part["offered_per_s"] for part in found["phases"]] == [60.0, 300.0, 60.0]
    uses = {use["name"]: use for use in report["uses"]}
    assert set(uses) == {"gateway", *NAMES}
    assert uses["gateway"]["cpu_s"] > 0
    assert uses["memory"]["rss_peak_bytes"] > 5 << 20
    text, page = done.stdout, files[1].read_text()
    with Image.open(files[2]) as picture:
        assert (picture.format, picture.width) == ("PNG", 1360)
        assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 50
    assert max(map(len, text.splitlines())) <= 80
    assert f"{found['sent']:,} sent, {found['right']:,} right, 0 failed, 0 wrong" in text
    assert f"<dd>{found['sent']:,}</dd>" in page
    for key in ("p50", "p90", "p99", "p999", "max"):
        shown = re.search(rf"{key.replace('p999', 'p99.9')} ([\d.]+)", text)
        assert shown is not None
        assert float(shown[1]) == pytest.approx(found["latency_ms"][key], rel=0.01)
        assert f"<dd>{shown[1]}</dd>" in page
    assert fleet.token not in text + page + files[0].read_text()


def test_workers_are_killed_meanwhile_and_come_back(fleet: Fleet) -> None:
    words = (
        "--state",
        str(fleet.state),
        "--rate",
        "50",
        "--duration",
        "5",
        "--warmup",
        "0",
        "--chaos",
        "1.5",
    )
    report, _ = stress(*words)
    kills = report["kills"]
    assert len(kills) >= 2
    assert len({kill["pid"] for kill in kills}) == len(kills)
    assert all(kill["back_s"] is not None for kill in kills), kills
    rows = {row["name"]: row for row in control.ask(fleet.state, {"cmd": "status"})["servers"]}
    assert all(rows[kill["server"]]["pid"] != kill["pid"] for kill in kills)
    assert sum(row["restarts"] for row in rows.values()) >= len(kills)
    assert report["load"]["right"] > 150
    uses = {use["name"]: use["processes"] for use in report["uses"]}
    assert [uses[kill["server"]] for kill in kills] == [2] * len(kills), (
        "a worker that was replaced counts as two"
    )


def test_its_count_is_the_servers_own(free: load.Upstream, tmp_path: Path) -> None:
    mix = {
        "calls": [
            {"tool": "echo", "arguments": {"text": "$CANARY$PAD"}, "sizes_bytes": [0, 3000]},
            {"tool": "echo", "arguments": {"text": "$RUN-$NUMBER"}, "weight": 2},
            {"tool": "missing"},
        ],
        "principals": [{"name": "ann"}, {"name": "bob"}],
    }
    (tmp_path / "mix.json").write_text(json.dumps(mix))
    before = calls_at(free)
    report, _ = stress(
        "--url", free.url, "--mix", str(tmp_path / "mix.json"), "--rate", "800", "--duration", "2"
    )
    found = report["load"]
    refused = found["errors"].pop("rpc_-32602")
    assert found["errors"] == {}
    assert found["right"] + refused == found["sent"]
    assert calls_at(free) - before == found["right"]
    assert report["uses"] == []
    assert [part["name"] for part in found["tools"]] == ["echo", "echo", "echo", "missing"]


def test_of_an_endpoint_that_is_not_ours_what_only_reads_is_called(free: load.Upstream) -> None:
    words = ("--url", free.url, "--rate", "50", "--duration", "1")
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == Exit.USAGE
    assert "error[OM0901]: no tool there is known to be harmless" in done.stderr


def test_limits_that_do_not_hold_are_exit_code_1(free: load.Upstream) -> None:
    words = ("--url", free.url, *ECHO, "--rate", "200", "--duration", "1", "--warmup", "0")
    _, said = stress(*words, "--max-p99", "0.001", code=Exit.FAILURE)
    assert re.search(r"failed: p99 is [\d.]+ ms, above 0.001 ms", said)


def test_a_target_that_is_not_there_is_said_and_is_exit_code_1(tmp_path: Path) -> None:
    nowhere = ("--url", "http://127.0.0.1:1/mcp", *ECHO, "--duration", "0.3", "--warmup", "0")
    report, said = stress(*nowhere, code=Exit.FAILURE)
    assert report["load"]["errors"]["connect"] == report["load"]["sent"] > 0
    assert "failed: no call was answered" in said
    done = subprocess.run([*COMMAND, *nowhere, "--era", "legacy"], capture_output=True, text=True, timeout=60)
    assert done.returncode == Exit.FAILURE
    assert "error[OM0902]: the target could not be opened" in done.stderr
    done = subprocess.run([*COMMAND, "--state", tmp_path], capture_output=True, text=True, timeout=60)
    assert done.returncode == Exit.NO_FLEET


def test_a_token_that_is_wrong_is_no_right_answer(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("wrong")
    words = (
        "--url",
        fleet.aggregate,
        "--token-file",
        str(tmp_path / "token"),
        "--tool",
        "memory__open_nodes",
    )
    report, _ = stress(*words, "--duration", "0.5", "--warmup", "0", code=Exit.FAILURE)
    assert report["load"]["right"] == 0
    assert set(report["load"]["errors"]) <= {"rpc_40100", "http_401"}


def test_ctrl_c_ends_the_sending_and_the_report_is_of_what_was_sent(free: load.Upstream) -> None:
    words = [*COMMAND, "--url", free.url, *ECHO, "--duration", "10m", "--warmup", "0", "--json", "-"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        before = calls_at(free)
        while calls_at(free) < before + 50:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=30)
    assert process.returncode == Exit.INTERRUPTED, said
    report = json.loads(out)
    assert report["interrupted"]
    assert report["load"]["sent"] == report["load"]["right"] == calls_at(free) - before
    assert not [why for why in report["load"]["saturated_by"] if "arrivals" in why], (
        "what was not due is no arrears"
    )


def test_a_terminal_shows_one_line_that_is_written_over(free: load.Upstream) -> None:
    ours, theirs = pty.openpty()
    words = [*COMMAND, "--url", free.url, *ECHO, "--duration", "2", "--warmup", "1"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:
        pass  # the other side was closed: it ended
    os.close(ours)
    assert process.wait(10) == Exit.OK
    assert b"\n" not in shown
    lines = [line.strip() for line in shown.decode().split("\r") if line.strip()]
    assert "warming up" in lines[0]
    assert re.fullmatch(r"\d/3 s  [\d,]+/s  p50 [\d.]+ p99 [\d.]+ ms  0 failed(, late [\d.]+ ms)?", lines[-1])
    assert max(map(len, lines)) < 80


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--closed", "--rate", "5"], "--closed has no --rate"),
        (["--closed", "--profile", "ramp"], "--profile ramp changes the rate"),
        (["--mix", "x", "--tool", "y"], "--mix and --tool"),
        (["--url", "http://x", "--chaos"], "--chaos kills workers of the running fleet"),
        (["--duration", "soon"], "'soon' is no length of time"),
        (["--rate", "0"], "it must be above 0"),
        (["--url", "https://x", "--tool", "y"], '"https://x" is no http:// URL'),
    ],
)
def test_what_does_not_go_together_is_refused_in_words(words: list[str], said: str) -> None:
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == Exit.USAGE
    assert said in done.stderr
    assert done.stderr.startswith("error[OM0100]")


def test_the_script_of_the_first_documents_is_the_same_command(free: load.Upstream) -> None:
    script = [sys.executable, ROOT / "scripts" / "test_mcp_stress.py"]
    words = ["--url", free.url, *ECHO, "--rate", "100", "--duration", "0.5", "--warmup", "0"]
    done = subprocess.run([*script, *words], capture_output=True, text=True, timeout=60, cwd="/")
    assert done.returncode == Exit.OK, done.stderr
    assert "omnimind stress: http://127.0.0.1" in done.stdout
