"""`omnimind serve NAME`: a built-in server as a process of its own, as a systemd unit runs it.

Rule: what will not get better by trying again (the configuration, the state folder, a name nobody knows) ends
with 78, after which the unit is not restarted; everything else that goes wrong ends with 1.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from omnimind import tokens
from omnimind.errors import SettingsError
from omnimind.linux import process
from omnimind.serving import plan, records
from omnimind.serving.doors import Doors, Passed, open_doors
from omnimind.settings import Settings
from omnimind.systemd import rendezvous
from omnimind.systemd.notify import Notifier

log = logging.getLogger("omnimind.serve")


def on_stdio(name: str, args: tuple[str, ...] | None, *, config: Path | None, state: Path | None) -> None:
    """Serve one client on the standard streams until it closes them. Raises SettingsError."""
    settings = plan.of_builtin(name, args, config, state)
    tokens.open_state(settings.state_dir)
    server = settings.servers[0]
    os.environ.update(server.env)
    from omnimind.servers import stdio
    from omnimind.servers.problem import Problem

    try:
        stdio.run(server.builtin or server.name, settings.state_dir, list(server.args))
    except (KeyError, ValueError, Problem) as refusal:
        raise _bad_args(settings, refusal) from None


def run(
    name: str,
    args: tuple[str, ...] | None,
    *,
    config: Path | None,
    state: Path | None,
    port: int | None,
    auth: bool | None,
    json_logs: bool,
    passed: Passed,
    notifier: Notifier,
) -> int:
    """Serve until SIGTERM. Raises OmniMindError for what a person can mend."""
    settings = plan.of_builtin(name, args, config, state, port, auth)
    server = settings.servers[0]
    records.set_up(server.name, json_logs)
    for note in settings.notes:
        log.info("%s", note)
    notifier.say("STATUS=starting")
    tokens.ensure(settings.state_dir)
    held = rendezvous.hold(settings.state_dir, server.name)
    key = rendezvous.key(settings.state_dir, server.name)
    path = rendezvous.socket_path(server.name, settings.state_dir, os.environ.get("XDG_RUNTIME_DIR"))
    doors = open_doors(passed, server.name, settings.gateway.host, server.port, path)
    process.set_name(f"omnimind-{server.name}")
    process.hide_memory()
    os.environ.update(server.env)
    try:
        return _live(settings, doors, key, held.run, notifier)
    finally:
        doors.close()
        os.close(held.descriptor)


def _live(settings: Settings, doors: Doors, key: bytes, run: int, notifier: Notifier) -> int:
    # The SDK is imported here, after everything that can be refused quickly.
    from omnimind.servers import ServerContext, build
    from omnimind.servers.problem import Problem
    from omnimind.serving import life

    server = settings.servers[0]
    context = ServerContext(server.builtin or server.name, settings.state_dir, list(server.args))
    try:
        built = build(context)
    except (KeyError, ValueError, Problem) as refusal:
        raise _bad_args(settings, refusal) from None
    try:
        life.live(life.Job(settings, built, doors, key, run, notifier))
    except life.NeverReady as fault:
        log.error("%s", fault)
        return 1
    except ExceptionGroup as faults:
        log.error("it ends by a fault of its own", exc_info=faults)
        return 1
    return 0


def _bad_args(settings: Settings, refusal: Exception) -> SettingsError:
    return SettingsError(
        "OM0105",
        f"{settings.servers[0].name} cannot start: {refusal.args[0]}",
        where=None if settings.config_path is None else str(settings.config_path),
        help="correct its arguments, in its entry or on the command line",
    )
