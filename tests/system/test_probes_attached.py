"""Real bpftrace on the probes of a real fleet: it sees each request once, and what it was.

Every bpftrace that is there is tried, as in `test_monitor.py`; in the full bar one that cannot attach is a failure.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from omnimind import _core
from tests import bpftraces
from tests.calling import Caller
from tests.fleet import Fleet, fixture_entry, wait_until
from tests.probes import probes, read

pytestmark = [pytest.mark.timeout(180)]

FULL = bool(os.environ.get("OMNIMIND_FULL"))
READ_S = 60.0
HOLD_MS = 60
ONCE = {"tools": {"count": {"quota": {"per_s": 0.001, "burst": 1}}}}
# Each probe asks for the gateway's number. With `-p` instead 0.27 attaches each twice: by the file, and by the process.
SCRIPT = """
BEGIN { printf("{\\"type\\": \\"attached\\"}\\n"); }
usdt:FILE:omnimind:request__start /pid == PID/ { @start[str(arg0), str(arg2)] = count(); }
usdt:FILE:omnimind:request__done /pid == PID/ {
  @done[str(arg0), str(arg2), str(arg3), str(arg5)] = count();
  @us[str(arg0), str(arg3)] = sum(arg4);
  @id[str(arg1)] = count();
}
usdt:FILE:omnimind:cache__hit /pid == PID/ { @hit[str(arg0)] = count(); }
usdt:FILE:omnimind:limiter__reject /pid == PID/ { @reject[str(arg0)] = count(); }
usdt:FILE:omnimind:restart /pid == PID/ { @restart[str(arg0)] = count(); }
"""


def why_not(program: str | None) -> str | None:
    """What is missing, if anything is."""
    if os.geteuid() != 0:
        return "probes are attached by root only; run as root to see them counted"
    if program is None:
        return "bpftrace is not installed; `apt-get install bpftrace` to see probes counted"
    tried = subprocess.run(
        [program, "-e", "BEGIN { exit(); }"], capture_output=True, text=True, timeout=READ_S, check=False
    )
    return None if tried.returncode == 0 else f"{program} cannot run here: {tried.stderr[-300:]}"


@pytest.fixture(
    scope="module",
    params=bpftraces.programs() or [None],
    ids=lambda one: bpftraces.label(one) if one else "none",
)
def bpftrace(request: pytest.FixtureRequest) -> str:
    program: str | None = request.param
    if reason := why_not(program):
        reason = f"PROBES ARE NOT TESTED: {reason}"
        if FULL:
            pytest.fail(reason)
        pytest.skip(reason)
    assert program is not None
    return program


@pytest.fixture(scope="module")
def fleet(bpftrace: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A new one for each bpftrace: what a limit or a memory has seen is not counted again."""
    folder = tmp_path_factory.mktemp("probes")

    def tally(name: str, **keys: Any) -> dict[str, Any]:
        return fixture_entry("tally", "--file", str(folder / name), sessions="shared", **keys)

    servers = {
        "kept": tally("kept", trust=["annotations"], cache={"ttl_ms": 600_000}),
        "rare": tally("rare", limits=ONCE),
        "dies": tally("dies", restart={"backoff_min_ms": 50}),
    }
    with Fleet(servers) as running:
        yield running


def gateway(fleet: Fleet) -> int:
    return next(p.pid for p in fleet.descendants() if "omnimind.gateway" in " ".join(p.cmdline()))


@contextmanager
def watched(fleet: Fleet, bpftrace: str) -> Iterator[dict[str, dict[str, int]]]:
    """What bpftrace counted in the block is there after it."""
    seen: dict[str, dict[str, int]] = {}
    assert _core.__file__ is not None
    script = SCRIPT.replace("FILE", _core.__file__).replace("PID", str(gateway(fleet)))
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        command = [bpftrace, "-f", "json", "-e", script]
        process = subprocess.Popen(command, stdout=out, stderr=errors)

        def text() -> str:
            out.seek(0)
            return out.read()

        try:
            wait_until(
                lambda: process.poll() is not None or "attached" in text(), READ_S, "bpftrace is attached"
            )
            wait_until(lambda: process.poll() is not None or is_on(fleet), READ_S, "semaphores are raised")
            if process.poll() is not None:
                errors.seek(0)
                pytest.fail(errors.read())
            yield seen
        finally:
            # Version 0.17 honours an inherited SIGINT ignore.
            process.send_signal(signal.SIGTERM)
            process.wait(READ_S)
        for line in text().splitlines():
            said = json.loads(line) if line.startswith("{") else {}
            if said.get("type") == "map":
                for name, value in said["data"].items():
                    seen[name.removeprefix("@")] = value


