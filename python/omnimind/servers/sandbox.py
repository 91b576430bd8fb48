"""What a worker gives up before it serves: files that are not its business, other processes, the network.

Rule: a server says what it needs here, in one table, and gets nothing else: its interpreter and libraries to
read, its part of the state folder and the folders of its arguments to write. It is called after all imports and
after the server was built, with one thread alive. Where the kernel lacks a part, that part is missing and a line
in the log says so; a server never fails to start for it.
"""

from __future__ import annotations

import logging
import os
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from omnimind import catalog
from omnimind.linux import landlock, process, seccomp

log = logging.getLogger("omnimind.worker")


@dataclass(frozen=True, slots=True)
class Needs:
    """What one server cannot do without.

    `state` names folders of the state folder that are its own, `state_reads` what it only reads there, `reads`
    paths of the system. With `folders_in_args` the folders of its arguments take the place of `state`; there an
    option in `file_options` names a file, which stands for the folder it is in. `also_state` is its own in any case.
    Without `capabilities` a server that root runs gives up what root may do beyond its own files.
    """

    state: tuple[str, ...] = ()
    state_reads: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    folders_in_args: bool = False
    file_options: tuple[str, ...] = ()
    also_state: tuple[str, ...] = ()
    network: bool = False
    processes: bool = False
    capabilities: bool = True


NEEDS: Final[dict[str, Needs]] = {
    "filesystem": Needs(state=("workspace",), folders_in_args=True),
    "git": Needs(state=("workspace",), folders_in_args=True),
    "memory": Needs(state=("db/memory",), capabilities=False),
    "thinking": Needs(state=("db/thinking",), capabilities=False),
    "sqlite": Needs(
        state=("db/sqlite",),
        also_state=("db/sqlite-insights",),
        folders_in_args=True,
        file_options=("--db-path",),
    ),
    # Its jail was started before and is not confined with it.
    "python": Needs(folders_in_args=True, also_state=("python",)),
    "context": Needs(state=("db/context", "handles"), capabilities=False),
    "logging": Needs(
        state=("db/logging",),
        state_reads=("logs",),
        reads=("/var/log/journal", "/run/log/journal", "/etc/machine-id"),
    ),
    # Processes are looked at by number, so /proc as a whole; of other processes the kernel shows a fenced one
    # no environment, memory, open file or working folder all the same.
    "system_info": Needs(
        state_reads=("run",),
        reads=("/proc", "/sys/class", "/sys/devices", "/sys/hypervisor", "/sys/fs/cgroup"),
        capabilities=False,
    ),
}
"""Every built-in server has its row."""

_SYSTEM: Final = (
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/opt",
    "/etc/ld.so.cache", "/etc/localtime", "/etc/timezone", "/etc/mime.types", "/etc/magic",
    "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/os-release",
    "/dev/urandom", "/dev/random", "/dev/zero",
)  # fmt: skip


def confine(name: str, state_dir: Path, args: list[str]) -> None:
    """Give up everything that this server does not need."""
    needs = NEEDS[catalog.canonical(name)]
    write = _folders(needs, state_dir, args)
    if not needs.capabilities:
        try:
            process.drop_capabilities()
        except OSError as refusal:
            log.warning("capabilities cannot be given up: %s", refusal)
    try:
        read = [*_readable(), *needs.reads, *(str(state_dir / kept) for kept in needs.state_reads)]
        if not landlock.restrict(read, [*write, "/dev/null"]):
            log.warning("this kernel has no Landlock: files outside %s are not fenced off", ", ".join(write))
    except OSError as refusal:
        log.warning("Landlock cannot be used: %s", refusal)
    try:
        if not seccomp.deny(network=needs.network, processes=needs.processes):
            log.warning("no filter of system calls for this machine")
    except OSError as refusal:
        log.warning("system calls cannot be filtered: %s", refusal)


def _folders(needs: Needs, state_dir: Path, args: list[str]) -> list[str]:
    named = _named(needs, args) if needs.folders_in_args else []
    kept = [state_dir / folder for folder in (*needs.also_state, *(() if named else needs.state))]
    for folder in kept:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return [*named, *(str(folder) for folder in kept)]


def _named(needs: Needs, args: list[str]) -> list[str]:
    """The folders of the arguments."""
    folders = []
    rest = iter(args)
    for argument in rest:
        option, given, value = argument.partition("=")
        if option in needs.file_options:
            file = os.path.expanduser(value if given else next(rest, ""))
            folders.append(os.path.dirname(os.path.realpath(file)))
        elif not argument.startswith("--"):
            folders.append(os.path.expanduser(argument))
    return folders


def _readable() -> list[str]:
    """The interpreter, what it imports from, and what the C library reads."""
    searched = sys.path
    if not sys.flags.safe_path and searched[:1] == [os.getcwd()]:
        searched = searched[1:]  # `python -m` put it there: a working directory is no library
    ours = [sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values(), *searched]
    ours.append(str(Path(catalog.__file__).parent))
    return [*_SYSTEM, *sorted({path for path in ours if os.path.isabs(path)})]
