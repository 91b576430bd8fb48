"""One server as a unit: it answers, survives what a service must survive, and says what became of it.

Everything here happens in a throw-away machine with a real user manager, with the units as they are shipped.
"""

from __future__ import annotations

import json
import re

import pytest

from tests.fleet import wait_until
from tests.system.systemd.machine import HOME, RUNTIME, Machine

UNIT = "omnimind-mcp@thinking.service"
SERVERS = ("filesystem", "memory", "thinking")
EXPOSURE = 2.0
HANG_S = 60.0


@pytest.fixture(scope="module")
def installed(machine: Machine) -> Machine:
    machine.check("omnimind systemd install")
    return machine


@pytest.fixture
def running(installed: Machine) -> Machine:
    """With the server up; tests that do it no harm share one."""
    installed.check(f"systemctl --user start {UNIT}")
    return installed


@pytest.fixture
def fresh(installed: Machine) -> Machine:
    """With nothing up, nothing counted and nothing changed."""
    installed.check(
        "rm -rf ~/.config/systemd/user/*/test.conf ~/.config/omnimind; systemctl --user daemon-reload; "
        "systemctl --user stop omnimind-mcp.target 'omnimind-*'; systemctl --user reset-failed"
    )
    return installed


def shown(machine: Machine, *names: str, unit: str = UNIT) -> list[str]:
    text = machine.check(f"systemctl --user show {unit} -p {','.join(names)}")
    values = dict(line.partition("=")[::2] for line in text.splitlines())
    return [values[name] for name in names]


def pid(machine: Machine, unit: str = UNIT) -> int:
    return int(shown(machine, "MainPID", unit=unit)[0])


def runs_again(machine: Machine, before: int) -> None:
    wait_until(
        lambda: (
            shown(machine, "ActiveState", "SubState") == ["active", "running"]
            and pid(machine) not in (0, before)
        ),
        HANG_S,
        "the unit runs again, as another process",
    )


def call(machine: Machine, server: str = "thinking", era: str = "modern") -> dict[str, object]:
    answer: dict[str, object] = json.loads(machine.call("call", server, era))
    return answer


def test_an_enabled_server_answers_on_its_port_to_clients_of_both_eras(installed: Machine) -> None:
    installed.check(f"systemctl --user enable --now {UNIT}")
    assert shown(installed, "ActiveState", "UnitFileState") == ["active", "enabled"]
    assert "content" in call(installed, era="modern")
    assert "content" in call(installed, era="legacy")
    installed.check(f"systemctl --user disable {UNIT}")


def test_the_unix_socket_is_the_users_alone_and_speaks_the_worker_protocol(running: Machine) -> None:
    modes = running.check(f"stat -c %a {RUNTIME}/omnimind/thinking.sock {RUNTIME}/omnimind")
    assert modes.split() == ["600", "700"]
    assert "content" in json.loads(running.call("unix", "thinking"))


def test_systemd_finds_nothing_to_say_about_the_units(installed: Machine) -> None:
    services = [f"omnimind-mcp@{server}.{kind}" for server in SERVERS for kind in ("service", "socket")]
    names = " ".join(
        [*services, "omnimind-gateway.service", "omnimind-gateway.socket", "omnimind-mcp.target"]
    )
    done = installed.run(f"systemd-analyze verify --user --recursive-errors=one {names}")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_running_servers_are_little_exposed(installed: Machine) -> None:
    installed.check(
        f"systemctl --user start {' '.join(f'omnimind-mcp@{server}.service' for server in SERVERS)}"
    )
    for server in SERVERS:
        assert "content" in call(installed, server)
        said = installed.check(f"systemd-analyze --user security omnimind-mcp@{server}.service")
        level = re.search(r"exposure level for .*: ([\d.]+)", said)
        assert level is not None
        assert float(level.group(1)) <= EXPOSURE


FOUND = f"{HOME}/.local/state/omnimind/found"
LOOKS = {
    "home": "touch %h/x",
    "system": "touch /usr/x",
    "device": "test -e /dev/something",
    "shared_tmp": "test -e /tmp/seen-by-all",
    "namespace": "unshare --user true",
    "group": "mkdir /sys/fs/cgroup/x",
    "code": 'python3 -c "import mmap; mmap.mmap(-1, 4096, prot=7)"',
    "packets": 'python3 -c "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)"',
    "state": "touch $$OMNIMIND_STATE/x",
}


def test_the_hardening_holds_and_is_not_only_accepted(fresh: Machine) -> None:
    """Commands in the unit's own sandbox try what is forbidden; outside it the same commands succeed."""
    lines = [
        f"ExecStartPost=/bin/sh -c '{{ {look}; }} 2>/dev/null && w=can || w=cannot; echo $$w {name} >> {FOUND}'"
        for name, look in LOOKS.items()
    ]
    fresh.check("touch /tmp/seen-by-all; echo > /dev/something", root=True)
    fresh.drop_in(UNIT, "\n".join(["[Service]", *lines]))
    fresh.check(f"systemctl --user start {UNIT}")
    found = dict(line.split()[::-1] for line in fresh.file(FOUND).read_text().splitlines())
    assert found == {**dict.fromkeys(LOOKS, "cannot"), "state": "can"}
    for name in ("home", "device", "shared_tmp", "code", "packets"):
        fresh.check(LOOKS[name].replace("%h", "~"))


