"""The tools for code in a worker as the orchestrator runs it: fenced, and asked for several principals."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fixtures.examples import Examples, examples_of

from omnimind.linux import landlock, seccomp
from tests.system.worker_process import WorkerProcess, connected, worker

pytestmark = pytest.mark.skipif(
    landlock.abi() == 0 or not seccomp.available(), reason="this machine has no jail"
)


@pytest.fixture
def house(tmp_path: Path) -> Examples:
    (tmp_path / "root").mkdir()
    return examples_of("python", tmp_path / "root")


async def _every_example(running: WorkerProcess, house: Examples) -> dict[str, Any]:
    found: dict[str, Any] = {}
    async with connected(running) as peer:
        for example in house.examples:
            result = await peer.call(example.tool, house.good(example, found))
            assert not result.get("isError"), (example.tool, result)
            found[example.tool] = result.get("structuredContent")
    return found


def test_every_tool_works_behind_the_fence(tmp_path: Path, house: Examples) -> None:
    with worker("python", tmp_path, *house.args) as running:
        found = asyncio.run(_every_example(running, house))
    assert found["format_files"]["written"]
    assert (tmp_path / "root/project/messy.py").read_text() == "import os\n\nx = 1\n"
    assert found["run_tests"]["summary"] == {"passed": 1}
    assert not list((tmp_path / "python/runs").iterdir())


def test_what_one_principal_installs_and_runs_is_not_anothers(tmp_path: Path, house: Examples) -> None:
    async def both() -> tuple[Any, Any, Any]:
        code = "def test_a():\n    import tiny\n"
        async with connected(running) as peer:
            peer.principal = "ada"
            await peer.call("install_package", {"packages": ["tiny"]})
            own = await peer.call("run_tests", {"code": code})
            ran = await peer.call("execute", {"code": "import tiny\ntiny.VALUE"})
            peer.principal = "bob"
            other = await peer.call("run_tests", {"code": code})
            read = await peer.call("run_tests", {"run": own["structuredContent"]["run"]})
            refused = await peer.call("execute", {"code": "import tiny"})
        assert not ran.get("isError"), ran
        assert "No module named" in str(refused["content"])
        return own["structuredContent"]["summary"], other["structuredContent"]["summary"], read

    with worker("python", tmp_path, *house.args) as running:
        own, other, read = asyncio.run(both())
    assert (own, other) == ({"passed": 1}, {"failed": 1})
    assert read["isError"]


def test_the_fleets_own_state_is_no_source_of_code(tmp_path: Path) -> None:
    (tmp_path / "key.py").write_text("KEY = 1\n")

    async def asked() -> list[Any]:
        async with connected(running) as peer:
            return [
                await peer.call("format_files", {"path": str(tmp_path / "key.py")}),
                await peer.call("run_tests", {"path": str(tmp_path)}),
            ]

    with worker("python", tmp_path, str(tmp_path)) as running:
        for result in asyncio.run(asked()):
            assert result["isError"]
            assert "OmniMind's own state" in result["content"][0]["text"]
