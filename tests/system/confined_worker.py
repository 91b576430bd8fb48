"""A worker that tries what it must not be able to do, and tells how it went.

`python confined_worker.py NAME LISTENER KEY STATE SECRET -- ARGS` is exec'd in place of `omnimind.servers`; its
one tool answers a JSON object: what was tried, and the name of the error or "done".
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from mcp.server import MCPServer

from omnimind.servers import __main__ as command
from omnimind.servers import worker

CALLS = {"x86_64": {"ptrace": 101, "unshare": 272}, "aarch64": {"ptrace": 117, "unshare": 97}}[
    os.uname().machine
]
LIBC = ctypes.CDLL(None, use_errno=True)


def tried(act: Callable[[], object]) -> str:
    try:
        act()
    except OSError as refusal:
        return errno.errorcode.get(refusal.errno or 0, str(refusal))
    except Exception as refusal:
        return type(refusal).__name__
    return "done"


def call(number: int, *arguments: int) -> None:
    if LIBC.syscall(number, *(ctypes.c_long(argument) for argument in arguments)) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def in_thread() -> None:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()


def attempts(state: Path, secret: Path, name: str) -> dict[str, str]:
    own = state / "db" / name
    return {
        "read a file outside": tried(lambda: secret.read_text()),
        "read a file of the state folder": tried(lambda: (state / "key").read_text()),
        "list a folder outside": tried(lambda: os.listdir(secret.parent)),
        "write outside": tried(lambda: secret.write_text("changed")),
        "read another process": tried(lambda: Path(f"/proc/{os.getppid()}/cmdline").read_bytes()),
        "execute": tried(lambda: os.execv("/bin/true", ["true"])),
        "fork": tried(os.fork),
        "connect": tried(lambda: socket.socket(socket.AF_INET)),
        "signal another process": tried(lambda: os.kill(os.getppid(), 0)),
        "trace": tried(lambda: call(CALLS["ptrace"], 16, os.getppid(), 0, 0)),
        "new namespace": tried(lambda: call(CALLS["unshare"], 0x10000000)),
        "write its own": tried(lambda: (own / "file").write_text("x")),
        "read its own": tried(lambda: (own / "file").read_text()),
        "run a thread": tried(in_thread),
        "import": tried(lambda: __import__("colorsys")),
        "signal itself": tried(lambda: os.kill(os.getpid(), 0)),
    }


def main() -> None:
    name, listener, key, state, secret = sys.argv[1:6]
    args = sys.argv[7:]
    server = MCPServer("confined")

    @server.tool()
    def attempt() -> str:
        return json.dumps(attempts(Path(state), Path(secret), name))

    worker.build = lambda _: server  # type: ignore[assignment]
    held = socket.socket(fileno=int(listener))
    worker.run(name, held, command.read_key(int(key)), Path(state), args)


if __name__ == "__main__":
    main()
