"""A built wheel in an empty environment: it holds what it should, and its commands start a fleet that stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fleet import ROOT, wait_until

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of what the extension was built from: with the same profile and interpreter nothing is compiled again."""
    folder = tmp_path_factory.mktemp("wheel")
    maturin = Path(sys.executable).with_name("maturin")
    profile = os.environ.get("CARGO_PROFILE", "release")
    command = [maturin, "build", "--quiet", "--locked", "--profile", profile, "--interpreter", sys.executable]
    subprocess.run([*command, "--out", folder], cwd=ROOT, check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it needs, at the versions the lock file pins."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pins = ROOT / "requirements" / "dev.txt"
    constraints = folder / "constraints.txt"
    lines = [
        line.rstrip(" \\")
        for line in pins.read_text().splitlines()
        if "==" in line and not line.startswith(" ")
    ]
    constraints.write_text("\n".join(lines))
    subprocess.run(
        [
            folder / "bin" / "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-c",
            constraints,
            wheel,
        ],
        check=True,
    )
    return folder / "bin"


@contextmanager
def running(command: list[str | Path], state: Path) -> Iterator[dict[str, object]]:
    """A fleet started by `command`; on the way out it is interrupted and must end well."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "OMNIMIND"))}
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=clean, cwd="/"
    )
    record = state / "run.json"
    try:
        wait_until(lambda: record.exists() or process.poll() is not None, 60, "the fleet is ready")
        assert process.poll() is None
        yield json.loads(record.read_text())
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    strangers = [name for name in names if not name.startswith(("omnimind/", "omnimind-"))]
    assert strangers == []
    assert not [name for name in names if name.endswith((".pth", ".pyc"))]
    data = ("omnimind/py.typed", "omnimind/mcp_servers.schema.json", "omnimind/bench/nine.json")
    for wanted in ("omnimind/_core.abi3.so", *data):
        assert wanted in names
    templates = [file.name for file in (ROOT / "python/omnimind/systemd/units").iterdir()]
    assert templates
    assert {f"omnimind/systemd/units/{name}" for name in templates} <= set(names)


def test_omnimind_up_works_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    command = [environment / "omnimind", "up", "--port", "0", "--state", tmp_path]
    with running(command, tmp_path):
        shown = subprocess.run(
            [environment / "omnimind", "list", "--json", "--state", tmp_path],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        assert "thinking__sequentialthinking" in shown.stdout
        words = ["--rate", "30", "--duration", "1", "--warmup", "0", "--json", "-", "--state", tmp_path]
        stressed = subprocess.run(
            [environment / "omnimind", "stress", *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        found = json.loads(stressed.stdout)["load"]
        assert found["right"] == found["sent"] > 0


def test_the_orchestrator_module_works_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    orchestrator = [environment / "python", "-m", "omnimind.orchestrator", "--max-restart-attempts=3"]
    with running([*orchestrator, "--port", "0", "--state", tmp_path], tmp_path) as record:
        assert record["endpoints"]
