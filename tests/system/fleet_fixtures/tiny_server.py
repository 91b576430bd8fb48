"""A stdio server of a few lines, stdlib only, that can be told to misbehave.

Its one tool-like method is `tiny/whoami`, which answers with its pid, its environment's names and its cwd.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time


def say(message: dict[str, object]) -> None:
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--era", choices=("modern", "legacy", "both"), default="both")
    parser.add_argument("--on-discover", choices=("answer", "die", "hang"), default="answer")
    parser.add_argument("--banner", action="store_true", help="print a line that is not JSON first")
    parser.add_argument("--stubborn", action="store_true", help="ignore SIGTERM and the end of stdin")
    parser.add_argument("--offspring", metavar="FILE", help="start a setsid grandchild and write its pid")
    parser.add_argument("--breed", choices=tuple(BREEDERS), default="session", help="how it is started")
    parser.add_argument("--fail", metavar="TEXT", help="say this on stderr and exit with --code")
    parser.add_argument("--fail-while", metavar="FILE", help="as --fail, while this file exists")
    parser.add_argument("--code", type=int, default=3)
    options = parser.parse_args()
    if options.fail is not None and (options.fail_while is None or os.path.exists(options.fail_while)):
        print(options.fail, file=sys.stderr)
        sys.exit(options.code)
    if options.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.offspring:
        BREEDERS[options.breed](options.offspring)
        while not os.path.exists(born(options.offspring)):
            time.sleep(0.005)
    if options.banner:
        print("tiny server is here", flush=True)
    serve(options)
    while options.stubborn:
        time.sleep(60)


FOREVER = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(sys.argv[1], "a", encoding="ascii") as file:
    file.write(f"{os.getpid()}\\n")
open(sys.argv[2], "w").close()
time.sleep(600)
"""


def breed_session(file: str) -> None:
    """A grandchild in a session of its own."""
    subprocess.Popen(forever(file), start_new_session=True, stdin=subprocess.DEVNULL)


def breed_daemon(file: str, *, bare: bool = False) -> None:
    """A daemon as the books have it: two forks, a session, nothing of ours kept open."""
    command = forever(file)
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    os.closerange(3, 256)
    os.execve(sys.executable, command, {} if bare else os.environ)


def breed_bare(file: str) -> None:
    """A daemon that keeps nothing of its environment either."""
    breed_daemon(file, bare=True)


def breed_shell(file: str) -> None:
    """Behind two shells, as a package runner starts things."""
    inner = shlex.join(forever(file)) + "; true"
    subprocess.Popen(["sh", "-c", shlex.join(["sh", "-c", inner]) + "; true"])


def forever(file: str) -> list[str]:
    return [sys.executable, "-S", "-c", FOREVER, file, born(file)]


def born(file: str) -> str:
    """Exists as soon as the pid is written."""
    return f"{file}.of-{os.getpid()}"


BREEDERS = {"session": breed_session, "daemon": breed_daemon, "bare": breed_bare, "shell": breed_shell}


def serve(options: argparse.Namespace) -> None:
    for line in sys.stdin:
        with contextlib.suppress(ValueError):
            message = json.loads(line)
            answer(message, options)


def answer(message: dict[str, object], options: argparse.Namespace) -> None:
    number, method = message.get("id"), message.get("method")
    if method == "server/discover":
        if options.on_discover == "die":
            sys.exit(4)
        if options.on_discover == "answer" and options.era != "legacy":
            say({"id": number, "result": {"supportedVersions": ["2026-07-28"], "capabilities": {}}})
        elif options.on_discover == "answer":
            say({"id": number, "error": {"code": -32601, "message": "unknown method"}})
    elif method == "initialize":
        if options.era == "modern":
            say({"id": number, "error": {"code": -32022, "message": "unsupported version"}})
        else:
            result = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "tiny"}}
            say({"id": number, "result": result})
    elif method == "tiny/whoami":
        result = {"pid": os.getpid(), "variables": sorted(os.environ), "cwd": os.getcwd()}
        say({"id": number, "result": result})
    elif number is not None:
        say({"id": number, "error": {"code": -32601, "message": "unknown method"}})


if __name__ == "__main__":
    main()
