"""The commands of docs/origin.md run as they stand: the steps of the checklist, and the benchmark in short."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from omnimind import catalog
from omnimind.bench import verdict
from tests.docs.origin import PAGE, SPANS, TEXT
from tests.docs.pages import blocks
from tests.fleet import ROOT, wait_until

NINE = [builtin.name for builtin in catalog.BUILTINS]
READY_S = 60.0
COMMAND_S = 60.0


@dataclass(frozen=True)
class Home:
    """Somebody's home in which no port is anybody's, and in which `omnimind` and `python` are ours."""

    folder: Path
    environment: dict[str, str]

    @property
    def record(self) -> Path:
        return self.folder / "state" / "run.json"

    def run(self, command: str) -> str:
        """What a command says; it must succeed."""
        done = subprocess.run(
            ["bash", "-c", command],
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            env=self.environment,
            cwd=self.folder,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """A fleet in the foreground of a shell, once it is ready."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.environment,
            cwd=self.folder,
        )
        wait_until(lambda: self.record.exists() or process.poll() is not None, READY_S, command)
        assert process.poll() is None, command
        return process


@pytest.fixture
def home(tmp_path: Path, request: pytest.FixtureRequest) -> Home:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, what in (("omnimind", " -m omnimind"), ("python", "")):
        script = programs / name
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)}{what} "$@"\n')
        script.chmod(0o755)
    file = tmp_path / ".config" / "omnimind" / "mcp_servers.json"
    file.parent.mkdir(parents=True)
    servers: dict[str, Any] = {name: {"port": None} for name in request.param}
    file.write_text(json.dumps({"mcpServers": servers, "gateway": {"port": 0}}))
    ours = {
        "HOME": str(tmp_path),
        "OMNIMIND_STATE": str(tmp_path / "state"),
        "NO_COLOR": "1",
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
    }
    rest = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")}
    return Home(tmp_path, {**rest, **ours})


@pytest.fixture
def steps() -> tuple[list[str], list[str]]:
    """The commands before the fleet is up, that which starts it last; and those after."""
    before, after = (text.splitlines() for text in blocks(PAGE, "sh"))
    return before, after


@pytest.mark.timeout(180)
@pytest.mark.parametrize("home", [NINE], indirect=True, ids=["nine"])
def test_the_steps_of_the_checklist_work(home: Home, steps: tuple[list[str], list[str]]) -> None:
    *cleaning, start = steps[0]
    for command in cleaning:
        home.run(command)
    process = home.start(start)
    try:
        said = {command: home.run(command) for command in steps[1]}
        rows = json.loads(home.run("omnimind status --json"))["servers"]
        asking = """omnimind call --json context__get_context '{"query": "x", "max_tokens": 100000}'"""
        told = json.loads(home.run(asking))
        metrics = home.run(
            'curl -sf -H "Authorization: Bearer $(cat $OMNIMIND_STATE/token)" '
            f"{json.loads(home.record.read_text())['endpoints']['gateway'].removesuffix('/mcp')}/metrics"
        )
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert {row["name"]: row["state"] for row in rows} == dict.fromkeys(NINE, "ready")
    assert "MCP Latency Report" in said["omnimind monitor --duration 2"]
    assert "0 failures" in said["omnimind doctor --since 4h"]
    found = told["structuredContent"]
    assert (found["max_tokens"], found["target_tokens"]) == (100_000, 25_000)
    assert found["critical_info_preserved"] is True
    for counter in ("omnimind_cache_hits_total", "omnimind_cache_misses_total"):
        assert f"# TYPE {counter} counter" in metrics


@pytest.mark.parametrize("home", [["thinking"]], indirect=True, ids=["one"])
def test_the_orchestrator_starts_as_a_module(home: Home) -> None:
    (command,) = {words for words in SPANS if re.match(r"python -m .* --max", words)}
    process = home.start(command)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0


@pytest.mark.timeout(180)
def test_the_command_of_the_benchmark_works(tmp_path: Path) -> None:
    if not (ROOT / ".venv" / ".extension").exists():
        pytest.skip("the script runs what a build has made in .venv: make .venv/.extension")
    (script,) = re.findall(r"^\$ sudo (bash scripts/run_mcp_benchmark.sh) 60 100$", TEXT, re.MULTILINE)
    done = subprocess.run(
        [*script.split(), "4", "5", "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    texts = list(tmp_path.glob("ebpf_mcp_latency_*.txt"))
    assert [text.read_text() for text in texts] == [done.stdout]
    for kind in (".json", ".html"):
        assert texts[0].with_suffix(kind).exists()
    for line in (
        "MCP Latency Report (last ",
        "Syscall Latency Distribution (microseconds):",
        "Total calls: ",
    ):
        assert line in done.stdout
    assert all(line.p99 in done.stdout for line in verdict.TABLE)
