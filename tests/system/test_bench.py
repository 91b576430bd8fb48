"""The benchmark as a person runs it: a real fleet, real load, the real kernel; and the documents' script.

Where the kernel cannot be watched what needs it is skipped with every reason; in the full bar that is a failure. The
full bar is the documents' `30 100`.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from omnimind.catalog import BUILTINS
from omnimind.monitor import gateway, needs
from omnimind.stress.text import time as shown_ms
from tests import chromium, html_page, page_faults
from tests.fleet import ROOT, Fleet, wait_until

FULL = bool(os.environ.get("OMNIMIND_FULL"))
DURATION, CONCURRENCY = ("30", "100") if FULL else ("4", "8")
SCRIPT = ROOT / "scripts" / "run_mcp_benchmark.sh"
BUILT = (ROOT / ".venv" / ".extension").exists()
NOBODY = pwd.getpwnam("nobody")
NAME = re.compile(r"ebpf_mcp_latency_\d{8}T\d{6}Z")
CLOCKS = ("client", "gateway", "kernel")
MOST_APART = 0.01
FIELDS = ("calls", "high", "p50", "p90", "p99", "p999")
LET_THROUGH = """\
set -e
mount -t tmpfs tmpfs /mnt
while [ "$1" != -- ]; do
    at=$(mktemp -d /mnt/XXXXXX)
    mkdir "$at/upper" "$at/work"
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$at/upper,workdir=$at/work" "$1"
    chmod o+x "$1"
    shift
