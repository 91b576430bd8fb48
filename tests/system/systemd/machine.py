"""A throw-away machine for tests: systemd as pid 1 in namespaces of its own, and a real user manager in it.

    with Machine() as machine:
        machine.run("systemctl --user is-system-running --wait")

What runs in it is the host's own systemd, D-Bus and journald over a layer of the host's files that is thrown away,
with loopback as its only network; the checkout and its interpreter are visible at their own paths. Commands run as
an unprivileged user whose manager was started by lingering, as on a server without logins. Everything dies with the
block, also when the test is killed. By hand: python -m tests.system.systemd.machine [--root] COMMAND
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from tests.fleet import ROOT, wait_until

USER, UID = "omni", 4321
HOME = f"/home/{USER}"
RUNTIME = f"/run/user/{UID}"
BOOT = Path(__file__).with_name("boot.py")
FULL = pytest.mark.skipif("OMNIMIND_FULL" not in os.environ, reason="in the full run: make bar-systemd")
BASE = os.environ.get("OMNIMIND_MACHINE_ROOT", "/")
"""Whose systemd runs: this machine's, or that of another Linux unpacked in a folder."""
CALLER = Path(__file__).with_name("caller.py")
BOOT_S = 60.0
NEEDED = ("unshare", "nsenter", "setpriv", "systemctl", "journalctl", "dbus-daemon")
PROGRAMS = Path(sys.executable).parent
ROOT_LACKS = "-sys_time,-sys_module,-sys_rawio,-sys_boot"
"""What root of the machine must not have: the host has one clock and one kernel for all."""
USER_IDENTITY = [
    f"--reuid={UID}",
    f"--regid={UID}",
    "--clear-groups",
    "--inh-caps=-all",
    "--bounding-set=-all",
]
USER_ENVIRONMENT = {
    "HOME": HOME,
    "USER": USER,
    "LOGNAME": USER,
    "SHELL": "/bin/bash",
    "LANG": "C.UTF-8",
    "PATH": f"{PROGRAMS}:/usr/local/bin:/usr/bin:/bin",
    "XDG_RUNTIME_DIR": RUNTIME,
    "DBUS_SESSION_BUS_ADDRESS": f"unix:path={RUNTIME}/bus",
    "NO_COLOR": "1",
    "SYSTEMD_PAGER": "",
}


VISIBLE = [str(ROOT), sys.prefix, sys.base_prefix]
"""What must be seen inside."""
OF_ITS_OWN = ("/tmp/", "/var/tmp/", "/run/", "/dev/")


def why_not() -> str | None:
    """Why no machine can be made here; None if one can."""
    if sys.platform != "linux":
        return "systemd is a Linux thing"
    if os.geteuid() != 0:
        return "a machine of its own needs root (namespaces, overlayfs)"
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    libraries = Path(BASE, "usr/lib")
    if not (libraries / "systemd/user/dbus.socket").exists():
        return "not installed: dbus-user-session"
    if not list(libraries.glob("*/security/pam_systemd.so")):
        return "not installed: libpam-systemd"
    kinds = Path("/proc/filesystems").read_text().split()
    lacking = [kind for kind in ("overlay", "cgroup2", "tmpfs") if kind not in kinds]
    if lacking:
        return f"the kernel has no {', '.join(lacking)}"
    hidden = [path for path in VISIBLE if os.path.realpath(path).startswith(OF_ITS_OWN)]
    if hidden:
        return f"{hidden[0]} lies in a folder that a machine, and a hardened unit, has for itself: clone elsewhere"
    return _no_mounts()


def _no_mounts() -> str | None:
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--net", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        text=True,
    )
    return None if tried.returncode == 0 else f"namespaces are refused here: {tried.stderr.strip()}"


class MachineError(Exception):
    """The machine did not come up, or a command in it failed; the text says what was said."""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    command: str
    code: int
    out: str
    err: str


