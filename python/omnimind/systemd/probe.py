"""Whether the file part of the hardening works here: tried with a unit, because only a unit tells.

A user unit may accept every directive and apply none (systemd 252 without PrivateUsers), or not start at all (a
distribution that forbids user namespaces). So a unit with exactly the directives that would be installed looks
whether they hold: a file in the machine's /tmp must be out of sight, and the home folder not writable.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from omnimind.systemd import manager

_UNIT = """[Unit]
CollectMode=inactive-or-failed
[Service]
Type=oneshot
TimeoutStartSec=20
ExecStart=/bin/sh -c '[ ! -e "{marker}" ] && [ ! -w "%h" ]'
"""
_SILENT = "a unit with it does not start, or it has no effect there"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the trial showed."""

    works: bool
    why: str


def hardening(bodies: list[str], state_dir: Path) -> Verdict:
    """Try drop-ins of these texts. Needs a user manager; leaves nothing behind."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if not runtime or manager.absent():
        return Verdict(False, "no service manager of this user could be asked")
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = Path(runtime) / "systemd" / "user"
    name = f"omnimind-probe-{os.getpid()}.service"
    drop_ins = folder / f"{name}.d"
    drop_ins.mkdir(mode=0o700, parents=True)
    try:
        with tempfile.NamedTemporaryFile(prefix="omnimind-probe-") as marker:
            (folder / name).write_text(_UNIT.format(marker=marker.name))
            for number, body in enumerate(bodies):
                (drop_ins / f"{number}.conf").write_text(body)
            manager.systemctl("daemon-reload")
            done = manager.systemctl("start", name)
        return Verdict(True, "") if done.code == 0 else Verdict(False, manager.reason(name) or _SILENT)
    finally:
        for file in [*drop_ins.iterdir(), folder / name]:
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            drop_ins.rmdir()
        manager.systemctl("daemon-reload")
