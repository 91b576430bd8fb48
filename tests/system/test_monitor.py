"""The kernel's clock against the truth: servers that time themselves, counted calls, the kernel's own accounts.

Every bpftrace that is there is tried: the system's, and those that `make bar-ebpf` puts into `.tools`. Where the kernel
cannot be watched the tests are skipped with every reason; in the full bar that is a failure. `make bar-ebpf-older`
runs this file under an older kernel in an emulator, where what the probes cost cannot be judged, nor can short times.
"""

from __future__ import annotations

import json
import os
import platform
import pwd
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from omnimind.monitor import needs
from omnimind.monitor.histogram import Histogram
from omnimind.monitor.kernel import MonitorError, Probe
from omnimind.monitor.needs import Kernel
from omnimind.monitor.program import Watch
from omnimind.monitor.readings import Names, group_root
from omnimind.monitor.report import Meter, Report, Source
from tests import bpftraces
from tests.fleet import ROOT, Fleet, fixture_entry

FULL = bool(os.environ.get("OMNIMIND_FULL"))
EMULATED = bool(os.environ.get("OMNIMIND_EMULATED"))
SLEEPING_CALLS = 2000 if FULL else 100 if EMULATED else 500
COUNTED_CALLS = 100_000 if FULL else 2_000 if EMULATED else 20_000
CONNECTIONS = 32
MOST_CPU_US = float("inf") if EMULATED else 5.0
STATS = Path("/proc/sys/kernel/bpf_stats_enabled")
LOAD = ROOT / "target" / "release" / "omnimind-load"

pytestmark = pytest.mark.timeout(180)


def kernels() -> list[Kernel | str]:
    """What can watch here, or, in place of it, every reason why nothing can."""
    facts = needs.facts()
    found: list[Kernel | str] = []
    for program in bpftraces.programs() or [None]:
        version = needs.version_of(program) if program else None
        kernel, missing = needs.examine(replace(facts, bpftrace=program, version=version))
        found.append(kernel or "; ".join(f"{one.what} ({one.fix})" for one in missing))
    watching = [one for one in found if isinstance(one, Kernel)]
    return [*watching] if watching else found[:1]


def _label(kernel: Kernel | str) -> str:
    return needs.dotted(kernel.version) if isinstance(kernel, Kernel) else "none"


@pytest.fixture(params=kernels(), ids=_label)
def kernel(request: pytest.FixtureRequest) -> Kernel:
    if isinstance(request.param, str):
        reason = f"THE KERNEL CANNOT BE WATCHED HERE, so its clock is not tested: {request.param}"
        if FULL:
            pytest.fail(reason)
        pytest.skip(reason)
    assert isinstance(request.param, Kernel)
    return request.param


@dataclass
class TimedServer:
    """`timed_server.py`, and what it measured itself once it has ended."""

    process: subprocess.Popen[str]
    port: int

    def truth_us(self) -> list[int]:
        out, _ = self.process.communicate("", timeout=30)
        found: list[int] = json.loads(out)
        return found

    def call(self, waits_ms: list[int], connections: int) -> None:
        """All these calls over so many connections."""
        waits, lock = iter(waits_ms), threading.Lock()

        def caller() -> None:
            with socket.create_connection(("127.0.0.1", self.port)) as link:
                while True:
                    with lock:
                        wait_ms = next(waits, None)
                    if wait_ms is None:
                        return
                    link.sendall(b"%d\n" % wait_ms)
                    assert link.recv(16) == b"ok\n"

        callers = [threading.Thread(target=caller) for _ in range(connections)]
        for one in callers:
            one.start()
        for one in callers:
            one.join()


