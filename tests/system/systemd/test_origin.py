"""The commands of the founding document as docs/origin.md has them, word for word, where the units are installed.

After them the bare target starts every installed server, and stops every one.
"""

from __future__ import annotations

import json
import re

from omnimind import catalog
from tests.docs.pages import blocks
from tests.fleet import ROOT, wait_until
from tests.system.systemd.machine import FULL, Machine

SERVERS = [builtin.name for builtin in catalog.BUILTINS]
UNITS = [f"omnimind-mcp@{server}.service" for server in SERVERS]
COMMANDS = re.findall(
    r"^\$ ((?:systemctl|journalctl) .+)$",
    "".join(blocks(ROOT / "docs" / "origin.md", "console")),
    re.MULTILINE,
)
HANG_S = 60.0


def states(machine: Machine, *units: str) -> set[str]:
    return set(machine.run(f"systemctl --user is-active {' '.join(units)}").out.split())


def test_the_commands_of_the_origin_work_word_for_word(machine: Machine) -> None:
    machine.check("omnimind systemd install")
    said = {}
    for command in COMMANDS:
        if command.endswith(" -f"):
            journal = machine.start(command).stdout
            assert journal is not None
            assert any('"line": "serving thinking at http://127.0.0.1:4322/mcp"' in line for line in journal)
            continue
        said[command] = machine.check(command)
        if command == "systemctl --user start omnimind-mcp@thinking.service":
            assert "content" in json.loads(machine.call("call", "thinking", "modern"))
    files = said["systemctl --user list-unit-files | grep omnimind-mcp"]
    assert {line.split()[0] for line in files.splitlines()} == {
        "omnimind-mcp@.service",
        "omnimind-mcp@.socket",
        "omnimind-mcp.target",
    }
    assert "active (running)" in said["systemctl --user status omnimind-mcp@thinking.service"]
    assert "thinking" in said["systemctl --user list-units | grep omnimind-mcp"]
    enabled = "systemctl --user is-enabled omnimind-mcp@thinking.service omnimind-mcp@memory.service"
    assert machine.check(enabled).split() == ["enabled", "enabled"]
    assert states(machine, "omnimind-mcp@thinking.service") == {"inactive"}


def test_the_bare_target_starts_all_that_are_installed_and_stops_them(machine: Machine) -> None:
    machine.check("omnimind systemd install")
    machine.check("systemctl --user start omnimind-mcp.target")
    everything = ["omnimind-mcp.target", "omnimind-gateway.service", *UNITS]
    assert states(machine, *everything) == {"active"}
    for server in SERVERS:
        assert "content" in json.loads(machine.call("call", server, "legacy"))
    shown = {
        row["name"]: row["state"] for row in json.loads(machine.check("omnimind status --json"))["servers"]
    }
    assert shown == dict.fromkeys(SERVERS, "ready")
    assert "sequentialthinking" in machine.check("omnimind list")
    machine.check("omnimind call memory__read_graph")
    sockets = ["omnimind-gateway.socket", *(unit.replace(".service", ".socket") for unit in UNITS)]
    machine.check("systemctl --user stop omnimind-mcp.target")
    wait_until(lambda: states(machine, *everything, *sockets) == {"inactive"}, HANG_S, "all is stopped")
    assert not machine.ports()


@FULL
def test_the_fleets_status_says_where_to_look_when_a_unit_has_given_up(machine: Machine) -> None:
    machine.check(
        "omnimind systemd install --server memory && systemctl --user start omnimind-gateway.service"
    )
    machine.check("systemctl --user start omnimind-mcp@memory.service")
    unit = "omnimind-mcp@memory.service"
    machine.drop_in(unit, "[Service]\nRestart=no")
    machine.check(f"kill -KILL $(systemctl --user show -P MainPID {unit})")
    wait_until(
        lambda: "why: omnimind systemd status" in machine.check("omnimind status"), HANG_S, "it is said"
    )
    assert "it was killed by signal 9" in machine.check("omnimind systemd status")
    machine.check(f"rm ~/.config/systemd/user/{unit}.d/test.conf; systemctl --user daemon-reload")
    machine.check("systemctl --user start omnimind-mcp@memory.service")

    def ready() -> bool:
        rows = json.loads(machine.check("omnimind status --json"))["servers"]
        return {row["name"]: row["state"] for row in rows}["memory"] == "ready"

    wait_until(ready, HANG_S, "the gateway has noticed by itself that it runs again")
    machine.check("systemctl --user stop 'omnimind-*'; systemctl --user reset-failed")


@FULL
def test_what_is_enabled_starts_by_itself_when_the_machine_does(machine: Machine) -> None:
    machine.check("omnimind systemd install && systemctl --user enable omnimind-mcp.target")
    machine.check("systemctl restart user@4321.service", root=True)
    wait_until(lambda: states(machine, *UNITS, "omnimind-gateway.service") == {"active"}, HANG_S, "all is up")
    machine.check("systemctl --user stop omnimind-mcp.target && systemctl --user disable omnimind-mcp.target")
