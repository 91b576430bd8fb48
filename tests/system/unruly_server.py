"""A stdio server that misbehaves as its arguments say, and answers the two questions that make it ready.

`hoard MB` takes memory when it is asked for tools; `litter FILE` leaves a process behind that has its own session, no
environment, no parent and no ear for SIGTERM, and writes that process's pid; `tell FILE` writes what it is.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any


def litter(file: Path) -> None:
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    script = "import os, time, sys; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
    for descriptor in range(3):
        os.close(descriptor)
    os.execve(sys.executable, [sys.executable, "-S", "-c", script, str(file)], {})


def tell(file: Path) -> None:
    kinds = ("RLIMIT_DATA", "RLIMIT_NOFILE", "RLIMIT_NPROC")
    about = {
        "uid": os.getresuid(),
        "gid": os.getresgid(),
        "groups": os.getgroups(),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "group": Path("/proc/self/cgroup").read_text(),
        "death_signal": death_signal(),
        **{kind: resource.getrlimit(getattr(resource, kind))[0] for kind in kinds},
    }
    file.write_text(json.dumps(about))


def death_signal() -> int:
    import ctypes

    number = ctypes.c_int()
    ctypes.CDLL(None).prctl(2, ctypes.byref(number), 0, 0, 0)
    return number.value


def main() -> None:
    what, argument = sys.argv[1:3]
    kept: list[bytes] = []
    if what == "litter":
        litter(Path(argument))
    if what == "tell":
        tell(Path(argument))
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        if "id" not in request:
            continue
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        if request["method"] == "server/discover":
            answer["error"] = {"code": -32601, "message": "Method not found"}
        elif request["method"] == "initialize":
            answer["result"] = {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "unruly", "version": "1"},
            }
        else:
            answer["result"] = {"tools": []}
            if what == "hoard":
                kept.append(b"x" * (int(argument) * 1024 * 1024))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
