"""What the last lines of a process say about its end.

A table of patterns as Python, node, Go, Rust, shells and the loader write them. The last line that any of
them knows decides; where several know one line, the first in the table. Only errors' own wording is matched,
so that ordinary log lines pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Which kind of trouble: what the incident table counts by."""

    COMMAND = "command not found"
    IMPORT = "import error"
    CONFIG = "configuration error"
    PORT = "port held"
    MEMORY = "out of memory"
    SIGNAL = "signal"
    HANG = "hangs"
    SLOW = "too slow to start"
    PERMISSION = "permission denied"
    LIBRARY = "missing library"
    DISK = "disk full"
    LIMIT = "limit reached"
    NETWORK = "network"
    PROTOCOL = "no MCP"
    EXIT = "exit code"
    ENDED = "ended by itself"
    INTERNAL = "internal error"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Said:
    """What was understood; `ports` and `paths` for what is held, likeliest first."""

    kind: Kind
    reason: str
    fix: str
    ports: tuple[int, ...] = ()
    paths: tuple[str, ...] = ()


_Say = Callable[[re.Match[str]], tuple[str, str]]
_LONGEST = 300


def read(last_lines: Sequence[str]) -> Said | None:
    """What the last telling line says, or None if no line tells anything."""
    for at in range(len(last_lines) - 1, -1, -1):
        line = last_lines[at].strip()
        if _HELD.search(line):
            return _held(last_lines, at)
        for kind, pattern, say in _TABLE:
            if found := pattern.search(line):
                reason, fix = say(found)
                return Said(kind, reason[:_LONGEST], fix)
    return None


# --- held ports and sockets

_HELD = re.compile(
    r"EADDRINUSE|AddrInUse|[Aa]ddress (?:is )?already in use|[Pp]ort \d+ is (?:already )?in use"
)
_PORT_FORMS = (
    re.compile(r"\('[^']*', (\d{1,5})[,)]"),  # Python's ('127.0.0.1', 4325)
    re.compile(r"\bport[\"']?\s*[:=]?\s*(\d{1,5})\b", re.IGNORECASE),
    re.compile(r"(?:\d{1,3}(?:\.\d{1,3}){3}|localhost|\]|\*|::|\s):(\d{1,5})\b(?!:\d)"),
)
_PATH_FORM = re.compile(r"(?:listen unix|in use|bind|socket)[:\s'\"(]+(/[^\s'\":,)]+)")
_NEAR = 8


def _held(lines: Sequence[str], at: int) -> Said:
    near = [lines[at], *lines[max(0, at - _NEAR) : at][::-1], *lines[at + 1 : at + 1 + _NEAR]]
    paths = _PATH_FORM.findall(lines[at])
    ports = dict.fromkeys(port for line in near for port in _ports(line))
    return Said(Kind.PORT, lines[at].strip()[:_LONGEST], "", tuple(ports), tuple(paths[:1]))


def _ports(line: str) -> Iterator[int]:
    for form in _PORT_FORMS:
        for text in form.findall(line):
            if 0 < int(text) < 65536:
                yield int(text)


# --- everything else


def _as_said(reason: str, fix: str) -> _Say:
    """`{1}` in the reason or the fix stands for what the pattern's first group found."""

    def say(found: re.Match[str]) -> tuple[str, str]:
        what = next((group for group in found.groups() if group), found.group()).strip()
        return reason.replace("{1}", what), fix.replace("{1}", what)

    return say


