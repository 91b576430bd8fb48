"""The python server in a real fleet: forked by the fleet's zygote, confined, with a jail that is replaced with it."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import psutil
import pytest

from omnimind.linux import landlock, seccomp
from tests.calling import Caller
from tests.fleet import Fleet, wait_until

pytestmark = pytest.mark.skipif(
    landlock.abi() == 0 or not seccomp.available(), reason="this machine has no jail: the server refuses"
)


def execute(fleet: Fleet, code: str) -> dict[str, Any]:
    params = {"name": "execute", "arguments": {"code": code, "engine": "jail"}}
    answer = Caller(fleet.url("python"), fresh=True).call("tools/call", params)
    result: dict[str, Any] = answer.get("result", answer)  # while a worker is replaced, it may be an error
    return result


def zygotes(fleet: Fleet) -> list[psutil.Process]:
    """The jails' own interpreters; what one has just forked has its name for a moment."""
    found: list[psutil.Process] = []
    for process in fleet.descendants():
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name() == "omnimind-jail" and process.status() != "zombie":
                found.append(process)
    born = {process.pid for process in found}
    return [process for process in found if process.ppid() not in born]


def test_code_runs_in_a_jail_that_the_fleet_keeps_alive() -> None:
    with Fleet({"python": {"port": 0}, "thinking": {"port": 0}}) as fleet:
        found = execute(fleet, "import os\nos.getppid(), [name for name in os.environ if 'OMNI' in name]")
        (zygote,) = zygotes(fleet)
        assert found["structuredContent"]["value"] == f"({zygote.pid}, [])"
        assert zygote.environ().keys() == {"LANG", "PATH", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"}
        assert zygote.cwd() == "/"
        descriptors = [file.fd for file in zygote.open_files()]
        assert descriptors == [], descriptors
        worker = zygote.parent()
        assert worker is not None
        zygote.kill()
        said = json.dumps(execute(fleet, "1"))
        assert '"value": "1"' in said or "try again" in said or "error" in said
        wait_until(lambda: not worker.is_running() or worker.status() == "zombie", 20, "the worker is gone")
        wait_until(lambda: len(zygotes(fleet)) == 1, 20, "there is a new jail")
        wait_until(
            lambda: execute(fleet, "1 + 1").get("structuredContent", {}).get("value") == "2", 20, "it works"
        )
