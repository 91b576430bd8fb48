"""Exit statuses and last words, as reasons with a fix."""

from __future__ import annotations

import errno
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from omnimind.orchestrator import exits, holders
from omnimind.orchestrator.exits import Cause, classify, missing_command
from omnimind.orchestrator.holders import Holder
from omnimind.orchestrator.lastwords import Kind

FAILED = 1 << 8
NODE_HOLDS = Holder(4121, "node")


def why(*lines: str, status: int = FAILED, holder: Holder | None = None) -> Cause:
    return classify(status, lines, port_holder=lambda _: holder, socket_holder=lambda _: holder)


@pytest.mark.parametrize(
    ("status", "reason", "kind", "hopeless"),
    [
        (0, "ended by itself (exit code 0)", Kind.ENDED, False),
        (3 << 8, "exit code 3", Kind.EXIT, False),
        (2 << 8, "wrong usage (exit code 2)", Kind.EXIT, False),
        (78 << 8, "configuration error (exit code 78)", Kind.CONFIG, True),
        (126 << 8, "its shell may not execute the command (exit code 126)", Kind.PERMISSION, False),
        (127 << 8, "command not found by its shell (exit code 127)", Kind.COMMAND, False),
        (255 << 8, "exit code 255", Kind.EXIT, False),
        (signal.SIGKILL, "killed by SIGKILL", Kind.SIGNAL, False),
        ((128 + signal.SIGKILL) << 8, "killed by SIGKILL (told by its shell)", Kind.SIGNAL, False),
        (signal.SIGSEGV | 128, "killed by SIGSEGV", Kind.SIGNAL, False),
        (signal.SIGRTMIN + 3, "killed by signal 37", Kind.SIGNAL, False),
    ],
)
def test_a_status_without_words_has_a_reason(status: int, reason: str, kind: Kind, hopeless: bool) -> None:
    cause = why("just a line", status=int(status))
    assert (cause.reason, cause.kind, cause.hopeless) == (reason, kind, hopeless)


@pytest.mark.parametrize(
    ("lines", "kind", "part"),
    [
        (
            ["Traceback:", "ModuleNotFoundError: No module named 'nope'"],
            Kind.IMPORT,
            "No module named 'nope'",
        ),
        (["/usr/bin/python3: No module named nope"], Kind.IMPORT, "nope"),
        (["ImportError: cannot import name 'x' from 'y' (/a/y.py)"], Kind.IMPORT, "cannot import name 'x'"),
        (["Error: Cannot find module '/x/index.js'", "Node.js v20"], Kind.IMPORT, "/x/index.js"),
        (
            ["Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'zod' imported from /x/a.mjs"],
            Kind.IMPORT,
            "zod",
        ),
        (["npm error 404  'nope-mcp@*' is not in this registry."], Kind.IMPORT, "nope-mcp@*"),
        (
            ["ImportError: libGL.so.1: cannot open shared object file: No such file or directory"],
            Kind.LIBRARY,
            "libGL.so.1",
        ),
        (
            ["x: error while loading shared libraries: libssl.so.3: cannot open shared object file: No such"],
            Kind.LIBRARY,
            "libssl.so.3",
        ),
        (["sh: 1: npx: not found"], Kind.COMMAND, "npx"),
        (["bash: line 1: foo: command not found"], Kind.COMMAND, "foo"),
        (["/usr/bin/env: 'node': No such file or directory"], Kind.COMMAND, "node"),
        (
            ["python3: can't open file '/x/s.py': [Errno 2] No such file or directory"],
            Kind.COMMAND,
            "/x/s.py",
        ),
        (["OSError: [Errno 28] No space left on device"], Kind.DISK, "No space left"),
        (["MemoryError"], Kind.MEMORY, "MemoryError"),
        (["FATAL ERROR: Reached heap limit - JavaScript heap out of memory"], Kind.MEMORY, "heap"),
        (["OSError: [Errno 24] Too many open files"], Kind.LIMIT, "Too many open files"),
        (["RuntimeError: can't start new thread"], Kind.LIMIT, "thread"),
        (["PermissionError: [Errno 13] Permission denied: '/root/x'"], Kind.PERMISSION, "/root/x"),
        (["Error: EACCES: permission denied, open '/root/x'"], Kind.PERMISSION, "/root/x"),
        (["KeyError: 'GITHUB_TOKEN'"], Kind.CONFIG, "GITHUB_TOKEN is not set"),
        (["Error: BRAVE_API_KEY environment variable is required"], Kind.CONFIG, "BRAVE_API_KEY is not set"),
        (
            ["usage: s [-h] root", "s: error: the following arguments are required: root"],
            Kind.CONFIG,
            "arguments are required: root",
        ),
        (["Error: getaddrinfo ENOTFOUND example.invalid"], Kind.NETWORK, "example.invalid"),
    ],
)
def test_last_words_are_understood_and_come_with_a_fix(lines: list[str], kind: Kind, part: str) -> None:
    cause = why(*lines)
    assert cause.kind is kind
    assert part in cause.reason
    assert cause.fix


