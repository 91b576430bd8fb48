"""What watching from the kernel's side needs here, looked for one by one; whatever is missing comes with its fix.

Asked by looking, not by the kernel's version: distributions carry tracepoints back, containers hide them. `examine`
takes the facts as an argument, so that every machine can be told about on any other.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from omnimind.linux import features

Version = tuple[int, int, int]
Variant = Literal["tracepoints", "kprobes"]

PROMISED: Final[Version] = (0, 23, 0)
"""From here on the finer histograms are right; older ones down to OLDEST give powers of two."""
OLDEST: Final[Version] = (0, 17, 0)
_LOCKDOWN: Final = Path("/sys/kernel/security/lockdown")
_INSTALL: Final = (
    "install it: apt install bpftrace, dnf install bpftrace (0.23 or newer: Debian 13, Fedora 42)"
)
_ADMIN_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_VERSION_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found; `tracefs` is None where it is not mounted, `version` where bpftrace does not say one."""

    root: bool
    release: str
    btf: bool
    tracefs: Path | None
    bpftrace: str | None
    version: Version | None
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """One thing that is not there, and what to do about it."""

    what: str
    fix: str


@dataclass(frozen=True, slots=True)
class Kernel:
    """All that is needed: which bpftrace, of which version, and by which probes."""

    bpftrace: str
    version: Version
    variant: Variant

    @property
    def fine(self) -> bool:
        """True if histograms have 32 buckets for every power of two."""
        return self.version >= PROMISED


def facts() -> Facts:
    """Look at this machine. Nothing is changed, nothing is traced."""
    program = shutil.which("bpftrace") or shutil.which("bpftrace", path=_ADMIN_PATH)
    return Facts(
        os.geteuid() == 0,
        platform.release(),
        features.has_btf(),
        features.tracefs(),
        program,
        version_of(program) if program else None,
        _is_locked(),
    )


def examine(found: Facts) -> tuple[Kernel | None, list[Missing]]:
    """What can be done, or everything that is missing for it."""
    missing = list(_missing(found))
    variant = _variant(found)
    if variant is None and found.root and found.tracefs is not None:
        missing.append(
            Missing(
                f"Linux {found.release} has neither the tracepoints of sock: (6.3) nor kprobes",
                "use a newer kernel, or one with CONFIG_KPROBES=y",
            )
        )
    if missing or variant is None or found.bpftrace is None or found.version is None:
        return None, missing
    return Kernel(found.bpftrace, found.version, variant), []


def _missing(found: Facts) -> Iterable[Missing]:
    if not found.root:
        yield Missing("this is not root, and only root may load eBPF programs", "run it with sudo")
    if found.bpftrace is None:
        yield Missing("bpftrace is not installed", _INSTALL)
    elif found.version is None:
        yield Missing(f"{found.bpftrace} does not say its version", "try it: bpftrace --version")
    elif found.version < OLDEST:
        yield Missing(f"bpftrace {dotted(found.version)} is older than {dotted(OLDEST)}", _INSTALL)
    if not found.btf:
        yield Missing("the kernel does not tell its types (BTF)", "use a kernel with CONFIG_DEBUG_INFO_BTF=y")
    if found.tracefs is None:
        yield Missing(
            "the kernel's tracepoints are not mounted (tracefs)",
            "sudo mount -t tracefs tracefs /sys/kernel/tracing",
        )
    if found.locked:
        yield Missing(
            "the kernel is locked down (confidentiality), and lets nobody read its memory",
            "boot with lockdown=integrity",
        )


def dotted(version: Version) -> str:
    """0.23.2."""
    return ".".join(map(str, version))


def _variant(found: Facts) -> Variant | None:
    if found.tracefs is None:
        return None
    if (found.tracefs / "events" / "sock" / "sock_send_length").exists():
        return "tracepoints"
    return "kprobes" if (found.tracefs / "kprobe_events").exists() else None


def version_of(program: str) -> Version | None:
    """The version that a bpftrace says it is; None if it does not run."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=_VERSION_S)
    except (OSError, subprocess.SubprocessError):
        return None
    return parsed(said.stdout)


def parsed(text: str) -> Version | None:
    """The version in `bpftrace v0.23.2`."""
    match = re.search(r"v(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def _is_locked() -> bool:
    try:
        return "[confidentiality]" in _LOCKDOWN.read_text()
    except OSError:
        return False
