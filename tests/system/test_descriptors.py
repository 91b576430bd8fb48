"""Which process holds which descriptor: each has its own, and nobody keeps another's alive or readable."""

from __future__ import annotations

import os
import resource
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.calling import Caller
from tests.fleet import Fleet
from tests.system.double import status, tiny

CLOSED_AT_EXEC = 0o2000000
WORKERS = ("filesystem", "thinking")
LISTENING: set[str] = set()
FILES = 900
MAY_OPEN: dict[str, tuple[str, str]] = {}


@dataclass(frozen=True)
class Held:
    number: int
    what: str
    at_exec: bool


def held_by(pid: int) -> list[Held]:
    """The descriptors of a process; those that it closed while we looked are left out."""
    found = []
    for entry in os.listdir(f"/proc/{pid}/fd"):
        try:
            what = os.readlink(f"/proc/{pid}/fd/{entry}")
            lines = Path(f"/proc/{pid}/fdinfo/{entry}").read_text().splitlines()
        except OSError:
            continue
        flags = next(int(line.split()[1], 8) for line in lines if line.startswith("flags:"))
        found.append(Held(int(entry), what, not flags & CLOSED_AT_EXEC))
    return found


def listening() -> set[str]:
    """The sockets of this machine that somebody listens on, as `/proc/<pid>/fd` names them."""
    unix = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    inodes = {fields[6] for fields in unix if int(fields[3], 16) & 0x10000}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
        inodes |= {fields[9] for fields in rows if fields[3] == "0A"}
    return {f"socket:[{inode}]" for inode in inodes}


def names_of(fleet: Fleet) -> dict[int, str]:
    """Every process of the fleet by what it is."""
    rows = {row["pid"]: row["name"] for row in status(fleet)["servers"]}
    short = {"omnimind-guard": "guard", "omnimind-orch": "orchestrator", "omnimind-zygote": "zygote"}
    found = {}
    for process in [psutil.Process(fleet.pid), *fleet.descendants()]:
        name = process.name()
        found[process.pid] = rows.get(process.pid) or short.get(name) or ("gateway" if "gw" in name else name)
    return found


@contextmanager
def few_open_files() -> Iterator[None]:
    """What is started in here begins with this soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def may_open(pid: int) -> tuple[str, str]:
    """How many files a process may have open: the soft limit and the hard one."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    soft, hard, _ = next(line for line in lines if line.startswith("Max open files")).split()[3:]
    return soft, hard


@pytest.fixture(scope="module")
def tables() -> dict[str, list[Held]]:
    servers = {name: {"port": 0} for name in WORKERS} | {"tiny": tiny()}
    with few_open_files(), Fleet(servers) as fleet:
        caller = Caller(fleet.aggregate)
        caller.call("tools/list")  # now the gateway has every pipe and connection that it will have
        caller.close()
        found = {name: held_by(pid) for pid, name in names_of(fleet).items()}
        LISTENING.update(listening())
        MAY_OPEN.update({name: may_open(pid) for pid, name in names_of(fleet).items()})
    return found


def test_every_process_is_there(tables: dict[str, list[Held]]) -> None:
    assert set(tables) == {"guard", "orchestrator", "gateway", "zygote", "tiny", *WORKERS}


def test_the_gateway_may_open_all_that_is_allowed_and_the_others_what_they_were_given(
    tables: dict[str, list[Held]],
) -> None:
    soft, hard = MAY_OPEN["gateway"]
    assert soft == hard
    assert {name: files for name, (files, _) in MAY_OPEN.items() if files != str(FILES)} == {"gateway": soft}


def test_a_third_party_has_its_three_pipes_and_nothing_else(tables: dict[str, list[Held]]) -> None:
    assert sorted((held.number, held.what[:4]) for held in tables["tiny"]) == [
        (0, "pipe"),
        (1, "pipe"),
        (2, "pipe"),
    ]


def test_the_zygote_has_its_link_and_its_log_and_nothing_else(tables: dict[str, list[Held]]) -> None:
    kinds = {held.number: held.what.partition(":")[0] for held in tables["zygote"]}
    streams = {0: "/dev/null", 1: "pipe", 2: "pipe"}
    assert {number: kinds.pop(number) for number in streams} == streams
    assert list(kinds.values()) == ["socket"]


def test_nothing_but_the_standard_streams_would_survive_an_exec(tables: dict[str, list[Held]]) -> None:
    for name, table in tables.items():
        assert not [held for held in table if held.at_exec and held.number > 2], name


def test_a_socket_that_nobody_listens_on_has_one_holder(tables: dict[str, list[Held]]) -> None:
    holders = defaultdict(set)
    for name, table in tables.items():
        for held in table:
            if held.what.startswith("socket:") and held.what not in LISTENING:
                holders[held.what].add(name)
    assert {what: names for what, names in holders.items() if len(names) > 1} == {}


def test_a_listening_socket_belongs_to_its_keepers_and_one_user(tables: dict[str, list[Held]]) -> None:
    keepers = {"guard", "orchestrator"}
    for name in (*WORKERS, "gateway", "zygote", "tiny"):
        lent = {held.what for held in tables[name]} & LISTENING
        assert len(lent) == {"gateway": 3, "zygote": 0, "tiny": 0}.get(name, 1), name
        for other in set(tables) - keepers - {name}:
            assert not lent & {held.what for held in tables[other]}, (name, other)


def test_a_pipe_has_one_owner_beside_those_who_pass_it_on(tables: dict[str, list[Held]]) -> None:
    holders = defaultdict(set)
    for name, table in tables.items():
        for held in table:
            if held.what.startswith("pipe:"):
                holders[held.what].add(name)
    for what, names in holders.items():
        assert len(names - {"orchestrator"}) == 1 or names == {"orchestrator", "gateway", "tiny"}, what


def test_open_files_are_logs_locks_and_a_server_s_own(tables: dict[str, list[Held]]) -> None:
    files = {
        name: {held.what for held in table if held.what.startswith("/") and held.number > 2}
        for name, table in tables.items()
    }
    assert {Path(file).name for file in files["guard"]} == {"lock"}
    assert all("/logs/" in file or "/run/" in file for file in files["orchestrator"])
    assert {Path(file).name for file in files["filesystem"]} == {"workspace"}
    assert all(file.endswith(("/cache/lock", ".seg")) and "/cache/" in file for file in files["gateway"])
    for name in ("zygote", "thinking", "tiny"):
        assert files[name] == set(), name
