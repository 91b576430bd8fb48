"""The installer: what it writes, shows, keeps and removes; and what it does where the hardening cannot work."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.system.systemd.machine import HOME, PROGRAMS, Machine

UNITS = f"{HOME}/.config/systemd/user"
SERVER = f"{UNITS}/omnimind-mcp@.service"


@pytest.fixture(autouse=True)
def _nothing_installed(machine: Machine) -> Iterator[None]:
    yield
    machine.check(
        "systemctl --user stop omnimind-mcp.target 'omnimind-*'; rm -rf ~/.config ~/.local/state/omnimind"
    )
    machine.check("mkdir -m 700 ~/.config; systemctl --user daemon-reload; systemctl --user reset-failed")


def written(machine: Machine) -> dict[str, str]:
    names = machine.run(f"cd {UNITS} 2>/dev/null && find . -type f -o -type l | sort").out.split()
    return {name: machine.file(f"{UNITS}/{name}").read_text() for name in names}


def test_a_dry_run_shows_everything_and_writes_nothing(machine: Machine) -> None:
    done = machine.run("omnimind systemd install --dry-run")
    assert done.code == 0
    assert "+ExecStart=" in done.out
    assert "files would change" in done.err
    assert written(machine) == {}


def test_installing_again_changes_nothing_and_says_so(machine: Machine) -> None:
    machine.check("omnimind systemd install")
    before = written(machine)
    done = machine.run("omnimind systemd install")
    assert (done.code, done.out) == (0, "")
    assert f"nothing to change in {UNITS}" in done.err
    assert written(machine) == before


def test_the_next_steps_are_said_and_work(machine: Machine) -> None:
    done = machine.run("omnimind systemd install --server thinking")
    steps = [
        line.partition(": ")[2] for line in done.err.splitlines() if line.startswith(("next:", "or one"))
    ]
    assert steps == [
        "systemctl --user enable --now omnimind-mcp.target",
        "systemctl --user enable --now omnimind-mcp@thinking.service",
    ]
    for step in steps[1:]:
        machine.check(step)


def test_servers_named_later_join_those_that_are_there(machine: Machine) -> None:
    machine.check("omnimind systemd install --server thinking")
    done = machine.run("omnimind systemd install --server memory")
    assert "+Wants=omnimind-mcp@memory.service omnimind-mcp@thinking.service" in done.out
    machine.check("omnimind systemd uninstall --server thinking")
    units = {row["unit"] for row in json.loads(machine.check("omnimind systemd status --json"))}
    assert units == {"omnimind-mcp.target", "omnimind-gateway.service", "omnimind-mcp@memory.service"}
    assert "thinking" not in "".join(written(machine).values())


def test_xdg_config_home_is_respected(machine: Machine) -> None:
    machine.check("XDG_CONFIG_HOME=~/elsewhere omnimind systemd install --no-reload")
    assert machine.file(f"{HOME}/elsewhere/systemd/user/omnimind-mcp@.service").exists()
    assert written(machine) == {}
    machine.check("rm -r ~/elsewhere")


def test_the_configuration_reaches_the_units(machine: Machine) -> None:
    entry = {"args": ["/home/omni/no tes"], "resources": {"memory_mb": 300, "open_files": 500}, "port": 4400}
    document = json.dumps({"mcpServers": {"filesystem": entry}})
    machine.check(f"mkdir '{HOME}/no tes' && echo '{document}' > '{HOME}/my 100%.json'")
    machine.check("omnimind systemd install --config 'my 100%.json' --state ~/the\\ state")
    machine.check("systemctl --user start omnimind-mcp@filesystem.service")
    shown = machine.check(
        "systemctl --user show omnimind-mcp@filesystem.service -p MemoryMax,LimitNOFILE,ExecStart"
    )
    assert {"MemoryMax=314572800", "LimitNOFILE=500"} < set(shown.splitlines())
    assert "--config=/home/omni/my 100%.json" in shown
    assert machine.file(f"{HOME}/the state/units/filesystem.key").exists()
    assert machine.ports() == {4400}
    machine.check("systemctl --user stop 'omnimind-*'; rm -r no\\ tes the\\ state my*")


def test_what_somebody_changed_is_kept_and_named_until_that_is_forced(machine: Machine) -> None:
    machine.check("omnimind systemd install")
    machine.check(f"sed -i s/WatchdogSec=5/WatchdogSec=50/ {SERVER}")
    for action in ("install", "uninstall"):
        done = machine.run(f"omnimind systemd {action}")
        assert done.code == 1
        assert f"kept       {SERVER}: it was changed by hand" in done.err
    assert list(written(machine)) == ["./omnimind-mcp@.service"]
    machine.check("omnimind systemd uninstall --force")
    assert written(machine) == {}


def test_uninstalling_leaves_what_is_not_ours_and_stops_nothing_unless_asked(machine: Machine) -> None:
    machine.check("omnimind systemd install")
    mine = f"{UNITS}/omnimind-mcp@thinking.service.d/override.conf"
    other = f"{UNITS}/omnimind-other.service"
    machine.check(f"printf '[Service]\\nNice=5\\n' > {mine}; printf '[Unit]\\nDescription=mine\\n' > {other}")
    machine.check(
        "systemctl --user daemon-reload; systemctl --user enable --now omnimind-mcp@thinking.service"
    )
    done = machine.run("omnimind systemd uninstall")
    assert done.code == 0
    assert "still running: omnimind-mcp@thinking.service" in done.err
    assert set(written(machine)) == {
        "./omnimind-mcp@thinking.service.d/override.conf",
        "./omnimind-other.service",
    }
    assert machine.run("systemctl --user is-active omnimind-mcp@thinking.service").out.strip() == "active"
    machine.check("systemctl --user stop omnimind-mcp@thinking.service")


def test_a_server_nobody_knows_is_an_error_with_a_suggestion(machine: Machine) -> None:
    done = machine.run("omnimind systemd install --server thinkin")
    assert done.code == 4
    assert "error[OM0203]" in done.err
    assert "did you mean thinking?" in done.err
    done = machine.run("omnimind systemd uninstall --server memory")
    assert done.code == 2
    assert "installed: none" in done.err


def test_without_a_session_the_files_are_written_and_status_says_what_is_missing(machine: Machine) -> None:
    without = "env -u XDG_RUNTIME_DIR -u DBUS_SESSION_BUS_ADDRESS omnimind systemd"
    done = machine.run(f"{without} install")
    assert done.code == 0
    assert "systemd has not read the files" in done.err
    assert "systemctl --user daemon-reload" in done.err
    assert f"./{SERVER.rpartition('/')[2]}" in written(machine)
    done = machine.run(f"{without} status")
    assert done.code == 1
    assert "error[OM0601]" in done.err
    assert "loginctl enable-linger omni" in done.err


def test_without_systemd_the_way_without_it_is_named(machine: Machine) -> None:
    done = machine.run(f"PATH=/nowhere {PROGRAMS}/omnimind systemd install")
    assert done.code == 1
    assert "help: run the fleet without it: omnimind up" in done.err


def test_sudo_is_refused_because_the_units_would_be_roots(machine: Machine) -> None:
    done = machine.run("SUDO_USER=omni omnimind systemd install", root=True)
    assert done.code == 2
    assert "help: run it as omni, without sudo" in done.err
    assert not machine.file("/root/.config/systemd/user/omnimind-mcp@.service").exists()


@pytest.mark.parametrize(("choice", "files"), [("off", []), ("on", ["10-calls.conf", "20-files.conf"])])
def test_the_hardening_can_be_chosen(machine: Machine, choice: str, files: list[str]) -> None:
    machine.check(f"omnimind systemd install --hardening={choice} --no-reload")
    found = [
        name.rpartition("/")[2]
        for name in written(machine)
        if name.startswith("./omnimind-mcp@.service.d/") and "since" not in name
    ]
    assert found == files


def test_a_gateway_that_starts_third_party_servers_is_hardened_less(machine: Machine) -> None:
    document = json.dumps({"mcpServers": {"thinking": {}, "other": {"command": "npx"}}})
    machine.check(f"mkdir -p ~/.config/omnimind && echo '{document}' > ~/.config/omnimind/mcp_servers.json")
    machine.check("omnimind systemd install --hardening=on --no-reload")
    assert "./omnimind-gateway.service.d/10-parent.conf" in written(machine)
    assert "./omnimind-gateway.service.d/20-files.conf" not in written(machine)


def test_where_user_namespaces_are_forbidden_the_units_do_without_and_start(machine: Machine) -> None:
    """As on a distribution that forbids them: the user's manager itself may not make one."""
    folder = "/etc/systemd/system/user@.service.d"
    machine.check(
        f"mkdir -p {folder} && printf '[Service]\\nRestrictNamespaces=yes\\n' > {folder}/no.conf", root=True
    )
    restart = "systemctl daemon-reload && systemctl restart user@4321.service"
    machine.check(restart, root=True)
    try:
        done = machine.run("omnimind systemd install")
        assert done.code == 0
        assert "the units cannot hide files from the servers here" in done.err
        assert "./omnimind-mcp@.service.d/10-calls.conf" in written(machine)
        assert "./omnimind-mcp@.service.d/20-files.conf" not in written(machine)
        machine.check("systemctl --user start omnimind-mcp@thinking.service")
        assert "content" in json.loads(machine.call("call", "thinking", "modern"))
    finally:
        machine.check(f"rm -r {folder}; {restart}", root=True)