def test_a_crashed_server_comes_back(fresh: Machine) -> None:
    fresh.check(f"systemctl --user start {UNIT}")
    before = pid(fresh)
    fresh.check(f"kill -KILL {before}")
    runs_again(fresh, before)
    assert shown(fresh, "NRestarts") == ["1"]
    assert "content" in call(fresh)


def test_a_server_that_crashes_again_and_again_stays_down_and_its_status_says_why(fresh: Machine) -> None:
    fresh.check(f"systemctl --user start {UNIT}")
    for _ in range(2):
        before = pid(fresh)
        fresh.check(f"kill -KILL {before}")
        runs_again(fresh, before)
    fresh.check(f"kill -KILL {pid(fresh)}")
    wait_until(lambda: shown(fresh, "ActiveState") == ["failed"], HANG_S, "systemd has given up")
    row = next(
        row for row in json.loads(fresh.check("omnimind systemd status --json")) if row["unit"] == UNIT
    )
    assert row["state"] == "failed"
    assert "killed by signal 9; 3 starts within 1min are the limit" in row["why"]
    assert f"systemctl --user reset-failed {UNIT}" in row["help"]
    assert row["why"] in fresh.check("omnimind systemd status")
    fresh.check(f"systemctl --user reset-failed {UNIT} && systemctl --user start {UNIT}")
    assert "content" in call(fresh)


def test_a_wrong_configuration_is_not_tried_again(fresh: Machine) -> None:
    fresh.check("mkdir -p ~/.config/omnimind && echo '{]' > ~/.config/omnimind/mcp_servers.json")
    try:
        assert fresh.run(f"systemctl --user start {UNIT}").code != 0
        assert shown(fresh, "ActiveState", "ExecMainStatus", "NRestarts") == ["failed", "78", "0"]
        status = fresh.check("omnimind systemd status")
        assert "the configuration is wrong" in status
        assert "omnimind config check" in status
        assert fresh.run("omnimind config check").code == 4
    finally:
        fresh.check("rm -r ~/.config/omnimind")


def test_a_server_that_hangs_is_replaced_and_leaves_its_stacks(fresh: Machine) -> None:
    fresh.check(f"systemctl --user start {UNIT}")
    before = pid(fresh)
    fresh.check(f"kill -STOP {before}")
    runs_again(fresh, before)
    assert "content" in call(fresh)
    said = fresh.check(f"journalctl --user -u {UNIT} -o cat")
    assert "Watchdog timeout" in said
    assert "most recent call first" in said


@pytest.mark.parametrize("way", ["call", "unix"])
def test_the_first_call_starts_a_server_of_which_only_the_sockets_are_up(fresh: Machine, way: str) -> None:
    fresh.check("systemctl --user start omnimind-mcp@thinking.socket")
    assert shown(fresh, "ActiveState") == ["inactive"]
    assert "content" in json.loads(fresh.call(way, "thinking"))
    assert shown(fresh, "ActiveState") == ["active"]


def test_a_restart_refuses_nobody(fresh: Machine) -> None:
    fresh.check(f"systemctl --user start {UNIT}")
    before = pid(fresh)
    with fresh.calls("thinking"):
        fresh.check(f"systemctl --user restart {UNIT}")
    assert pid(fresh) != before


def test_after_a_stop_the_next_call_starts_it_again_unless_the_sockets_are_stopped_too(
    fresh: Machine,
) -> None:
    fresh.check(f"systemctl --user start {UNIT} && systemctl --user stop {UNIT}")
    assert "the next call starts it" in fresh.check("omnimind systemd status")
    assert "content" in call(fresh)
    fresh.check(f"systemctl --user stop {UNIT} omnimind-mcp@thinking.socket")
    for words in (("call", "thinking", "modern"), ("unix", "thinking")):
        assert fresh.run(fresh.caller(*words)).code != 0
    assert shown(fresh, "ActiveState", "Result") == ["inactive", "success"]


def test_a_port_that_a_stranger_holds_is_said_and_the_stranger_is_left_alone(fresh: Machine) -> None:
    fresh.check("systemd-run --user --quiet --unit=stranger python -m http.server --bind 127.0.0.1 4322")
    wait_until(lambda: 4322 in fresh.ports(), HANG_S, "the port is held")
    assert fresh.run(f"systemctl --user start {UNIT}").code != 0
    status = fresh.check("omnimind systemd status")
    held = re.search(r"its sockets could not be opened: python\S* \(pid (\d+)\) holds its port", status)
    assert held is not None
    assert int(held.group(1)) == pid(fresh, "stranger.service")
    fresh.check("systemctl --user stop stranger")


def test_the_journal_gets_structured_lines_as_they_are_said(fresh: Machine) -> None:
    follower = fresh.start(f"journalctl --user -u {UNIT} -f -n 0 -o json")
    fresh.check(f"systemctl --user start {UNIT}")
    assert follower.stdout is not None
    ours = []
    for line in follower.stdout:
        entry = json.loads(line)
        if entry["SYSLOG_IDENTIFIER"] == "omnimind-thinking":
            ours.append(entry)
            break
    assert ours[0]["PRIORITY"] == "6"
    record = json.loads(ours[0]["MESSAGE"])
    assert record["server"] == "thinking"
    assert record["pid"] == int(ours[0]["_PID"])
