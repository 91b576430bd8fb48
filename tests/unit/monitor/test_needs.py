"""What is missing is named, all of it at once, each with its fix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from omnimind.monitor import needs
from omnimind.monitor.needs import Facts, Kernel, examine, parsed


@pytest.fixture
def tracefs(tmp_path: Path) -> Path:
    (tmp_path / "events" / "sock" / "sock_send_length").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def good(tracefs: Path) -> Facts:
    return Facts(True, "6.12.0", True, tracefs, "/usr/bin/bpftrace", (0, 23, 2))


def test_with_everything_there_is_nothing_to_say(good: Facts) -> None:
    assert examine(good) == (Kernel("/usr/bin/bpftrace", (0, 23, 2), "tracepoints"), [])


@pytest.mark.parametrize(
    ("change", "what", "fix"),
    [
        ({"root": False}, "not root", "run it with sudo"),
        ({"bpftrace": None, "version": None}, "not installed", "apt install bpftrace"),
        ({"version": None}, "does not say its version", "bpftrace --version"),
        ({"version": (0, 16, 9)}, "0.16.9 is older than 0.17.0", "apt install bpftrace"),
        ({"btf": False}, "BTF", "CONFIG_DEBUG_INFO_BTF=y"),
        ({"tracefs": None}, "not mounted", "mount -t tracefs tracefs /sys/kernel/tracing"),
        ({"locked": True}, "locked down", "lockdown=integrity"),
    ],
)
def test_each_missing_thing_has_its_fix(good: Facts, change: dict[str, object], what: str, fix: str) -> None:
    found, (missing,) = examine(replace(good, **change))  # type: ignore[arg-type]
    assert found is None
    assert what in missing.what
    assert fix in missing.fix


def test_all_of_it_is_named_at_once(good: Facts) -> None:
    nothing = replace(good, root=False, btf=False, tracefs=None, bpftrace=None, version=None, locked=True)
    assert len(examine(nothing)[1]) == 5


def test_an_old_kernel_gets_kprobes_or_says_why_not(good: Facts, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    facts = replace(good, tracefs=old, release="5.10.0")
    found, (missing,) = examine(facts)
    assert found is None
    assert "Linux 5.10.0 has neither" in missing.what
    (old / "kprobe_events").touch()
    assert examine(facts) == (Kernel("/usr/bin/bpftrace", (0, 23, 2), "kprobes"), [])


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("bpftrace v0.17.0\n", (0, 17, 0)),
        ("bpftrace v0.23.2-12-gabc", (0, 23, 2)),
        ("bpftrace v1.0", (1, 0, 0)),
        ("command not found", None),
    ],
)
def test_versions(said: str, version: needs.Version | None) -> None:
    assert parsed(said) == version


def test_this_machine_can_be_looked_at() -> None:
    facts = needs.facts()
    found, missing = examine(facts)
    assert (found is None) == bool(missing)