@pytest.mark.parametrize(
    "lines",
    [
        ["loaded 3 modules, token cache ready", "listening on 127.0.0.1:4325"],
        ["GET /missing 404", "no module here", "permission was granted", "memory: 12 MB of 20 MB"],
    ],
)
def test_ordinary_lines_are_no_explanation(lines: list[str]) -> None:
    assert why(*lines).reason == "exit code 1"


def test_the_later_line_weighs_more() -> None:
    assert why("ModuleNotFoundError: No module named 'optional'", "MemoryError").kind is Kind.MEMORY
    assert why("MemoryError", "ModuleNotFoundError: No module named 'x'").kind is Kind.IMPORT


PYTHON_ASYNCIO = (
    "OSError: [Errno 98] error while attempting to bind on address "
    "('127.0.0.1', 4325): address already in use"
)
HELD = [
    [PYTHON_ASYNCIO],
    [
        "ERROR:    [Errno 98] error while attempting to bind on address ('::1', 4325, 0, 0): address already in use"
    ],
    ["    server.bind(('127.0.0.1', 4325))", "OSError: [Errno 98] Address already in use"],
    ["Address already in use", "Port 4325 is in use by another program."],
    ["Error: listen EADDRINUSE: address already in use :::4325", "    at Server.setupListenHandle"],
    ["Error: listen EADDRINUSE: address already in use 127.0.0.1:4325"],
    ["  code: 'EADDRINUSE',", "  errno: -98,", "  syscall: 'listen',", "  port: 4325"],
    ["2026/11/22 00:56:03 listen tcp 127.0.0.1:4325: bind: address already in use"],
    ["listen tcp :4325: bind: address already in use"],
    [
        "binding 127.0.0.1:4325",
        'Error: Os { code: 98, kind: AddrInUse, message: "Address already in use" }',
    ],
    ['Address already in use - bind(2) for "127.0.0.1" port 4325 (Errno::EADDRINUSE)'],
]


@pytest.mark.parametrize("lines", HELD)
def test_a_held_port_names_its_holder(lines: list[str]) -> None:
    cause = why(*lines, holder=NODE_HOLDS)
    assert str(cause) == "port 4325 is held by node (pid 4121); stop it or give this server another port"
    assert cause.kind is Kind.PORT
    assert not cause.hopeless


def test_a_port_that_is_free_again_is_said_so() -> None:
    assert "port 4325 was in use" in str(why(PYTHON_ASYNCIO))


def test_a_port_of_the_fleet_itself_is_said_so() -> None:
    cause = why(PYTHON_ASYNCIO, holder=Holder(1, "python3", ours=True))
    assert "this fleet's own endpoint" in str(cause)


def test_a_held_port_without_its_number_is_still_a_held_port() -> None:
    cause = why("OSError: [Errno 98] Address already in use", holder=NODE_HOLDS)
    assert cause.kind is Kind.PORT
    assert "doctor" in str(cause)


@pytest.mark.parametrize(
    "line",
    [
        "Error: listen EADDRINUSE: address already in use /tmp/x.sock",
        "listen unix /tmp/x.sock: bind: address already in use",
    ],
)
def test_a_held_socket_names_its_holder(line: str) -> None:
    assert "socket /tmp/x.sock is held by node (pid 4121)" in str(why(line, holder=NODE_HOLDS))


def test_a_real_python_server_and_a_real_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mine:
        port = mine.getsockname()[1]
        script = f"import asyncio\nasyncio.run(asyncio.start_server(lambda r, w: None, '127.0.0.1', {port}))"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        cause = classify(done.returncode << 8, done.stderr.splitlines()[-20:])
        assert str(cause).startswith(f"port {port} is held by ")
        assert "(pid " in cause.reason


def test_the_holder_of_a_socket_path_is_found(tmp_path: Path) -> None:
    path = str(tmp_path / "x.sock")
    assert holders.of_socket(path) is None
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        assert holders.of_socket(path) is None
        listener.listen()
        holder = holders.of_socket(path)
        assert holder is not None
        assert holder.pid is not None


def test_a_kill_for_memory_is_told_from_any_other() -> None:
    killed = classify(int(signal.SIGKILL), [], short_of_memory=True)
    assert killed.kind is Kind.MEMORY
    assert "resources.memory_mb" in str(killed)
    assert classify(int(signal.SIGTERM), [], short_of_memory=True).kind is Kind.SIGNAL


def test_our_own_signals_are_not_explained_by_old_lines() -> None:
    assert why("ModuleNotFoundError: No module named 'x'", status=int(signal.SIGTERM)).kind is Kind.SIGNAL


def test_a_missing_command_says_what_to_do() -> None:
    cause = missing_command("npx")
    assert cause.hopeless
    assert "npx" in cause.reason
    assert "install" in str(cause)


def test_what_the_system_refuses_is_hopeless_only_where_waiting_cannot_help() -> None:
    denied = exits.refused(PermissionError(errno.EACCES, "Permission denied", "/x"))
    assert denied.hopeless
    assert denied.kind is Kind.PERMISSION
    full = exits.refused(BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"))
    assert not full.hopeless
    assert full.kind is Kind.LIMIT


def test_a_cause_can_be_made_of_a_reason_alone() -> None:
    assert str(Cause("no such server")) == "no such server"
    assert Cause("no such server").kind is Kind.OTHER
