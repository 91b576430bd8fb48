"""Nothing is orphaned: whichever of our processes ends, however it ends, whatever its servers have started.

The servers here ignore SIGTERM and the end of stdin, and have grandchildren that ignore SIGTERM too: in a
session of their own, behind shells, as daemons, and as daemons that dropped their environment.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from omnimind.linux import proc
from omnimind.orchestrator import ledger
from tests.fleet import Fleet, wait_until
from tests.system.double import identity, is_ready, living, row, status, tiny, tree, whoami
from tests.system.leftovers import SHAPES, Processes, decoy_command, end, fleet_of_breeders

GONE_S = 2.0
STOP_S = 20.0
BACK_S = 30.0
KILLS = 50 if os.environ.get("OMNIMIND_FULL") else 2
SIGNALS = [signal.SIGTERM, signal.SIGKILL]


@pytest.fixture
def offspring(tmp_path: Path) -> Path:
    return tmp_path / "offspring"


def pid_of(fleet: Fleet, victim: str) -> int:
    if victim == "guard":
        return fleet.pid
    now = status(fleet)
    if victim in ("orchestrator", "gateway", "zygote"):
        return int(now[victim]["pid"])
    return int(row(fleet, victim)["pid"])


def below(pid: int) -> Processes:
    """A process and all that it started, daemons included: those bear its mark, or were seen below it."""
    found = proc.descendants(pid, proc.scan())
    return {identity(pid), *((process.pid, process.start_time) for process in found)}


def all_ready(fleet: Fleet) -> bool:
    now = status(fleet)
    return now["gateway"]["state"] == "ready" and all(r["state"] == "ready" for r in now["servers"])


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("victim", ["guard", "orchestrator"])
def test_the_end_of_guard_or_orchestrator_leaves_nothing_of_before(
    victim: str, number: signal.Signals, offspring: Path
) -> None:
    fleet = fleet_of_breeders(offspring).start()
    before = tree(fleet.pid)
    assert {pid for pid, _ in before} >= {int(line) for line in offspring.read_text().split()}
    try:
        os.kill(pid_of(fleet, victim), number)
        # Asked to stop, the fleet gives what is in flight its time; killed, nothing lives on.
        patience_s = STOP_S if number == signal.SIGTERM else GONE_S
        wait_until(lambda: not living(before), patience_s, "all that ran before is gone")
        if victim == "orchestrator" and number == signal.SIGKILL:
            wait_until(lambda: all_ready(fleet), BACK_S, "the fleet is back")
    finally:
        fleet.stop()
        left = living(before)
        end(before)
    assert left == set()


@pytest.mark.parametrize("number", SIGNALS)
def test_the_end_of_any_other_process_leaves_nothing_of_it(number: signal.Signals, offspring: Path) -> None:
    fleet = fleet_of_breeders(offspring, backoff_max_ms=50).start()
    ever = tree(fleet.pid)
    try:
        for victim in ("gateway", "zygote", "filesystem", *SHAPES, "shelled"):
            pid = pid_of(fleet, victim)
            bred = {int(line) for line in offspring.read_text().split()}
            before = below(pid) | _of_the_mark(pid, bred)
            if number == signal.SIGTERM and victim in SHAPES:
                continue  # it ignores that
            os.kill(pid, number)
            wait_until(lambda gone=before: not living(gone), GONE_S, f"{victim} and its own are gone")  # type: ignore[misc]
            wait_until(lambda: all_ready(fleet), BACK_S, f"there is another {victim}")
            ever |= tree(fleet.pid)
    finally:
        fleet.stop()
        left = living(ever)
        end(ever)
    assert left == set()


def _of_the_mark(pid: int, bred: set[int]) -> Processes:
    """Those of `bred` that bear the same mark as `pid`."""
    mark = proc.variable(pid, ledger.MARK.encode())
    same = {other for other in bred if mark and proc.variable(other, ledger.MARK.encode()) == mark}
    return {identity(other) for other in same}


@pytest.mark.roomy
@pytest.mark.bar
@pytest.mark.timeout(60 + 20 * KILLS)
def test_killed_orchestrators_leave_no_orphan_and_touch_no_stranger(offspring: Path) -> None:
    fleet = fleet_of_breeders(offspring)
    decoy = subprocess.Popen(decoy_command(), stdout=subprocess.PIPE, start_new_session=True)
    assert decoy.stdout is not None
    decoy.stdout.readline()
    stranger = identity(decoy.pid)
    gone_s: list[float] = []
    back_s: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        fleet._document["mcpServers"]["wants"] = tiny(port=port)
        try:
            with fleet:
                for _ in range(KILLS):
                    before = tree(fleet.pid)
                    _enter_recycled(fleet, decoy.pid)
                    old = pid_of(fleet, "orchestrator")
                    killed_s = time.monotonic()
                    os.kill(old, signal.SIGKILL)
                    wait_until(lambda gone=before: not living(gone), GONE_S, "all is gone")  # type: ignore[misc]
                    gone_s.append(time.monotonic() - killed_s)
                    wait_until(lambda was=old: _is_back(fleet, was), BACK_S, "the fleet is back")  # type: ignore[misc]
                    back_s.append(time.monotonic() - killed_s)
                    assert whoami(fleet, "wants")["got"]["result"]["pid"] == row(fleet, "wants")["pid"]
                    assert f"port {port} is held by" in row(fleet, "wants")["reason"]
                last = tree(fleet.pid)
            assert living(last) == set()
            assert living({stranger}) == {stranger}
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        finally:
            decoy.kill()
            decoy.communicate()
    print(f"{KILLS} kills: all gone within {max(gone_s):.2f} s, all ready again within {max(back_s):.2f} s")


def _enter_recycled(fleet: Fleet, pid: int) -> None:
    """As if a process of the fleet had had the stranger's pid: once with another start, once another program."""
    found = identity(pid)
    lines = [
        {"started": [pid, found[1] - 1], "uid": os.geteuid(), "exe": list(proc.executable(pid) or ())},
        {"started": list(found), "uid": os.geteuid(), "exe": [1, 1]},
    ]
    with (fleet.state / ledger.FILE).open("a") as file:
        file.write("".join("\n" + json.dumps(line) for line in lines))


def _is_back(fleet: Fleet, old: int) -> bool:
    try:
        return pid_of(fleet, "orchestrator") != old and all_ready(fleet) and is_ready(fleet, "wants")
    except Exception:
        return False