_INSTALL = "install it for the interpreter that runs this server"
_ROWS: tuple[tuple[Kind, str, str, str], ...] = (
    (
        Kind.LIBRARY,
        r"error while loading shared libraries: ([^\s:]+)|([^\s:]+\.so[.\d]*): cannot open shared object file",
        "missing shared library: {1}",
        "install the package that has {1}, or set LD_LIBRARY_PATH in the entry's env",
    ),
    (
        Kind.LIBRARY,
        r"version `(GLIBC(?:XX)?_[\d.]+)' not found",
        "the system's C library is too old: {1} is wanted",
        "install a build for this system",
    ),
    (
        Kind.IMPORT,
        r"^(?:ModuleNotFoundError|ImportError): (.+)$|No module named ([\w.'\"]+)$",
        "import error: {1}",
        _INSTALL,
    ),
    (
        Kind.IMPORT,
        r"(?:Cannot find (?:module|package)|ERR_MODULE_NOT_FOUND\S*) ['\"]([^'\"]+)['\"]",
        "import error: no module {1}",
        "install it where the server is (npm install), or correct its path in args",
    ),
    (
        Kind.IMPORT,
        r"npm (?:ERR!|error) 404\s+'?([^'\s]+@[^'\s]+)'? is not in|No solution found when resolving (.+)$",
        "package not found: {1}",
        "correct the package's name or version in args",
    ),
    (
        Kind.COMMAND,
        r"(?:sh|bash|dash|env)(?:: \d+|: line \d+)?: '?([^':\s]+)'?: (?:command )?(?:not found|No such file)",
        "command not found by its shell: {1}",
        "install it or give its full path",
    ),
    (
        Kind.COMMAND,
        r"spawn (\S+) ENOENT|can't open file '([^']+)': \[Errno 2\]",
        "command not found: {1}",
        "install it or correct its path",
    ),
    (
        Kind.DISK,
        r"No space left on device|ENOSPC|[Dd]isk quota exceeded|EDQUOT",
        "disk full: {1}",
        "make room where the server writes",
    ),
    (
        Kind.MEMORY,
        r"^(MemoryError\b.*)|(JavaScript heap out of memory)|(memory allocation of \d+ bytes failed)"
        r"|(runtime: out of memory)|([Cc]annot allocate memory|ENOMEM)",
        "out of memory: {1}",
        "give it more (resources.memory_mb), or less to hold",
    ),
    (
        Kind.LIMIT,
        r"(Too many open files|EMFILE)|(can't start new thread)|([Rr]esource temporarily unavailable|EAGAIN)",
        "limit reached: {1}",
        "raise resources.open_files or resources.processes of the entry",
    ),
    (
        Kind.PERMISSION,
        r"PermissionError: \[Errno \d+\] (.+)|(?:EACCES|EPERM): (.+)|(?:sh|bash|dash|env): (.+: Permission denied)"
        r"|(.+\(os error 13\))",
        "permission denied: {1}",
        "let the user of the fleet read it, or start the server as another (user)",
    ),
    (
        Kind.CONFIG,
        r"^KeyError: '([A-Z][A-Z0-9_]+)'$"
        r"|\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)\b[^.]{0,40}\b(?:is required|must be set|(?:is )?not set|is missing)"
        r"|[Mm]issing (?:required )?environment variable:? ['\"]?([A-Z][A-Z0-9_]+)",
        "configuration error: {1} is not set",
        "set {1} in the entry's env",
    ),
    (
        Kind.CONFIG,
        r"error: ((?:the following arguments are required|unrecognized arguments|argument \S+:|invalid choice)"
        r".*)|([Mm]issing required argument.*)|([Uu]nknown (?:option|argument)s?:? .*)",
        "configuration error: {1}",
        "correct its args",
    ),
    (
        Kind.CONFIG,
        r"^((?:json\.decoder\.JSONDecodeError|tomllib\.TOMLDecodeError|yaml\.\S+Error|pydantic\S*ValidationError"
        r"|\d+ validation errors? for)\b.*)",
        "configuration error: {1}",
        "correct the file or the values that it reads at its start",
    ),
    (
        Kind.NETWORK,
        r"getaddrinfo (?:ENOTFOUND|EAI_AGAIN) (\S+)|(Temporary failure in name resolution)"
        r"|(Name or service not known)|\b(ECONNREFUSED\b.*)|^ConnectionRefusedError: (.+)",
        "it cannot reach what it needs: {1}",
        "check the network and the address it is given",
    ),
)
_TABLE = tuple((kind, re.compile(pattern), _as_said(reason, fix)) for kind, pattern, reason, fix in _ROWS)
