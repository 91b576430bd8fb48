"""The throw-away fleet of the nine: whatever ends its master, no process and no folder of it is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from omnimind import catalog
from omnimind.bench import health, nine_world
from omnimind.bench.nine import COMPRESSIBLE, Nine, calls
from omnimind.cli.fleet import ask
from omnimind.cli.mcp_client import Client

pytestmark = pytest.mark.timeout(180)

GONE_S = 40
WRITERS = {"filesystem", "memory", "thinking", "context", "python", "sqlite", "logging"}
MASTER = """
import json, signal, sys, threading
from omnimind.bench import health, nine_world
from omnimind.bench.nine import Nine
from omnimind.cli.fleet import ask
from omnimind.cli.mcp_client import Client
with Nine(ask, Client) as nine:
    print(json.dumps({"folder": str(nine.folder), "guard": nine.status()["guard"]["pid"]}), flush=True)
    threading.Event().wait()
"""


def test_nothing_is_left_of_it_when_its_master_is_interrupted_or_killed() -> None:
    command = [sys.executable, "-c", MASTER]
    numbers = (signal.SIGINT, signal.SIGKILL)
    masters = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in numbers]
    for master, number in zip(masters, numbers, strict=True):
        with master:
            assert master.stdout is not None
            found: dict[str, Any] = json.loads(master.stdout.readline())
            family = psutil.Process(master.pid).children(recursive=True)
            assert found["guard"] in {process.pid for process in family}
            assert len(family) > len(catalog.BUILTINS)
            assert Path(found["folder"]).is_dir()
            master.send_signal(number)
            master.wait(GONE_S)
        _, alive = psutil.wait_procs(family, timeout=GONE_S)
        assert not alive
        assert not Path(found["folder"]).exists()


def test_the_mix_is_as_promised_and_nothing_is_left_when_the_keeper_is_killed() -> None:
    mix = calls().calls
    weight = sum(call.weight for call in mix)
    assert {call.server for call in mix} == {builtin.name for builtin in catalog.BUILTINS}
    assert sum(call.weight for call in mix if call.tool == "python__execute") >= 0.02 * weight
    assert set(COMPRESSIBLE) <= {call.tool for call in mix}
    with Nine(ask, Client) as nine:
        with nine.client() as client, Client(f"{nine.url}?tools=whole", nine.token, 30) as operator:
            hints = {tool["name"]: tool["annotations"] for tool in operator.tools()}
            for call in mix:
                result = client.request(
                    "tools/call", {"name": call.tool, "arguments": health.arguments(call)}
                )
                assert not result.get("isError"), (call, result["content"])
        writes = [call for call in mix if not hints[call.tool]["readOnlyHint"]]
        assert sum(call.weight for call in writes) >= 0.2 * weight
        assert {call.server for call in writes} >= WRITERS
        repeatable = nine.repeatable()
        assert "filesystem__write_file" in repeatable
        assert not repeatable & {"python__execute", "memory__store_memory", "sqlite__write_query"}
        keeper = psutil.Process(psutil.Process(nine.status()["guard"]["pid"]).ppid())
        family = keeper.children(recursive=True)
        os.kill(keeper.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(family, timeout=GONE_S)
        assert not alive
    assert not nine.folder.exists()


def test_the_same_seed_makes_the_same_world(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        (tmp_path / name).mkdir()
        nine_world.write(tmp_path / name, seed)
    one, same, other = (_contents(tmp_path / name) for name in ("one", "same", "other"))
    assert one == same
    assert one.keys() == other.keys()
    assert one["head"] != other["head"]
    assert list(nine_world.belongings(3)) == list(nine_world.belongings(3))


def _contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts)
    found = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    return {**found, "head": (folder / "files/shop/.git/refs/heads/main").read_bytes()}
