"""The gateway as a unit beside the servers' units: what its end, its hang and its restart do to them and to clients."""

from __future__ import annotations

import json
import shlex
import sys

import pytest

from tests.fleet import FIXTURES, wait_until
from tests.system.systemd.machine import FULL, HOME, Machine

UNIT = "omnimind-gateway.service"
SERVER = "omnimind-mcp@memory.service"
CONFIG = f"{HOME}/.config/omnimind/mcp_servers.json"
HANG_S = 60.0


@pytest.fixture(scope="module")
def fleet(machine: Machine) -> Machine:
    entry = {"command": sys.executable, "args": ["-m", "slow_echo"], "env": {"PYTHONPATH": str(FIXTURES)}}
    document = json.dumps({"mcpServers": {"memory": {}, "other": entry}})
    machine.check(f"mkdir -p ~/.config/omnimind && echo {shlex.quote(document)} > {CONFIG}")
    machine.check("omnimind systemd install")
    return machine


@pytest.fixture(autouse=True)
def _up(fleet: Machine) -> None:
    fleet.check(f"systemctl --user reset-failed; systemctl --user start omnimind-mcp.target {UNIT} {SERVER}")
    wait_until(lambda: set(states(fleet).values()) == {"ready"}, HANG_S, "all is ready")


def pid(machine: Machine, unit: str) -> int:
    return int(machine.check(f"systemctl --user show -P MainPID {unit}"))


def states(machine: Machine) -> dict[str, str]:
    done = machine.run("omnimind status --json")
    return (
        {row["name"]: row["state"] for row in json.loads(done.out)["servers"]}
        if done.code == 0
        else {"": "none"}
    )


def processes(machine: Machine) -> set[int]:
    """All of the unit's control group: the guard, the orchestrator, the gateway, third-party children."""
    group = machine.check(f"systemctl --user show -P ControlGroup {UNIT}").strip()
    listed = machine.run(f"find /sys/fs/cgroup{group} -name cgroup.procs -exec cat {{}} +").out
    return {int(word) for word in listed.split()}


def back_after(machine: Machine, before: int) -> None:
    wait_until(lambda: pid(machine, UNIT) not in (0, before), HANG_S, "it was started again")
    wait_until(lambda: set(states(machine).values()) == {"ready"}, HANG_S, "all is ready again")


def test_a_third_party_server_runs_in_the_gateways_unit(fleet: Machine) -> None:
    done = fleet.run("omnimind list --json")
    names = {tool["name"] for tool in json.loads(done.out)}
    assert {name.partition("__")[0] for name in names} == {"memory", "other"}
    assert len(processes(fleet)) >= 4


@pytest.mark.parametrize("signal", ["KILL", pytest.param("STOP", marks=FULL)])
def test_a_gateway_that_died_or_hangs_comes_back_and_the_servers_run_on(fleet: Machine, signal: str) -> None:
    before, server, family = pid(fleet, UNIT), pid(fleet, SERVER), processes(fleet)
    fleet.check(f"kill -{signal} {before}")
    back_after(fleet, before)
    assert pid(fleet, SERVER) == server
    assert not family & processes(fleet)
    assert "content" in json.loads(fleet.call("call", "gateway/memory", "modern"))


def test_a_restart_of_the_gateway_refuses_nobody(fleet: Machine) -> None:
    before, family = pid(fleet, UNIT), processes(fleet)
    with fleet.calls("gateway/memory"):
        fleet.check(f"systemctl --user restart {UNIT}")
    assert pid(fleet, UNIT) != before
    assert not family & processes(fleet)


def test_a_reload_takes_the_configuration_without_a_restart(fleet: Machine) -> None:
    before = pid(fleet, UNIT)
    fleet.check(f'sed -i \'s/"other"/"another"/\' {CONFIG} && systemctl --user reload {UNIT}')
    wait_until(lambda: states(fleet) == {"memory": "ready", "another": "ready"}, HANG_S, "it is taken")
    assert pid(fleet, UNIT) == before
    fleet.check(f'sed -i \'s/"another"/"other"/\' {CONFIG} && systemctl --user reload {UNIT}')
