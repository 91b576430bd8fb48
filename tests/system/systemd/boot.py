"""The inside of a throw-away machine: from a plain root shell's view to systemd as pid 1 (see machine.py).

Run as root by machine.py, in a mount namespace of its own; nothing it does outlives it, and nothing but one
control group is seen outside, which it removes at the end. Rules: the host's files are only ever a lower layer;
`/proc/sys`, `/sys` and the host's devices are read-only or not there, because a sysctl written in here would be
written for the whole host; what is started is named here (an allow-list), so no unit of the host runs by accident.

Standard output gets one line, the host's number of the machine's pid 1. SIGTERM, or the death of whoever started
it, ends the machine.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import stat
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

NEW_NAMESPACES = 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000  # UTS, IPC, PID, NET
NEW_MOUNTS, NEW_CGROUPS = 0x00020000, 0x02000000
READ_ONLY, NO_SUID, BIND, RECURSIVE, REMOUNT, PRIVATE = 0x1, 0x2, 0x1000, 0x4000, 0x20, 0x40000
DETACH = 2
PDEATHSIG, DROP_CAPABILITY = 1, 24
NEVER_NEEDED = (16, 17, 25)  # CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_TIME
GROUP_PREFIX = "omnimind-machine-"
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
SYSTEMD = "/usr/lib/systemd/systemd"
WANTED = (
    "systemd-journald.service",
    "systemd-journal-flush.service",
    "dbus.service",
    "systemd-logind.service",
)
"""All that the machine starts for itself; the user's manager is added."""

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    plain = [a.encode() if isinstance(a, str) else a for a in arguments]
    if getattr(_libc, name)(*plain) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}{arguments}: {os.strerror(number)}")


def mount(source: str, target: Path, kind: str, flags: int = 0, data: str | None = None) -> None:
    target.mkdir(parents=True, exist_ok=True)
    _call("mount", source, str(target), kind, ctypes.c_ulong(flags), data)


def bind(source: str, target: Path, flags: int = 0) -> None:
    _call("mount", source, str(target), None, ctypes.c_ulong(BIND), None)
    if flags:
        _call("mount", None, str(target), None, ctypes.c_ulong(BIND | REMOUNT | flags), None)


class Groups:
    """The machine's control group in the host's second hierarchy, mounted for us alone."""

    def __init__(self, at: Path) -> None:
        mount("cgroup2", at, "cgroup2")
        for left in at.glob(f"{GROUP_PREFIX}*"):
            if not Path("/proc", left.name.removeprefix(GROUP_PREFIX)).exists():
                self._remove(left)
        self.path = at / f"{GROUP_PREFIX}{os.getpid()}"
        self.path.mkdir()

    def enter(self) -> None:
        (self.path / "cgroup.procs").write_text("0")

    def remove(self) -> None:
        self._remove(self.path)

    @staticmethod
    def _remove(top: Path) -> None:
        end = time.monotonic() + 5
        while top.exists() and time.monotonic() < end:
            for folder, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
            time.sleep(0.01)


