"""docs/systemd.md: its commands work, in its order, and its tables name what the units have."""

from __future__ import annotations

import re
import shlex

from omnimind.systemd import units
from tests.fleet import ROOT
from tests.system.systemd.machine import Machine

GUIDE = (ROOT / "docs" / "systemd.md").read_text()
COMMANDS = re.findall(
    r"^\$ (.+)$", "".join(re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL)), re.MULTILINE
)


def test_every_command_of_the_guide_works(machine: Machine) -> None:
    assert len(COMMANDS) > 10
    for command in COMMANDS:
        if command.startswith("loginctl"):  # the machine has no polkit
            machine.check(f"USER=omni; {command}", root=True)
        elif shlex.split(command)[-1] == "-f":
            assert machine.start(command).stdout.readline()
        else:
            machine.check(command)
    assert not machine.run("ls ~/.config/systemd/user/*").out


def test_every_directive_of_the_guide_stands_in_a_template() -> None:
    written = "".join(file.read_text() for file in units.TEMPLATES.iterdir())
    section = GUIDE.split("## What each directive buys")[1].split("\n## ")[0]
    named = [
        cell
        for line in section.splitlines()
        if line.startswith("| `")
        for cell in re.findall(r"`(\w+)", line.split("|")[1])
    ]
    assert len(named) > 15
    for directive in named:
        assert f"\n{directive}" in written, directive
