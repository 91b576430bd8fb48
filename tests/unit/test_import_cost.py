"""What importing costs: help is there at once, and light modules stay light."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

HEAVY = {
    "mcp",
    "mcp_types",
    "pydantic",
    "msgpack",
    "psutil",
    "asyncio",
    "anyio",
    "lz4",
    "ssl",
    "http",
    "argparse",
    "json",
}
HANG_S = 1.5


def modules_after(statement: str) -> set[str]:
    script = f"{statement}\nimport sys\nprint('\\n' + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_help_imports_nothing_heavy() -> None:
    assert not modules_after("from omnimind import cli; cli.main(['--help'])") & HEAVY


@pytest.mark.parametrize("module", ["settings", "tokens", "catalog", "errors"])
def test_what_the_orchestrator_imports_is_light(module: str) -> None:
    assert not modules_after(f"import omnimind.{module}") & (HEAVY - {"json"})


@pytest.mark.roomy
def test_help_does_not_hang() -> None:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "omnimind", "--help"], capture_output=True, text=True, timeout=30
    )
    assert time.monotonic() - began < HANG_S
    assert done.returncode == 0
    assert "usage: omnimind" in done.stdout


def test_the_token_bucket_is_there_at_once_and_starts_no_thread() -> None:
    script = (
        "import os, time; began = time.perf_counter(); import omnimind.limits; "
        "print(time.perf_counter() - began, len(os.listdir('/proc/self/task')))"
    )
    runs = [subprocess.run([sys.executable, "-c", script], capture_output=True, check=True) for _ in range(5)]
    took_s, threads = zip(*(run.stdout.split() for run in runs), strict=True)
    assert set(threads) == {b"1"}
    assert min(map(float, took_s)) <= 0.010
