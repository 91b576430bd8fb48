"""Real clients against a running fleet: six of them, on a server's own endpoint and on the aggregate.

Each visits the same server and tells what it saw in the same form, so one expectation serves all.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from backends import everything_fleet
from fleet import Fleet
from mcp import MCPError
from toolbox import Toolbox
from visitor import LEGACY, MODERN, VERSIONS, said, visit

pytestmark = [pytest.mark.bar, pytest.mark.timeout(120)]

HERE = Path(__file__).with_name("clients")
SERVER = "everything-stdio"
CLIENT_TIMEOUT_S = 60
TOOL_COUNT = 29
Report = dict[str, Any]
Visit = Callable[[Toolbox, str, str], Report]


def _run(command: list[str]) -> Report:
    done = subprocess.run(command, capture_output=True, text=True, timeout=CLIENT_TIMEOUT_S, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    report: Report = json.loads(done.stdout)
    return report


def typescript_v1(box: Toolbox, url: str, prefix: str) -> Report:
    return _run([str(box.node), str(HERE / "typescript_v1.mjs"), str(box.modules), url, prefix])


def typescript_v2_legacy(box: Toolbox, url: str, prefix: str) -> Report:
    return _run([str(box.node), str(HERE / "typescript_v2.mjs"), str(box.modules), url, prefix, "legacy"])


def typescript_v2_modern(box: Toolbox, url: str, prefix: str) -> Report:
    return _run([str(box.node), str(HERE / "typescript_v2.mjs"), str(box.modules), url, prefix, "auto"])


def python_v1(box: Toolbox, url: str, prefix: str) -> Report:
    return _run([str(box.python("legacy")), str(HERE / "python_v1.py"), url, prefix])


def python_v2_legacy(box: Toolbox, url: str, prefix: str) -> Report:
    return anyio.run(_python_v2, url, prefix, LEGACY)


def python_v2_modern(box: Toolbox, url: str, prefix: str) -> Report:
    return anyio.run(_python_v2, url, prefix, MODERN)


async def _python_v2(url: str, prefix: str, era: str) -> Report:
    steps: list[list[float | None]] = []

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        steps.append([progress, total])

    async with visit(url, era) as client:
        counted = await client.call_tool(f"{prefix}test_tool_with_progress", {}, progress_callback=progressed)
        refused = 0
        try:
            await client.call_tool(f"{prefix}no_such_tool", {})
        except MCPError as error:
            refused = error.error.code
        return {
            "version": client.protocol_version,
            "tools": [tool.name for tool in (await client.list_tools()).tools],
            "simple": said(await client.call_tool(f"{prefix}test_simple_text", {})),
            "counted": said(counted),
            "progress": steps,
            "failed": (await client.call_tool(f"{prefix}test_error_handling", {})).is_error,
            "asked": said(await client.call_tool(f"{prefix}test_elicitation", {"message": "Who are you?"})),
            "refused": refused,
        }


CLIENTS: dict[Visit, str] = {
    python_v2_modern: MODERN,
    python_v2_legacy: LEGACY,
    python_v1: LEGACY,
    typescript_v1: LEGACY,
    typescript_v2_legacy: LEGACY,
    typescript_v2_modern: MODERN,
}


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with everything_fleet(("stdio",)) as running:
        yield running


@pytest.mark.parametrize("aggregate", [False, True], ids=["own-endpoint", "aggregate"])
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
def test_a_client_lists_calls_is_asked_and_is_refused(
    toolbox: Toolbox, fleet: Fleet, client: Visit, aggregate: bool
) -> None:
    url = fleet.aggregate if aggregate else fleet.url(SERVER)
    prefix = f"{SERVER}__" if aggregate else ""
    report = client(toolbox, url, prefix)
    assert report["version"] == VERSIONS[CLIENTS[client]]
    assert len(report["tools"]) == TOOL_COUNT
    assert all(name.startswith(prefix) for name in report["tools"])
    assert report["simple"] == "This is a simple text response for testing."
    assert report["counted"] == "Tool with progress executed successfully"
    assert report["progress"] == [[0, 100], [50, 100], [100, 100]]
    assert report["failed"] is True
    assert report["asked"].startswith("User response: action=accept")
    assert report["refused"] == -32602


@pytest.mark.parametrize(
    ("form", "shown"), [("signatures", ["call_tool"]), ("search", ["find_tool", "call_tool"])]
)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
def test_a_client_that_is_told_of_no_tool_calls_each_by_its_name(
    toolbox: Toolbox, fleet: Fleet, client: Visit, form: str, shown: list[str]
) -> None:
    prefix = f"{SERVER}__"
    told, whole = (
        client(toolbox, f"{fleet.aggregate}?tools={list_form}", prefix) for list_form in (form, "whole")
    )
    assert (told.pop("tools"), len(whole.pop("tools"))) == (shown, TOOL_COUNT)
    assert told == whole
