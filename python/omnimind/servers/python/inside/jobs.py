"""The life of a jailed child, from the fork to its end. No path leads back into the zygote's loop."""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from omnimind.linux import process
from omnimind.servers.python.inside import cells, confine, frames

REQUEST: Final = 3
REPLY: Final = 4
DESCRIPTORS: Final = 5
"""stdin, stdout, stderr, requests and replies, in this order."""
NO_JAIL: Final = 70


def settle() -> None:
    """What every child does first: signals, a session, streams for the descriptors that will come."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    _streams()


def live(
    job: dict[str, Any], descriptors: Sequence[int], zygote: int, libraries: Sequence[str], tasks_of_user: int
) -> NoReturn:
    """Be the job and exit."""
    code = 1
    try:
        if os.getsid(0) != os.getpid():
            settle()
        process.set_name("omnimind-job")
        confine.keep_descriptors(descriptors)
        try:
            confine.confine(job, zygote, libraries, tasks_of_user)
        except OSError as fault:
            frames.write(REPLY, {"no_jail": str(fault)})
            os._exit(NO_JAIL)
        _environment(job)
        code = _do(job)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _environment(job: dict[str, Any]) -> None:
    folder = str(job["folder"])
    kept = {
        name: os.environ[name]
        for name in ("LANG", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        if name in os.environ
    }
    os.environ.clear()
    os.environ.update(kept)
    os.environ.update(HOME=folder, TMPDIR=folder, MPLCONFIGDIR=folder, MPLBACKEND="Agg", PYTHONUTF8="1")
    os.environ.update(job.get("env") or {})


def _streams() -> None:
    """Streams on the job's own pipes: what the zygote's were made for is gone."""
    sys.stdin = open(0, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        raw = open(descriptor, "wb", closefd=False)  # noqa: SIM115
        text = io.TextIOWrapper(raw, "utf-8", "backslashreplace", line_buffering=True)
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)


def _do(job: dict[str, Any]) -> int:
    kind = job["kind"]
    if kind == "code":
        cells.serve(REQUEST, REPLY)
        return 0
    if kind == "fast":
        from omnimind.servers.python.inside import fast

        fast.serve(REQUEST, REPLY)
        return 0
    if kind == "program":
        os.execve(job["program"], [job["program"], *job["args"]], dict(os.environ))  # noqa: S606
    return _call(job)


def _call(job: dict[str, Any]) -> int:
    """A function of ours: what it returns goes to the worker, what it raises to stderr."""
    module, _, name = str(job["target"]).partition(":")
    result = getattr(importlib.import_module(module), name)(**frames.read(REQUEST))
    sys.stdout.flush()
    sys.stderr.flush()
    frames.write(REPLY, {"value": result})
    return 0