@contextmanager
def timed_server() -> Iterator[TimedServer]:
    with subprocess.Popen(
        [sys.executable, Path(__file__).with_name("timed_server.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield TimedServer(process, json.loads(process.stdout.readline())["port"])
        finally:
            if process.poll() is None:
                process.kill()


def report(probe: Probe, port: int) -> Report:
    """All that the probe saw, once it has ended."""
    names = Names({port: "timed"}, lambda pid: None)
    meter = Meter(Source("kernel", "test"), names.reading({}), 0.0)
    meter.window(names.reading(probe.stop()), 1.0)
    return meter.whole()


def powers(took_us: list[int]) -> dict[int, int]:
    return dict(Histogram({(us, us + 1): took_us.count(us) for us in set(took_us)}).powers())


@pytest.mark.alone
@pytest.mark.bar
def test_it_agrees_with_servers_that_time_themselves(kernel: Kernel) -> None:
    with timed_server() as server:
        with Probe(Watch((server.port,), interval_s=1), kernel) as probe:
            server.call([5, 60] * (SLEEPING_CALLS // 2), 8)
            seen = report(probe, server.port).all
        truth_us = server.truth_us()
    assert len(truth_us) == seen.total.calls == SLEEPING_CALLS
    assert seen.service.at_least(4096) == SLEEPING_CALLS
    if EMULATED:  # an emulated processor takes milliseconds from one line of the server to the next
        assert seen.high >= SLEEPING_CALLS // 2
        return
    true, told = powers(truth_us), dict(seen.service.powers())
    moved = sum(abs(true.get(power, 0) - told.get(power, 0)) for power in {*true, *told}) / 2
    high = sum(us > 50_000 for us in truth_us)
    print(f"{moved:g} of {SLEEPING_CALLS} in another bucket, above 50 ms {seen.high} of {high}")
    assert moved <= SLEEPING_CALLS / 100
    assert high >= SLEEPING_CALLS / 2
    assert abs(seen.high - high) <= SLEEPING_CALLS / 100
    if kernel.fine:
        middle, wanted = seen.service.percentile_us(25), sorted(truth_us)[SLEEPING_CALLS // 4]
        assert middle == pytest.approx(wanted, rel=0.05)


@pytest.mark.alone
@pytest.mark.bar
@pytest.mark.skipif(
    not LOAD.exists(), reason="the load generator is not built: make target/release/omnimind-load"
)
def test_every_call_of_many_connections_is_counted_and_cheap(kernel: Kernel) -> None:
    """Over HTTP, with the windows of a second going by; the cost is what the kernel itself says of our programs."""
    with upstream() as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
        limits = ["--in-flight", str(CONNECTIONS), "--count", str(COUNTED_CALLS), "--duration-s", "120"]
        with counting(), Probe(Watch((port,), interval_s=1), kernel) as probe:
            done = subprocess.run(
                [LOAD, "run", "--http", url, "--json", "--allow-saturated", *limits],
                capture_output=True,
                text=True,
                check=True,
            )
            cost_us = cpu_ns(probe.pid) / 1000 / COUNTED_CALLS
            seen = report(probe, port).all
    assert json.loads(done.stdout)["right"] == COUNTED_CALLS
    print(f"{seen.total.calls} of {COUNTED_CALLS} calls, {cost_us:.2f} us of CPU a call")
    assert seen.total.calls == seen.wait.calls == seen.service.calls == COUNTED_CALLS
    assert cost_us <= MOST_CPU_US


@contextmanager
def upstream() -> Iterator[str]:
    with subprocess.Popen(
        [LOAD, "upstream", "--http", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield str(json.loads(process.stdout.readline())["url"])
        finally:
            process.kill()


@contextmanager
def counting() -> Iterator[None]:
    """The kernel keeps accounts of every eBPF program."""
    before = STATS.read_text()
    STATS.write_text("1")
    try:
        yield
    finally:
        STATS.write_text(before)


def cpu_ns(pid: int) -> int:
    """What all programs of a process have taken, by its descriptors of them."""
    by_id: dict[str, int] = {}
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        fields = dict(re.findall(r"^(\w+):\s+(\S+)$", entry.read_text(), re.MULTILINE))
        if "prog_id" in fields and "run_time_ns" in fields:
            by_id[fields["prog_id"]] = int(fields["run_time_ns"])
    assert by_id, "no programs found"
    return sum(by_id.values())


ANSWERING = r"""
import os, time
while line := os.read(0, 64):
    time.sleep(int(line) / 1000)
    os.write(1, b"ok\n")
"""
STARTER = f"import os, subprocess, sys\nos.read(0, 1)\nsubprocess.run([sys.executable, '-c', {ANSWERING!r}])"


def test_children_on_stdio_are_seen_with_what_they_start(kernel: Kernel) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        with Probe(Watch((), (parent.pid,), 1), kernel) as probe:
            parent.stdin.write(b"\n")  # only now does it start the server
            for wait_ms in [5] * 20 + [60] * 5:
                parent.stdin.write(b"%d\n" % wait_ms)
                assert parent.stdout.readline() == b"ok\n"
            names = Names({}, lambda pid: "child" if pid != parent.pid else "parent")
            places = names.reading(probe.stop()).places
        parent.stdin.close()
    (seen,) = [calls for name, calls in places.items() if name.startswith("child:")]
    assert seen.service.calls == 25
    assert seen.high == 5
    assert seen.service.at_least(4096) == 25


def test_a_probe_that_cannot_load_says_why(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omnimind.monitor.program.build", lambda *_: "tracepoint:sock:no_such_thing { }")
    with pytest.raises(MonitorError) as error, Probe(Watch((9,)), kernel):
        pytest.fail("it was ready")
    assert "no_such_thing" in (error.value.why or "")
    assert error.value.code == "OM0602"


def test_nothing_is_left_when_the_monitor_is_killed(kernel: Kernel) -> None:
    command = [sys.executable, "-m", "omnimind", "monitor", "--ebpf", "--port", "9"]
    path = f"{Path(kernel.bpftrace).parent}:{os.environ['PATH']}"
    with subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "PATH": path}) as monitor:
        assert monitor.stderr is not None
        for line in monitor.stderr:
            if line.startswith(b"watching"):
                break
        (child,) = psutil.Process(monitor.pid).children()
        monitor.kill()
    child.wait(10)


def test_the_documents_script_reports_in_its_form(kernel: Kernel) -> None:
    if kernel.variant == "kprobes":
        pytest.skip("the file that stands for itself uses tracepoints that this kernel does not have")
    name = "scripts/canonical/system/monitor_mcp_bpf.bt"
    if not kernel.fine:
        name = "python/omnimind/monitor/latency_017.bt"
    with subprocess.Popen(
        [kernel.bpftrace, "-B", "none", ROOT / name],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        heard = iter(process.stdout.readline, "")
        assert any(line.startswith("Attach") for line in heard)
        # It says that it attaches before it has, and then says nothing more that could be waited for.
        time.sleep(2)
        process.send_signal(signal.SIGTERM)
        said = process.stdout.read()
    assert "========== MCP Latency Report (since then) ==========\n" in said
    assert "Syscall Latency Distribution (microseconds):\n" in said
    assert re.search(r"^Total calls: \d+$", said, re.MULTILINE)
    assert re.search(r"^⚠️  High latency calls \(>50ms\): \d+$", said, re.MULTILINE)


def test_the_command_watches_a_fleet(kernel: Kernel, tmp_path: Path) -> None:
    """Ports and children of a running fleet by their names; ended by Ctrl-C; the same figures written to a file."""
    out = tmp_path / "report.json"
    with Fleet({"everything": fixture_entry("everything"), "thinking": {"port": 0}}) as fleet:
        path = f"{Path(kernel.bpftrace).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "OMNIMIND_STATE": str(fleet.state)}
        command = [sys.executable, "-m", "omnimind", "monitor", "--ebpf", "--json", "--out", str(out)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
        ) as monitor:
            assert monitor.stderr is not None
            said: list[str] = []
            while not said or not said[-1].startswith("watching"):
                said.append(monitor.stderr.readline())
                assert said[-1], "".join(said)
            for _ in range(3):
                listing = [sys.executable, "-m", "omnimind", "list", "--json"]
                subprocess.run(listing, check=True, capture_output=True, env=environment)
            monitor.send_signal(signal.SIGINT)
            shown, _ = monitor.communicate(timeout=60)
        assert monitor.returncode == 0
    found = json.loads(shown)
    assert json.loads(out.read_text()) == found
    assert found["clock"] == "kernel"
    gateway = next(calls for name, calls in found["places"].items() if name.startswith("gateway:"))
    assert gateway["calls"] >= 3
    assert f"bpftrace {needs.dotted(kernel.version)}" in found["what"]


def test_the_calls_of_a_systemd_unit_are_told_by_its_control_group(kernel: Kernel) -> None:
    """A control group is a unit's by its name; here it is made by hand."""
    root = group_root()
    if root is None:
        pytest.skip("no control groups of version 2 are mounted here")
    unit = root / f"omnimind-test-{os.getpid()}.service"
    try:
        unit.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        with timed_server() as server, timed_server() as other:
            (unit / "cgroup.procs").write_text(str(server.process.pid))
            with Probe(Watch((server.port, other.port), interval_s=1), kernel) as probe:
                server.call([0] * 30, 2)
                other.call([0] * 20, 2)
                found = report(probe, server.port)
        assert found.all.total.calls == 50
        assert found.units[unit.name] == 30
    finally:
        unit.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can stand in for sudo")
def test_under_sudo_the_report_is_the_users(kernel: Kernel) -> None:
    """As sudo leaves it: root's process, the caller in the environment; a folder that is the caller's alone."""
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to others
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        out = Path(folder) / "report.txt"
        path = f"{Path(kernel.bpftrace).parent}:{os.environ['PATH']}"
        sudo = {"PATH": path, "SUDO_UID": str(nobody.pw_uid), "SUDO_GID": str(nobody.pw_gid)}
        command = [sys.executable, "-m", "omnimind", "monitor", "--ebpf", "--port", "9", "--duration", "1"]
        environment = {**os.environ, **sudo, "OMNIMIND_STATE": folder}
        done = subprocess.run([*command, "--out", out], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert (out.stat().st_uid, out.stat().st_gid) == (nobody.pw_uid, nobody.pw_gid)
        assert out.read_text() == done.stdout


def test_the_kprobes_load_as_far_as_this_kernel_goes(kernel: Kernel) -> None:
    """A kernel without kprobes refuses them by name and has nothing else against the file."""
    done = subprocess.run(
        [kernel.bpftrace, "-e", "BEGIN { exit(); }\n" + (
            ROOT / "python" / "omnimind" / "monitor" / "latency_kprobe.bt"
        ).read_text()],
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    errors = [line for line in done.stderr.splitlines() if "ERROR" in line and "MEMLOCK" not in line]
    allowed = re.compile(r"k(ret)?probe|traceable functions")
    assert all(allowed.search(line) for line in errors), (platform.release(), done.stderr)
