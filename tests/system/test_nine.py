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
from omnimind.bench.nine import COMPRESSIBLE, Nine, calls
from omnimind.cli.fleet import ask
from omnimind.cli.mcp_client import Client
from tests.fleet import wait_until

pytestmark = pytest.mark.timeout(180)

GONE_S = 40
MASTER = """
import json, signal, sys, threading
from omnimind.bench.nine import Nine
from omnimind.cli.fleet import ask
from omnimind.cli.mcp_client import Client
with Nine(ask, Client) as nine:
    print(json.dumps({"folder": str(nine.folder), "guard": nine.status()["guard"]["pid"]}), flush=True)
    threading.Event().wait()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_it_when_its_master_is_interrupted_or_killed(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MASTER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as master:
        assert master.stdout is not None
        found: dict[str, Any] = json.loads(master.stdout.readline())
        family = psutil.Process(master.pid).children(recursive=True)
        assert found["guard"] in {process.pid for process in family}
        assert len(family) > len(catalog.BUILTINS)
        master.send_signal(number)
        master.wait(GONE_S)
    gone, alive = psutil.wait_procs(family, timeout=GONE_S)
    assert not alive
    assert len(gone) == len(family)
    assert not Path(found["folder"]).exists()


def test_nothing_is_left_of_it_when_its_keeper_is_killed() -> None:
    with Nine(ask, Client) as nine:
        keeper = psutil.Process(psutil.Process(nine.status()["guard"]["pid"]).ppid())
        family = keeper.children(recursive=True)
        os.kill(keeper.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(family, timeout=GONE_S)
        assert not alive
    wait_until(lambda: not nine.folder.exists(), GONE_S, "the folder is gone")


def test_every_call_of_the_mix_is_answered_right_and_its_shares_are_as_promised() -> None:
    mix = calls().calls
    weight = sum(call.weight for call in mix)
    assert {call.server for call in mix} == {builtin.name for builtin in catalog.BUILTINS}
    assert sum(call.weight for call in mix if call.tool == "python__execute") >= 0.02 * weight
    assert set(COMPRESSIBLE) <= {call.tool for call in mix}
    with (
        Nine(ask, Client) as nine,
        nine.client() as client,
        Client(f"{nine.url}?tools=whole", nine.token, 30) as all_,
    ):
        hints = {tool["name"]: tool["annotations"] for tool in all_.tools()}
        writes = [call for call in mix if not hints[call.tool]["readOnlyHint"]]
        assert sum(call.weight for call in writes) >= 0.2 * weight
        assert {call.server for call in writes} >= {
            "filesystem",
            "memory",
            "thinking",
            "context",
            "sqlite",
            "logging",
        }
        repeatable = nine.repeatable()
        assert "filesystem__write_file" in repeatable
        assert not repeatable & {"python__execute", "memory__store_memory", "sqlite__write_query"}
        for call in mix:
            said = (
                call.arguments.replace("$NUMBER", "7")
                .replace("$RUN", "r")
                .replace("$PAD", "x" * call.size_bytes)
            )
            result = client.request("tools/call", {"name": call.tool, "arguments": json.loads(said)})
            assert not result.get("isError"), (call, result["content"])
