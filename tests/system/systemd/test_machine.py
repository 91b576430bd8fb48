"""The machine that the other tests trust: real where it matters, and sealed off from the host."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.fleet import wait_until
from tests.system.systemd.machine import HOME, ROOT, Machine, MachineError, why_not


def test_a_command_runs_as_a_user_without_privileges_and_its_end_is_told(machine: Machine) -> None:
    done = machine.run("id -u; grep CapBnd /proc/self/status; echo trouble >&2; exit 7")
    assert done.out.split() == ["4321", "CapBnd:", "0000000000000000"]
    assert (done.code, done.err) == (7, "trouble\n")


def test_systemd_is_pid_1_and_the_user_has_a_manager_a_bus_and_a_journal(machine: Machine) -> None:
    assert machine.check("cat /proc/1/comm").strip() == "systemd"
    assert machine.check("systemctl --user is-system-running").strip() == "running"
    machine.check("systemd-run --user --wait --quiet --unit=hello echo heard")
    assert "heard" in machine.check("journalctl --user -u hello -o cat")


def test_the_project_is_importable_in_it(machine: Machine) -> None:
    assert str(ROOT) in machine.check("python -c 'import omnimind; print(omnimind.__file__)'")


def test_nothing_that_root_does_in_it_reaches_the_host(machine: Machine) -> None:
    machine.check(f"touch /etc/written {ROOT}/written /tmp/written", root=True)
    for path in ("/etc/written", f"{ROOT}/written", "/tmp/written"):
        assert machine.file(path).exists()
        assert not Path(path).exists()
    mounts = {line.split()[1]: line.split()[3] for line in machine.check("cat /proc/mounts").splitlines()}
    for path in ("/proc/sys", "/sys"):
        assert mounts[path].split(",")[0] == "ro"
    assert machine.check("ls /sys/class/net").split() == ["lo"]


def test_nobody_in_it_may_set_the_clock_or_load_a_module(machine: Machine) -> None:
    """Asked of the kernel's records, never by trying: the clock is the host's."""
    statuses = machine.check("cat /proc/1/status /proc/self/status", root=True)
    sets = [int(value, 16) for value in re.findall(r"Cap(?:Bnd|Eff|Prm):\s*(\w+)", statuses)]
    assert len(sets) == 6
    assert not any(held >> capability & 1 for held in sets for capability in (16, 17, 25))


def test_a_machine_leaves_nothing_behind() -> None:
    if reason := why_not():
        pytest.skip(f"no throw-away machine with systemd: {reason}")
    with Machine() as machine:
        inside = machine.start("sleep 1000")
        wait_until(lambda: "sleep" in machine.check("cat /proc/[0-9]*/comm"), 10, "the sleep runs")
    assert inside.poll() is not None
    groups = [
        path for path in Path("/sys/fs/cgroup").rglob("omnimind-machine-*") if str(os.getpid()) in path.name
    ]
    assert not groups
    assert not Path(HOME).exists()


def test_a_machine_that_cannot_boot_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(f"no throw-away machine with systemd: {reason}")
    boot = tmp_path / "boot.py"
    boot.write_text("import sys; sys.exit('no disk today')")
    monkeypatch.setattr("tests.system.systemd.machine.BOOT", boot)
    with pytest.raises(MachineError, match="no disk today"), Machine():
        pass
