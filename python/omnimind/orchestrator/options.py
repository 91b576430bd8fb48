"""The command line of `python -m omnimind.orchestrator`, read by the orchestrator on the guard's behalf."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from omnimind.settings import GiveUp


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; None where it says nothing."""

    guard_link: int
    guard_pid: int
    config: Path | None
    state: Path | None
    port: int | None
    auth: bool | None
    max_restart_attempts: int | None
    give_up: GiveUp | None
    gateway_module: str
    systemd: bool
    watchdog_us: int | None


def show_help() -> int:
    """Print the help text."""
    _parser().print_help()
    return 0


def read(argv: list[str]) -> Options:
    """Parse; a mistake is said on stderr and ends the process with code 2, as argparse does."""
    found = _parser().parse_args(argv)
    return Options(
        guard_link=found.guard_link,
        guard_pid=found.guard_pid,
        config=found.config,
        state=found.state,
        port=found.port,
        auth=False if found.no_auth else None,
        max_restart_attempts=found.max_restart_attempts,
        give_up=found.give_up,
        gateway_module=found.gateway_module,
        systemd=found.systemd,
        watchdog_us=found.watchdog_us,
    )


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number that is 0 or more")
    return int(text)


def _port(text: str) -> int:
    port = _count(text)
    if port > 65535:
        raise argparse.ArgumentTypeError(f"{port} is over 65535")
    return port


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m omnimind.orchestrator",
        description="Start the fleet in the foreground; Ctrl-C or SIGTERM stops it.",
        allow_abbrev=False,
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="the configuration (mcp_servers.json)")
    parser.add_argument("--state", metavar="DIR", type=Path, help="the state folder")
    parser.add_argument("--port", type=_port, help="the gateway's port; 0 takes any free one (4320)")
    parser.add_argument(
        "--no-auth", action="store_true", help="accept calls from this machine without a token"
    )
    parser.add_argument(
        "--max-restart-attempts",
        metavar="N",
        type=_count,
        help="failures in the window that park a server (3)",
    )
    parser.add_argument(
        "--give-up",
        choices=("park", "exit"),
        help="park a server that keeps failing, or end the fleet with code 1 (park)",
    )
    parser.add_argument(
        "--systemd",
        action="store_true",
        help="start no built-in server: reach those that run as units of systemd, which alone restarts them",
    )
    parser.add_argument("--watchdog-us", type=_count, help=argparse.SUPPRESS)
    parser.add_argument("--guard-link", type=int, default=-1, help=argparse.SUPPRESS)
    parser.add_argument("--guard-pid", type=int, default=-1, help=argparse.SUPPRESS)
    parser.add_argument("--gateway-module", default="omnimind.gateway", help=argparse.SUPPRESS)
    return parser
