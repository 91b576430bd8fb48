"""What is done in the jail, and what comes of it: plain values, so that tools and tests need no process.

A job is one of three things, each in a forked child of its own that has given up files, network, processes and
signals before it begins: `Code` (Python of a stranger), `Call` (a function of ours that works on a stranger's
files) or `Program` (one named program, executed once).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

MIB: Final = 1024 * 1024

End = Literal["done", "failed", "timeout", "memory", "disk", "killed", "lost"]
"""How a job ended: by itself, with an exit code other than 0 or an exception, at its wall time, out of memory,
over its disk space, by a signal, or without an answer because the jail itself went away."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may use. Whoever goes over is killed, and the outcome says which figure it was."""

    wall_s: float = 30.0
    memory_bytes: int = 512 * MIB
    """Address space: everything mapped counts, whether touched or not."""
    disk_bytes: int = 256 * MIB
    """All files beneath the job's folder together; one file may have a quarter of it."""
    output_bytes: int = 1 * MIB
    """Of stdout and of stderr; what comes after is read, counted and dropped."""
    open_files: int = 128
    threads: int = 64


@dataclass(frozen=True, slots=True)
class Code:
    """Run Python source as a cell. The outcome's `value` is what `inside.cell` reports."""

    source: str
    files: dict[str, str] = field(default_factory=dict)
    """Laid into the folder before, by the job itself."""
    library: str | None = None
    """Another folder to import from; the job must be able to read it."""


@dataclass(frozen=True, slots=True)
class Call:
    """Call `module:function` of our own package with these arguments; all of it must be msgpack's types.

    The function runs inside the jail, with the job's folder as working directory, and what it returns is the
    outcome's `value` (at most 8 MiB packed). An exception becomes `failed` with the traceback in `stderr`.
    """

    target: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Program:
    """Execute a program by its absolute path: this one alone may be executed, and it can start no other."""

    path: str
    args: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    """Beside HOME, TMPDIR and LANG, which every job has."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do, where, and what it may touch.

    `folder` exists, is its own, becomes its working directory, HOME and TMPDIR, and may be written. `read` and
    `write` are further paths; the interpreter and its libraries can always be read. The jail as a whole was told
    at its start what may be named here at all (`Jail.start`).
    """

    do: Code | Call | Program
    folder: Path
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    stdin: bytes = b""
    network: bool = False
    """For functions of ours that fetch something; it works only if the jail was started with `network`."""
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job. Texts are cut at `output_bytes`; `dropped_bytes` says how much is missing."""

    end: End
    stdout: bytes
    stderr: bytes
    value: Any = None
    exit_code: int | None = None
    signal: int | None = None
    seconds: float = 0.0
    dropped_bytes: int = 0

    def why(self, limits: Limits) -> str:
        """One sentence on an end that is not `done`, with the figure that was met."""
        return {
            "done": "it ended by itself",
            "failed": f"it ended with exit code {self.exit_code}",
            "timeout": f"it was ended after {limits.wall_s:g} s, the time it was given",
            "memory": f"it wanted more memory than the {limits.memory_bytes // MIB} MB it may have",
            "disk": f"it was ended because its files grew over {limits.disk_bytes // MIB} MB or 10,000 files",
            "killed": f"it was ended by signal {self.signal}",
            "lost": "the jail went away while it ran; it is being replaced, so try again",
        }[self.end]
