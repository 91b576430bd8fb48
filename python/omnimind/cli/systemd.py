"""`omnimind systemd`: install the fleet as user units, remove them, say how they are.

Installing writes files and has the user's manager read them; it starts, stops and enables nothing, and says how to.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omnimind import settings, tokens
from omnimind.cli import options, terminal
from omnimind.errors import Exit, SettingsError, UsageError, closest
from omnimind.settings import ServerSettings, Settings
from omnimind.systemd import explain, install, manager, probe, units


def run(argv: Sequence[str]) -> int:
    """Run one of install, uninstall, status."""
    arguments = _parser().parse_args(argv)
    return int(arguments.act(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = options.parser("systemd", "Run the fleet as systemd user units, one for each server.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    install_ = actions.add_parser("install", help="write the units and have systemd read them")
    install_.add_argument(
        "--hardening",
        choices=("auto", "on", "off"),
        default="auto",
        help="what the units take from the servers; auto tries first what works here (auto)",
    )
    options.add_config(install_)
    options.add_state(install_)
    install_.set_defaults(act=_install)
    uninstall = actions.add_parser("uninstall", help="remove the units that install wrote")
    uninstall.add_argument("--stop", action="store_true", help="stop what runs from them first")
    uninstall.set_defaults(act=_uninstall)
    for action in (install_, uninstall):
        action.add_argument(
            "--server", metavar="NAME", action="append", default=[], help="only this one; may be repeated"
        )
        action.add_argument(
            "--dry-run", action="store_true", help="show what would change and change nothing"
        )
        action.add_argument("--no-reload", action="store_true", help="do not have systemd read the files")
        action.add_argument("--force", action="store_true", help="discard what was changed by hand")
    status = actions.add_parser("status", help="show the units, and why one is not up")
    options.add_json(status)
    status.set_defaults(act=_status)
    return parser


# --- install


def _install(arguments: argparse.Namespace) -> int:
    version = manager.version()
    _refuse_sudo()
    found = settings.load(arguments.config, arguments.state)
    where = install.folder()
    servers = _chosen(found, arguments.server, install.installed(where))
    choice = units.Choice(
        found,
        servers,
        sys.executable,
        version,
        _hardening(arguments.hardening, found, version),
        settings.config_path(arguments.config) if arguments.config else None,
    )
    changes = install.plan(where, units.files(choice), arguments.force)
    if not arguments.dry_run:
        tokens.ensure(found.state_dir)  # the units may write there, so it must be there
    code = _carry_out(where, changes, arguments)
    if not arguments.dry_run:
        _say_what_next([server.name for server in servers], arguments.no_reload)
    return code


def _refuse_sudo() -> None:
    """These are a user's units: as root they would be root's, and would run as root."""
    if os.geteuid() == 0 and (user := os.environ.get("SUDO_USER")):
        raise UsageError(
            "OM0601",
            "user units are installed by the user, not by root",
            help=f"run it as {user}, without sudo",
        )


def _chosen(found: Settings, named: Sequence[str], before: Sequence[str]) -> tuple[ServerSettings, ...]:
    """All of the configuration, or those named beside those that have units already."""
    able = {
        server.name: server for server in found.servers if server.kind == "worker" and server.port is not None
    }
    if not named:
        for server in found.servers:
            if server.enabled and server.kind == "worker" and server.name not in able:
                terminal.say(f"note: {server.name} gets no unit: it has no port of its own")
        return tuple(server for server in able.values() if server.enabled)
    wanted = [_known(found, able, name) for name in named]
    kept = [able[name] for name in before if name in able and name not in {server.name for server in wanted}]
    return tuple(
        sorted({server.name: server for server in (*kept, *wanted)}.values(), key=lambda one: one.name)
    )


def _known(found: Settings, able: dict[str, ServerSettings], name: str) -> ServerSettings:
    server = found.server(name)
    if server is not None and server.name in able:
        return server
    near = closest(name, list(able))
    if server is None:
        what = f"there is no server named {name}"
    elif server.kind == "worker":
        what = f"{name} has no port of its own, and a unit serves on one"
    else:
        what = f"{name} is a third-party server: the gateway's unit starts it"
    raise SettingsError(
        "OM0203",
        what,
        help=f"did you mean {near}?" if near else f"servers that can be units: {', '.join(able)}",
    )


def _hardening(asked: str, found: Settings, version: int) -> units.Hardening:
    if asked == "off":
        return "none"
    if asked == "on":
        return "full"
    verdict = probe.hardening(units.hardening(found.state_dir), found.state_dir)
    if verdict.works:
        return "full"
    terminal.say(
        f"note: the units cannot hide files from the servers here (systemd {version}): {verdict.why}"
    )
    terminal.say("note: they limit system calls only; --hardening=on writes the rest all the same")
    return "calls"


def _say_what_next(names: Sequence[str], no_reload: bool) -> None:
    why = None if no_reload else manager.absent()
    if why:
        terminal.say(f"note: systemd has not read the files: {why}")
    if why or no_reload:
        terminal.say("next: systemctl --user daemon-reload")
    terminal.say(f"next: systemctl --user enable --now {units.TARGET}")
    if names:
        terminal.say(f"or one server: systemctl --user enable --now {units.instance(names[0])}")
    terminal.say("to start them at boot, without a login: loginctl enable-linger")


# --- uninstall


def _uninstall(arguments: argparse.Namespace) -> int:
    where = install.folder()
    before = install.installed(where)
    for name in arguments.server:
        if name not in before:
            near = closest(name, before)
            raise UsageError(
                "OM0203",
                f"{name} has no units of ours in {where}",
                help=f"did you mean {near}?" if near else f"installed: {', '.join(before) or 'none'}",
            )
    going = arguments.server or before
    names = [units.instance(name, kind) for name in going for kind in ("service", "socket")]
    names += [] if arguments.server else [units.TARGET, units.GATEWAY, units.GATEWAY_SOCKET]
    wanted = install.without(where, arguments.server) if arguments.server else {}
    changes = install.plan(where, wanted, arguments.force)
    if arguments.stop and not arguments.dry_run:
        manager.need()
        manager.systemctl("stop", *names)
    code = _carry_out(where, changes, arguments)
    if not arguments.dry_run:
        for link in install.unlink_enabled(where, names):
            terminal.say(f"removed    {link}")
        running = [unit["Id"] for unit in manager.show(names) if unit.get("ActiveState") == "active"]
        if running:
            terminal.say(f"still running: {', '.join(running)}")
            terminal.say(f"stop them: systemctl --user stop {' '.join(running)}")
    return code


def _carry_out(where: Path, changes: Sequence[install.Change], arguments: argparse.Namespace) -> int:
    """Show the changes and do them; 1 if something that should change was kept."""
    for change in changes:
        if change.kind != "kept":
            print(change.diff())
    kept = [change for change in changes if change.kind == "kept"]
    done = [change for change in changes if change.kind != "kept"]
    if arguments.dry_run:
        terminal.say(f"{len(done)} files would change" if done else "nothing would change")
    else:
        install.apply(changes)
        for change in done:
            terminal.say(f"{'removed' if change.kind == 'removed' else 'wrote':<10} {change.path}")
        if not done:
            terminal.say(f"nothing to change in {where}")
        elif not arguments.no_reload and manager.absent() is None:
            manager.systemctl("daemon-reload")
    for change in kept:
        terminal.say(f"kept       {change.path}: {change.why}")
    return Exit.FAILURE if kept else Exit.OK


# --- status


def _status(arguments: argparse.Namespace) -> int:
    manager.need()
    servers = install.installed(install.folder())
    names = [units.TARGET, units.GATEWAY, *(units.instance(name) for name in servers)]
    sockets = [units.GATEWAY_SOCKET, *(units.instance(name, "socket") for name in servers)]
    found = {unit["Id"]: unit for unit in manager.show([*names, *sockets])}
    rows = [_row(found[name], found.get(name.replace(".service", ".socket"))) for name in names]
    if arguments.json:
        terminal.print_json(rows)
        return Exit.OK
    keys = ("unit", "state", "enabled", "pid", "restarts", "memory_bytes")
    cells = [[row[key] for key in keys] for row in rows]
    print(terminal.table(("UNIT", "STATE", "ENABLED", "PID", "RESTARTS", "MEMORY"), cells, _COLORS))
    for row in rows:
        for word in ("why", "last_line", "help"):
            if row.get(word):
                print(f"  {row['unit']}: {word.replace('_', ' ')}: {terminal.printable(str(row[word]))}")
    return Exit.OK


_COLORS = {
    "active": "green",
    "activating": "yellow",
    "deactivating": "yellow",
    "failed": "red",
    "inactive": "dim",
}


def _row(unit: dict[str, str], sockets: dict[str, str] | None) -> dict[str, Any]:
    """A unit for people and programs; a number that systemd does not know is None."""
    found = explain.explain(unit, sockets, _holder(sockets))
    memory = unit.get("MemoryCurrent", "")
    return {
        "unit": unit.get("Id"),
        "state": unit.get("ActiveState"),
        "enabled": unit.get("UnitFileState") or None,
        "pid": int(unit.get("MainPID", "0")) or None,
        "restarts": int(unit["NRestarts"]) if unit.get("NRestarts", "").isdigit() else None,
        "memory_bytes": int(memory) if memory.isdigit() and int(memory) < 2**62 else None,
        "why": found.why if found else None,
        "last_line": manager.last_line(str(unit.get("Id"))) if found else None,
        "help": found.help if found else None,
    }


def _holder(sockets: dict[str, str] | None) -> str | None:
    """Who holds the port of sockets that could not be opened."""
    port = re.search(r":(\d+) \(Stream\)", sockets.get("Listen", "")) if sockets else None
    if sockets is None or sockets.get("ActiveState") != "failed" or port is None:
        return None
    from omnimind.orchestrator import holders

    holder = holders.of_port(int(port.group(1)))
    return str(holder) if holder else None