@dataclass
class Machine:
    """One machine; a context manager."""

    _outside: subprocess.Popen[str] | None = None
    _console: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    _init: int = 0
    _background: list[subprocess.Popen[str]] = field(default_factory=list)

    def __enter__(self) -> Machine:
        wish = {"parent": os.getpid(), "base": BASE, "user": USER, "uid": UID, "visible": VISIBLE}
        self._outside = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "--propagation=private",
                sys.executable,
                "-I",
                str(BOOT),
                json.dumps(wish),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._console,
            text=True,
        )
        assert self._outside.stdout is not None
        try:
            self._init = int(self._outside.stdout.readline() or 0)
            wait_until(self._has_manager, BOOT_S, "the user's manager runs")
            self.check("systemctl --user is-system-running --wait >/dev/null || systemctl --user --failed")
        except Exception as error:
            said = self.console()
            self.__exit__()
            raise MachineError(f"{error}\n{said}") from error
        return self

    def _has_manager(self) -> bool:
        assert self._outside is not None
        if self._outside.poll() is not None:
            raise MachineError("the machine ended while it booted")
        runtime = Path(f"/proc/{self._init}/root{RUNTIME}")
        return (runtime / "systemd/private").exists() and (runtime / "bus").exists()

    def __exit__(self, *_: object) -> None:
        assert self._outside is not None
        self._outside.send_signal(signal.SIGTERM)
        self._outside.wait(30)
        for process in self._background:
            process.kill()
            process.communicate()
        if self._outside.stdout is not None:
            self._outside.stdout.close()
        self._console.close()

    def console(self) -> str:
        """What pid 1 said."""
        self._console.seek(0)
        return self._console.read().decode(errors="replace")

    def file(self, path: str) -> Path:
        """A file of the machine, seen from outside."""
        return Path(f"/proc/{self._init}/root{path}")

    def run(
        self,
        script: str,
        *,
        root: bool = False,
        timeout_s: float = 60,
        environment: Mapping[str, str] | None = None,
    ) -> Done:
        """Run a shell script as the user (or as the machine's root) and say how it ended."""
        process = subprocess.run(
            self._command(script, root, environment or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        return Done(script, process.returncode, process.stdout, process.stderr)

    def check(self, script: str, **options: bool) -> str:
        """The standard output of a script that must succeed."""
        done = self.run(script, root=options.get("root", False))
        if done.code != 0:
            raise MachineError(f"{script}: exit code {done.code}\n{done.out}{done.err}")
        return done.out

    def start(self, script: str) -> subprocess.Popen[str]:
        """A script in the background; it ends with the machine at the latest."""
        process = subprocess.Popen(
            self._command(script, False, {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._background.append(process)
        return process

    def caller(self, *words: str) -> str:
        """The command line of the client inside (caller.py)."""
        return shlex.join(["python", str(CALLER), *words])

    def call(self, *words: str) -> str:
        """What the client inside prints; it must succeed."""
        return self.check(self.caller(*words))

    @contextmanager
    def calls(self, server: str, at_least: int = 5) -> Iterator[None]:
        """Clients call all the time, each on a connection of its own, also before and after; none may fail."""
        self.check("rm -f steady steady.end")
        caller = self.start(self.caller("steady", server))
        answered = self.file(f"{HOME}/steady")
        self._grows(answered, at_least)
        yield
        self._grows(answered, at_least)
        self.check("touch steady.end")
        said = caller.communicate(timeout=BOOT_S)[0]
        if said.split() != ["0"]:
            raise MachineError(f"calls failed: {said}")

    @staticmethod
    def _grows(file: Path, by: int) -> None:
        before = file.stat().st_size if file.exists() else 0
        wait_until(lambda: file.exists() and file.stat().st_size >= before + by, BOOT_S, "calls are answered")

    def ports(self) -> set[int]:
        """The TCP ports of the machine that somebody listens on."""
        rows = [line.split() for line in self.check("cat /proc/net/tcp").splitlines()[1:]]
        return {int(row[1].partition(":")[2], 16) for row in rows if row[3] == "0A"}

    def drop_in(self, unit: str, text: str) -> None:
        """Add `test.conf` to a unit of the user."""
        folder = f"~/.config/systemd/user/{unit}.d"
        quoted = shlex.quote(text + "\n")
        self.check(
            f"mkdir -p {folder} && printf %s {quoted} > {folder}/test.conf && systemctl --user daemon-reload"
        )

    def _command(self, script: str, root: bool, environment: Mapping[str, str]) -> list[str]:
        inside = [
            "nsenter",
            f"--target={self._init}",
            "--pid",
            "--mount",
            "--cgroup",
            "--uts",
            "--ipc",
            "--net",
        ]
        identity = [f"--bounding-set={ROOT_LACKS}"] if root else USER_IDENTITY
        known = {"PATH": USER_ENVIRONMENT["PATH"], "HOME": "/root"} if root else USER_ENVIRONMENT
        said = [f"{name}={value}" for name, value in {**known, **environment}.items()]
        home = "/root" if root else HOME
        return [
            *inside,
            "setpriv",
            *identity,
            "env",
            "-i",
            *said,
            "bash",
            "-c",
            f"cd {home} && {{ {script}\n}}",
        ]


def main(argv: list[str]) -> int:
    """Run one command in a fresh machine; its exit code."""
    root = argv[:1] == ["--root"]
    if reason := why_not():
        print(reason, file=sys.stderr)
        return 97
    with Machine() as machine:
        done = machine.run(shlex.join(argv[root:]) if len(argv) > 1 + root else argv[-1], root=root)
    print(done.out, end="")
    print(done.err, end="", file=sys.stderr)
    return done.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