done
shift
exec "$@"
"""
"""In a mount namespace of its own folders on the way to Python let others through; here nothing changes."""

pytestmark = pytest.mark.timeout(240)


def why_not() -> str | None:
    """Every reason why the kernel cannot be watched here."""
    _, missing = needs.examine(needs.facts())
    # The command mounts what the last of these is about.
    reasons = [one for one in missing if "tracefs" not in one.what]
    return "; ".join(f"{one.what} ({one.fix})" for one in reasons) or None


@pytest.fixture(scope="module")
def kernel() -> None:
    """There is one that can be watched."""
    reason = why_not()
    if reason and FULL:
        pytest.fail(f"THE KERNEL CANNOT BE WATCHED HERE: {reason}")
    if reason:
        pytest.skip(f"THE KERNEL CANNOT BE WATCHED HERE, so three clocks are not compared: {reason}")


@dataclass
class Run:
    """One that has ended, and its reports."""

    code: int
    out: str
    err: str
    folder: Path
    owners: Mapping[str, set[int]] = field(default_factory=dict)
    """Who owned what ran meanwhile, by what it was."""

    def files(self) -> dict[str, Path]:
        """By ending; all of one name."""
        found = {file.suffix[1:]: file for file in self.folder.iterdir()}
        assert len({file.stem for file in found.values()}) == 1
        assert all(NAME.fullmatch(file.stem) for file in found.values())
        return found

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.files()["json"].read_text())
        return found


def bench(folder: Path, *words: str) -> Run:
    command = [sys.executable, "-m", "omnimind", "bench", "--out", str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    return Run(done.returncode, done.stdout, done.stderr, folder)


def script(*words: str) -> subprocess.CompletedProcess[str]:
    """As sudo runs it: a bare environment, a foreign working directory."""
    command = ["env", "-i", "PATH=/usr/bin:/bin", "bash", str(SCRIPT), *words]
    return subprocess.run(command, capture_output=True, text=True, cwd="/")


@pytest.fixture(scope="module")
def measured(kernel: None) -> Iterator[Run]:
    """By all three clocks, of a fleet of its own, as sudo leaves it: root's process, the caller in the environment, and
    a folder that is the caller's alone."""
    sudo = {"SUDO_UID": str(NOBODY.pw_uid), "SUDO_GID": str(NOBODY.pw_gid), "HOME": "/root"}
    environment = {**os.environ, **sudo}
    with tempfile.TemporaryDirectory() as name:  # pytest's own are closed to others
        folder = Path(name)
        os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
        out = folder / "reports"
        command = [sys.executable, "-m", "omnimind", "bench", "--ebpf", "--duration", DURATION]
        command += ["--concurrency", CONCURRENCY, "--out", str(out)]
        if FULL and BUILT:  # word for word
            command = ["bash", str(SCRIPT), DURATION, CONCURRENCY, "--out", str(out)]
            environment = {"PATH": "/usr/bin:/bin", **sudo}
        closed = closed_to_others()
        before = ["unshare", "--mount", "bash", "-c", LET_THROUGH, "bash", *closed, "--"] if closed else []
        with subprocess.Popen(
            [*before, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        ) as process:
            owners = owners_meanwhile(process)
            shown, said = process.communicate()
        assert process.returncode == 0, said
        yield Run(0, shown, said, out, owners)


def closed_to_others() -> list[str]:
    """Folders on the way to this Python and this package that only their owner may pass, the outer ones first."""
    ways = {Path(sys.executable), Path(sys.executable).resolve(), Path(needs.__file__), SCRIPT}
    folders = {folder for way in ways for folder in way.parents}
    return sorted(str(folder) for folder in folders if not folder.stat().st_mode & 0o001)


def owners_meanwhile(process: subprocess.Popen[str]) -> dict[str, set[int]]:
    """Who owns what runs below a process; looked at until bpftrace and the fleet are there, or it has ended."""
    wanted = {"bpftrace", "nine_keeper", "omnimind-guard"}
    owners: dict[str, set[int]] = {}
    while process.poll() is None and wanted > set(owners):
        for child in psutil.Process(process.pid).children(recursive=True):
            try:
                words, name, uid = child.cmdline(), child.name(), child.uids().real
            except psutil.Error:
                continue
            kind = "nine_keeper" if "omnimind.bench.nine_keeper" in words else name
            if kind in wanted:
                owners.setdefault(kind, set()).add(uid)
        time.sleep(0.05)
    return owners


@pytest.mark.alone
@pytest.mark.bar
def test_the_three_clocks_count_the_same_calls(measured: Run) -> None:
    phases = measured.json()["phases"]
    assert [phase["name"] for phase in phases] == ["closed", "open 50 %", "open 70 %", "open 90 %"]
    for phase in phases:
        counts = [phase["clocks"][clock]["calls"] for clock in CLOCKS]
        print(phase["name"], counts)
        assert min(counts) > 0
        assert max(counts) - min(counts) <= MOST_APART * max(counts)
        client = phase["client"]["load"]
        assert client["right"] == client["sent"] == counts[0], client["errors"]


@pytest.mark.alone
@pytest.mark.bar
def test_text_json_and_page_agree_exactly_for_each_clock(measured: Run) -> None:
    files = measured.files()
    assert files["txt"].read_text() == measured.out
    cells = html_page.read(files["html"].read_text())
    text = rows(measured.out)
    compared = 0
    for phase in measured.json()["phases"]:
        for name, clock in phase["clocks"].items():
            for value, in_text in zip(FIELDS, text[phase["name"], name], strict=True):
                said = _said(clock[value])
                assert (said, said) == (in_text, cells[phase["name"], name, value])
                compared += 1
    assert compared == 4 * len(CLOCKS) * len(FIELDS)


@pytest.mark.alone
@chromium.needed
def test_its_page_has_no_fault_in_a_browser(measured: Run) -> None:
    with chromium.Chromium() as browser:
        assert page_faults.faults(browser, measured.files()["html"]) == []
        assert browser.value('document.querySelectorAll("svg").length') == 4 + 2


def _said(value: float | int | None) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else shown_ms(value)


def rows(text: str) -> dict[tuple[str, str], list[str]]:
    """The cells of each phase and clock."""
    found: dict[tuple[str, str], list[str]] = {}
    name = ""
    for line in text.splitlines():
        if head := re.match(r"(closed|open \d+ %): ", line):
            name = head[1]
        elif name and (cells := re.match(r"(client|gateway|kernel)(?:, total)? +(.*)", line)):
            found[name, cells[1]] = cells[2].split()
        elif not line:
            name = ""
    return found


@pytest.mark.alone
def test_the_report_has_what_the_documents_ask_for(measured: Run) -> None:
    text = measured.out
    seconds = int(re.findall(r"^=+ MCP Latency Report \(last (\d+)s\) =+$", text, re.MULTILINE)[0])
    assert abs(seconds - int(DURATION)) <= 1
    whole = sum(phase["clocks"]["kernel"]["calls"] for phase in measured.json()["phases"])
    assert f"\nTotal calls: {whole}\n" in text
    assert "Syscall Latency Distribution (microseconds):\n" in text
    assert re.search(r"^⚠️  High latency calls \(>50ms\): \d+$", text, re.MULTILINE)
    assert re.search(r"^crash rate +0 %: 0 unplanned exits of \d+ starts$", text, re.MULTILINE)
    assert re.search(r"^tokens saved .* as shipped", text, re.MULTILINE)
    assert max(map(len, text.splitlines())) <= 80
    for builtin in BUILTINS:
        assert re.search(rf"^{builtin.name} +[\d,]+ ", text, re.MULTILINE)


@pytest.mark.alone
def test_under_sudo_all_but_the_kernels_clock_is_the_users(measured: Run) -> None:
    assert measured.owners == {
        "bpftrace": {0},
        "nine_keeper": {NOBODY.pw_uid},
        "omnimind-guard": {NOBODY.pw_uid},
    }
    files = measured.files()
    assert set(files) == {"txt", "json", "html"}
    for file in (*files.values(), measured.folder):
        assert (file.stat().st_uid, file.stat().st_gid) == (NOBODY.pw_uid, NOBODY.pw_gid)


@pytest.mark.alone
def test_nothing_of_the_fleet_is_left(measured: Run) -> None:
    left = [
        process.info
        for process in psutil.process_iter(["pid", "cmdline"])
        if any("omnimind-nine" in word or "omnimind.bench" in word for word in process.info["cmdline"] or ())
        and process.ppid() in (1, os.getpid())
    ]
    assert not left


@pytest.fixture(scope="module")
def small_fleet() -> Iterator[Fleet]:
    with Fleet({"memory": {"port": 0}, "thinking": {"port": 0}}, auth=True) as fleet:
        yield fleet


def running(fleet: Fleet, *words: str) -> tuple[str, ...]:
    return ("--running", "--state", str(fleet.state), "--duration", "4", "--concurrency", "4", *words)


def test_the_fleet_that_runs_is_measured_without_root_too(small_fleet: Fleet, tmp_path: Path) -> None:
    found = bench(tmp_path, *running(small_fleet, "--json", "--no-cache"))
    assert found.code == 0, found.err
    told = json.loads(found.out)
    assert told == found.json()
    assert found.files()["txt"].exists()
    assert any("the kernel's clock is missing" in note for note in told["notes"])
    assert told["verdict"]["clock"] == "gateway"
    for phase in told["phases"]:
        assert phase["kernel"] is None
        assert phase["clocks"]["client"]["calls"] == phase["clocks"]["gateway"]["calls"] > 0
        assert {row["name"] for row in phase["servers"]} == {"memory", "thinking"}


def test_a_gate_that_does_not_hold_is_exit_code_1(small_fleet: Fleet, tmp_path: Path) -> None:
    found = bench(tmp_path, *running(small_fleet, "--gate", "0.0001"))
    assert found.code == 1
    assert "failed: p99 is above 0.0001 ms" in found.err
    assert set(found.files()) == {"txt", "json", "html"}


def test_ctrl_c_ends_it_with_a_report_of_what_was_measured(small_fleet: Fleet, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "omnimind", "bench", "--out", str(tmp_path), *running(small_fleet)]
    long = ["--duration", "24"]  # 2.4 s of warm-up, then 6 s of the closed loop
    with subprocess.Popen(
        [*command, *long], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for_calls(small_fleet)
        time.sleep(5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "ended early     by Ctrl-C" in out
    assert re.search(r"^closed: ", out, re.MULTILINE)
    assert "verdict         none" in out
    assert set(Run(130, out, err, tmp_path).files()) == {"txt", "json", "html"}


def wait_for_calls(fleet: Fleet) -> None:
    """Until the gateway has answered some that it had not before."""

    def answered() -> int:
        seen = gateway.reading(gateway.fetch(fleet.aggregate, fleet.token))
        return sum(calls.total.calls for calls in seen.places.values())

    before = answered()
    wait_until(lambda: answered() > before + 20, 60, "calls are answered")


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("30",),
        ("0", "100"),
        ("30", "0"),
        ("-5", "100"),
        ("30", "-1"),
        ("thirty", "100"),
        ("30", "many"),
        ("1.5", "100"),
        ("30", "100", "5"),
        ("9999999", "1"),
    ],
)
def test_the_script_says_how_it_is_used(words: tuple[str, ...]) -> None:
    done = script(*words)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: sudo bash scripts/run_mcp_benchmark.sh DURATION CONCURRENCY")
    assert not done.stdout


def test_the_scripts_help_is_no_error() -> None:
    done = script("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ")


@pytest.mark.skipif(not BUILT, reason="this tree has no environment of its own: make .venv/.extension")
def test_the_script_finds_the_checkouts_environment_under_a_bare_path() -> None:
    """What is wrong with an option only the command knows."""
    done = script("30", "100", "--no-such-option")
    assert done.returncode == 2
    assert "error[OM0100]: unrecognized arguments: --no-such-option" in done.stderr


def test_without_an_environment_the_script_says_how_to_make_one(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    copy = tmp_path / "scripts" / SCRIPT.name
    copy.write_bytes(SCRIPT.read_bytes())
    done = subprocess.run(["bash", str(copy), "30", "100"], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"help: make -C {tmp_path} .venv/.extension" in done.stderr
