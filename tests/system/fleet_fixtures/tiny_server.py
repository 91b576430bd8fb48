"""A stdio server of a few lines, stdlib only, that can be told to misbehave.

Its one tool-like method is `tiny/whoami`, which answers with its pid, its environment's names and its cwd.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
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
        forever = [sys.executable, "-S", "-c", "import signal, time; signal.signal(15, 1); time.sleep(600)"]
        grandchild = subprocess.Popen(forever, start_new_session=True, stdin=subprocess.DEVNULL)
        with open(options.offspring, "a", encoding="ascii") as file:
            file.write(f"{grandchild.pid}\n")
    if options.banner:
        print("tiny server is here", flush=True)
    serve(options)
    while options.stubborn:
        time.sleep(60)


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