def is_on(fleet: Fleet) -> bool:
    """The kernel has raised a semaphore of the gateway: seen by a request that is told."""
    assert _core.__file__ is not None
    elf = read(Path(_core.__file__))
    semaphores = [probe.semaphore for probe in probes(elf)]
    pid = gateway(fleet)
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        if line.endswith(_core.__file__):
            base = int(line.split("-")[0], 16) - int(line.split()[2], 16)
            break
    else:
        return False
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        raised = []
        for semaphore in semaphores:
            memory.seek(base + semaphore)
            raised.append(int.from_bytes(memory.read(2), "little"))
    return all(raised)


def tool(caller: Caller, name: str, **arguments: Any) -> dict[str, Any]:
    return caller.call("tools/call", {"name": name, "arguments": arguments})


def test_every_request_is_seen_with_what_it_was(fleet: Fleet, bpftrace: str) -> None:
    kept, hits = 100, 300
    with closing(Caller(fleet.url("kept"), takes_kept=True)) as warm:
        tool(warm, "look", text="again")
    with watched(fleet, bpftrace) as seen:
        with closing(Caller(fleet.url("kept"))) as caller:
            for number in range(kept):
                tool(caller, "count", id=str(number))
            for _ in range(10):
                tool(caller, "look", text="slow", before_ms=HOLD_MS)
        with closing(Caller(fleet.url("kept"), takes_kept=True)) as caller:
            for _ in range(hits):
                tool(caller, "look", text="again")
        with closing(Caller(fleet.url("rare"))) as caller:
            tool(caller, "count", id="1")
            for _ in range(5):
                assert "error" in tool(caller, "count", id="2")
        with closing(Caller(fleet.aggregate)) as caller:
            caller.call("tools/list")
    assert seen["done"] == {
        "kept,tools/call,count,ok": kept,
        "kept,tools/call,look,ok": 10 + hits,
        "rare,tools/call,count,ok": 1,
        "rare,tools/call,count,rate_limited": 5,
        "_all,tools/list,,ok": 1,
    }
    assert seen["start"] == {"kept,tools/call": kept + 10 + hits, "rare,tools/call": 6, "_all,tools/list": 1}
    assert seen["id"] == {"1": sum(seen["start"].values())}
    # What was counted meanwhile made the first answer old.
    assert seen["hit"] == {"ram": hits - 1}
    assert seen["reject"] == {"rate_limited": 5}
    slow_us, hit_us = 10 * HOLD_MS * 1_000, hits * 20_000
    assert slow_us <= seen["us"]["kept,look"] <= slow_us * 3 + hit_us


def test_a_server_that_begins_anew_is_seen(fleet: Fleet, bpftrace: str) -> None:
    with closing(Caller(fleet.url("dies"))) as caller:
        assert "result" in tool(caller, "count", id="0")
    with watched(fleet, bpftrace) as seen:
        [child] = [p for p in fleet.descendants() if any(word.endswith("/dies") for word in p.cmdline())]
        child.kill()
        psutil.wait_procs([child], timeout=10)

        def again() -> bool:
            with closing(Caller(fleet.url("dies"))) as caller:
                return "result" in tool(caller, "count", id="1")

        wait_until(again, 20, "it is up again")
    assert seen["restart"] == {"dies": 1}


def test_nobody_is_told_anything_once_bpftrace_has_gone(fleet: Fleet, bpftrace: str) -> None:
    with watched(fleet, bpftrace):
        pass
    wait_until(lambda: not is_on(fleet), 10, "semaphores are down")