class Root:
    """The machine's file system: layers over the host's, and fresh ones where the kernel speaks."""

    def __init__(self, work: Path, base: str, visible: list[str]) -> None:
        self._work = work
        self._base = base
        self._visible = visible
        self.path = work / "root"

    def build(self) -> None:
        wanted = {"/": self._base, **{path: path for path in self._elsewhere()}}
        lowers = {
            at: os.open(path, os.O_PATH) for at, path in wanted.items()
        }  # the tmpfs may hide their paths
        mount("tmpfs", self._work, "tmpfs", data="mode=755")
        for at, lower in lowers.items():
            self._layer(f"/proc/self/fd/{lower}", at, f"layer{lower}")
            os.close(lower)
        mount("proc", self.path / "proc", "proc")
        for name in ("sys", "sysrq-trigger", "irq", "bus", "fs"):
            at = self.path / "proc" / name
            if at.exists():
                bind(str(at), at, READ_ONLY)
        mount("sysfs", self.path / "sys", "sysfs", READ_ONLY)
        mount("cgroup2", self.path / "sys/fs/cgroup", "cgroup2")
        for name, mode in (("run", "755"), ("tmp", "1777"), ("var/tmp", "1777"), ("dev", "755")):
            mount("tmpfs", self.path / name, "tmpfs", data=f"mode={mode}")
        self._devices(self.path / "dev")

    def _elsewhere(self) -> list[str]:
        """What must be seen and is not of the base: all of it, or what other file systems hold."""
        found: list[str] = []
        for path in sorted(os.path.realpath(path) for path in self._visible):
            while self._base == "/" and not os.path.ismount(path):
                path = os.path.dirname(path)
            if path != "/" and not any(f"{path}/".startswith(f"{above}/") for above in found):
                found.append(path)
        return found

    def _layer(self, lower: str, at: str, name: str) -> None:
        upper, work = self._work / name / "upper", self._work / name / "work"
        upper.mkdir(parents=True)
        work.mkdir()
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        mount("overlay", Path(f"{self.path}{at}"), "overlay", data=options)

    def _devices(self, dev: Path) -> None:
        for name in DEVICES:
            (dev / name).touch()
            bind(f"/dev/{name}", dev / name)
        mount("devpts", dev / "pts", "devpts", data="newinstance,ptmxmode=666,mode=620")
        mount("tmpfs", dev / "shm", "tmpfs", data="mode=1777")
        (dev / "ptmx").symlink_to("pts/ptmx")
        (dev / "fd").symlink_to("/proc/self/fd")
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            (dev / name).symlink_to(f"/proc/self/fd/{number}")

    def open_paths(self) -> None:
        """Every folder on the way to what must be seen may be passed (an interpreter may lie in root's home)."""
        for path in self._visible:
            for at in [Path(path), Path(os.path.realpath(path))]:
                for folder in [at, *at.parents]:
                    inside = Path(f"{self.path}{folder}")
                    if inside.is_dir() and not inside.stat().st_mode & stat.S_IXOTH:
                        inside.chmod(inside.stat().st_mode | stat.S_IXOTH)

    def settle(self, user: str, uid: int) -> None:
        """The few files that make it a machine of its own."""
        units = self.path / "etc/systemd/system"
        for top in (units, self.path / "usr/lib/systemd/system"):
            for folder in [*top.glob("*.wants"), *top.glob("*.requires")]:
                shutil.rmtree(folder)
        for name in ("system-generators", "system-environment-generators", "system-shutdown"):
            shutil.rmtree(self.path / "usr/lib/systemd" / name, ignore_errors=True)
        for name in ("modprobe@.service", "systemd-journald-audit.socket"):
            (units / name).unlink(missing_ok=True)
            (units / name).symlink_to("/dev/null")
        wanted = " ".join([*WANTED, f"user@{uid}.service"])
        self._write(
            "etc/systemd/system/machine.target",
            f"[Unit]\nRequires=basic.target\nAfter=basic.target\nWants={wanted}\n",
        )
        self._write(
            "etc/systemd/journald.conf.d/machine.conf",
            "[Journal]\nStorage=persistent\nRateLimitBurst=0\nAudit=no\n",
        )
        self._write("etc/systemd/system.conf.d/machine.conf", "[Manager]\nDefaultTimeoutStopSec=5s\n")
        self._write("etc/machine-id", os.urandom(16).hex() + "\n")
        self._write("etc/hostname", "machine\n")
        self._write("etc/fstab", "")
        self._write(f"var/lib/systemd/linger/{user}", "")
        (self.path / "var/log/journal").mkdir(parents=True, exist_ok=True)
        self._add_user(user, uid)

    def _add_user(self, user: str, uid: int) -> None:
        home = self.path / "home" / user
        for file, line in (
            ("passwd", f"{user}:x:{uid}:{uid}::/home/{user}:/bin/bash"),
            ("group", f"{user}:x:{uid}:"),
            ("shadow", f"{user}:*:19000:0:99999:7:::"),
        ):
            at = self.path / "etc" / file
            at.write_text(f"{at.read_text().rstrip()}\n{line}\n")
        (home / ".config").mkdir(parents=True)
        for folder in (home, home / ".config"):
            os.chown(folder, uid, uid)
            folder.chmod(0o700)

    def _write(self, name: str, text: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(text)

    def enter(self) -> None:
        os.chdir(self.path)
        (self.path / "mnt").mkdir(exist_ok=True)
        _call("pivot_root", ".", "mnt")
        os.chdir("/")
        _call("umount2", "/mnt", DETACH)


def _die_with_parent(number: int, parent: int) -> None:
    _call("prctl", PDEATHSIG, ctypes.c_ulong(number), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _loopback_up() -> None:
    up_and_running = struct.pack("16sH14x", b"lo", 0x1 | 0x40)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, up_and_running)  # SIOCSIFFLAGS


def _become_init(root: Root, groups: Groups, user: str, uid: int) -> None:
    groups.enter()
    _call("unshare", NEW_MOUNTS | NEW_CGROUPS)
    _call("mount", None, "/", None, ctypes.c_ulong(PRIVATE | RECURSIVE), None)
    root.build()
    root.open_paths()
    root.settle(user, uid)
    socket.sethostname("machine")
    _loopback_up()
    root.enter()
    for capability in NEVER_NEEDED:
        _call("prctl", DROP_CAPABILITY, ctypes.c_ulong(capability), 0, 0, 0)
    environment = {
        "container": "omnimind",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    os.dup2(2, 1)
    os.setsid()
    command = [SYSTEMD, "--log-target=console", "--show-status=no", "--unit=machine.target"]
    os.execve(SYSTEMD, command, environment)


def main(wish: dict[str, object]) -> int:
    """Boot the machine and wait for its end."""
    parent = int(str(wish["parent"]))
    user, uid = str(wish["user"]), int(str(wish["uid"]))
    visible = [str(path) for path in wish["visible"]] if isinstance(wish["visible"], list) else []
    _die_with_parent(signal.SIGTERM, parent)
    groups = Groups(Path("/mnt"))
    _call("unshare", NEW_NAMESPACES)
    child = os.fork()
    if child == 0:
        _run_or_exit(lambda: _become_init(Root(Path("/tmp"), str(wish["base"]), visible), groups, user, uid))
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGKILL))
    if os.getppid() != parent:
        os.kill(child, signal.SIGKILL)
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    groups.remove()
    return 0 if os.WIFSIGNALED(status) else 1


def _run_or_exit(act: Callable[[], None]) -> None:
    """In the child, whose parent is outside its namespace and so is told by number 0."""
    try:
        _die_with_parent(signal.SIGKILL, 0)
        act()
    except BaseException as fault:
        print(f"the machine did not boot: {fault}", file=sys.stderr, flush=True)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
