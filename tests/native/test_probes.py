"""The static probes are in the extension as it ships: listed, at an instruction that does nothing, with a semaphore."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from omnimind import _core
from tests.probes import NOP5, Elf, probes, read

ARGUMENTS = {"request__start": 3, "request__done": 6, "cache__hit": 1, "limiter__reject": 1, "restart": 1}
"""Names that people have in their scripts, and how many values each tells."""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"),
    reason="there are no probes here",
)


@pytest.fixture(scope="module")
def path() -> Path:
    assert _core.__file__ is not None
    return Path(_core.__file__)


def check(elf: Elf) -> None:
    found = probes(elf)
    assert {probe.name: len(probe.arguments) for probe in found} == ARGUMENTS
    assert len(found) == len(ARGUMENTS)
    assert {probe.provider for probe in found} == {"omnimind"}
    for probe in found:
        section, code = elf.holding(probe.location)
        assert section == ".text"
        nop = NOP5[elf.machine]
        assert code[: len(nop)] == nop
        section, semaphore = elf.holding(probe.semaphore)
        assert section == ".probes", "what has no bytes in the file cannot be raised by the kernel"
        assert semaphore[:2] == b"\0\0"
        assert probe.base == elf.sections[".stapsdt.base"].address
    assert len({probe.semaphore for probe in found}) == len(found)


def test_each_probe_is_where_its_note_says(path: Path) -> None:
    check(read(path))


def test_the_notes_survive_strip(path: Path, tmp_path: Path) -> None:
    strip = shutil.which("strip")
    if strip is None:
        pytest.skip("SKIPPED: no `strip` here (binutils)")
    stripped = tmp_path / "stripped.so"
    subprocess.run([strip, "--strip-all", "-o", stripped, path], check=True)
    check(read(stripped))


def test_readelf_lists_them(path: Path) -> None:
    readelf = shutil.which("readelf")
    if readelf is None:
        pytest.skip("SKIPPED: no `readelf` here (binutils)")
    told = subprocess.run([readelf, "--notes", path], capture_output=True, text=True, check=True).stdout
    names = [line.split(": ")[1] for line in told.splitlines() if line.strip().startswith("Name: ")]
    assert sorted(names) == sorted(ARGUMENTS)
