"""Fresh processes under load: a server, the gateway, everything in turn, and none of it costs a call."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psutil
import pytest

from omnimind.cli import fleet as control
from omnimind.errors import OmniMindError as Refused
from tests.calling import Calls
from tests.fleet import Fleet, fixture_entry, wait_until

ROUNDS = 20 if os.environ.get("OMNIMIND_FULL") else 2
THINK = {
    "name": "sequentialthinking",
    "arguments": {"thought": "x", "nextThoughtNeeded": False, "thoughtNumber": 1, "totalThoughts": 1},
}
ECHO = {"name": "echo", "arguments": {"text": "x", "delay_ms": 30}}


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    servers = {"thinking": {"port": 0}, "echo": fixture_entry("slow_echo")}
    with Fleet(servers) as running:
        yield running


def ask(fleet: Fleet, command: str, server: str | None = None) -> dict[str, Any]:
    return control.ask(fleet.state, {"cmd": command, "server": server}, timeout_s=60)


def row(fleet: Fleet, name: str) -> dict[str, Any]:
    return next(row for row in ask(fleet, "status")["servers"] if row["name"] == name)


def load(fleet: Fleet) -> list[Calls]:
    return [
        Calls(fleet.url("thinking"), "tools/call", THINK, threads=2),
        Calls(fleet.url("echo"), "tools/call", ECHO, threads=2),
        Calls(fleet.aggregate, "tools/call", {**ECHO, "name": "echo__echo"}, threads=1),
    ]


@pytest.mark.parametrize("what", ["thinking", "echo", "gateway", None])
def test_a_renewal_costs_no_call(fleet: Fleet, what: str | None) -> None:
    with ExitStack() as stack:
        calls = [stack.enter_context(some) for some in load(fleet)]
        for _ in range(ROUNDS):
            for some in calls:
                some.goes_on(5)
            before = {name: row(fleet, name)["pid"] for name in ("thinking", "echo")}
            gateway = ask(fleet, "status")["gateway"]["pid"]
            answer = ask(fleet, "roll", what)
            assert answer["kept"] == {}
            after = {name: row(fleet, name)["pid"] for name in ("thinking", "echo")}
            for name, pid in before.items():
                assert (after[name] != pid) == (what in (name, None)), name
            assert (ask(fleet, "status")["gateway"]["pid"] != gateway) == (what in ("gateway", None))
        for some in calls:
            some.goes_on(20)
    assert [some.failed for some in calls] == [{}, {}, {}]


def test_the_old_processes_are_gone_soon(fleet: Fleet) -> None:
    old = {row(fleet, name)["pid"] for name in ("thinking", "echo")}
    old.add(ask(fleet, "status")["gateway"]["pid"])
    ask(fleet, "roll")
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in old), 20, "the old processes are gone")


def test_a_successor_that_does_not_start_leaves_the_old_one_serving() -> None:
    with Fleet({"echo": fixture_entry("slow_echo")}) as fleet:
        pid = row(fleet, "echo")["pid"]
        entry = fixture_entry("no_such_module_anywhere")
        rewrite(fleet, {"echo": entry})
        answer = ask(fleet, "reload")
        assert answer["renewed"] == ["echo"]
        assert "no_such_module_anywhere" in answer["kept"]["echo"]
        assert row(fleet, "echo")["pid"] == pid
        with Calls(fleet.url("echo"), "tools/call", ECHO) as calls:
            calls.goes_on(5)
        assert calls.failed == {}


def test_renewing_what_does_not_exist_is_refused_with_the_nearest_name(fleet: Fleet) -> None:
    with pytest.raises(Refused) as refused:
        ask(fleet, "roll", "thinkin")
    assert refused.value.help is not None
    assert "thinking" in refused.value.help


def rewrite(fleet: Fleet, servers: dict[str, Any], **sections: Any) -> None:
    """Replace the file as an editor does, in one step."""
    fresh = fleet.config.with_suffix(".new")
    fresh.write_text(json.dumps({"mcpServers": servers, **sections}))
    os.replace(fresh, fleet.config)


def endpoints(fleet: Fleet) -> dict[str, str]:
    return {row["name"]: row["state"] for row in ask(fleet, "status")["servers"]}


def test_a_changed_file_is_taken_over_while_others_are_called() -> None:
    echo = fixture_entry("slow_echo")
    quiet = {"orchestrator": {"watch": False}}
    with Fleet({"thinking": {"port": 0}, "echo": echo}, **quiet) as fleet:
        with (
            Calls(fleet.url("thinking"), "tools/call", THINK) as thinking,
            Calls(fleet.url("echo"), "tools/call", ECHO) as calls,
        ):
            thinking.goes_on()
            pids = {name: row(fleet, name)["pid"] for name in ("thinking", "echo")}
            changed = {**echo, "env": {**echo["env"], "FRESH": "1"}}
            rewrite(fleet, {"thinking": {"port": 0}, "echo": changed, "late": echo}, **quiet)
            answer = ask(fleet, "reload")
            assert (answer["added"], answer["renewed"], answer["kept"]) == (["late"], ["echo"], {})
            assert row(fleet, "thinking")["pid"] == pids["thinking"]
            assert row(fleet, "echo")["pid"] != pids["echo"]
            with Calls(fleet.url("late"), "tools/call", ECHO) as late:
                late.goes_on(5)
            rewrite(fleet, {"thinking": {"port": 0}, "echo": changed}, **quiet)
            assert ask(fleet, "reload")["removed"] == ["late"]
            assert "late" not in endpoints(fleet)
            calls.goes_on()
            thinking.goes_on()
        assert (thinking.failed, calls.failed, late.failed) == ({}, {}, {})


def test_the_first_built_in_server_of_a_fleet_can_come_with_a_reload() -> None:
    echo = fixture_entry("slow_echo")
    with Fleet({"echo": echo}) as fleet:
        assert ask(fleet, "status")["zygote"]["pid"] is None
        rewrite(fleet, {"echo": echo, "thinking": {"port": 0}})
        wait_until(lambda: endpoints(fleet).get("thinking") == "ready", 30, "it is ready")
        with Calls(fleet.url("thinking"), "tools/list") as calls:
            calls.goes_on(3)
        assert calls.failed == {}
        assert ask(fleet, "status")["zygote"]["pid"] is not None


def test_a_typo_stops_nothing_and_is_named_with_its_place() -> None:
    with Fleet({"echo": fixture_entry("slow_echo")}) as fleet:
        pid = row(fleet, "echo")["pid"]
        fleet.config.write_text('{"mcpServers": {"echo": {"comand": "x"}}}')
        with pytest.raises(Refused) as refused:
            ask(fleet, "reload")
        assert "comand" in str(refused.value)
        wait_until(lambda: "mcp_servers.json:1:" in fleet.said.read_text(), 10, "the watch reports it too")
        assert row(fleet, "echo")["pid"] == pid


def test_the_file_is_watched_and_sighup_reloads() -> None:
    entry = fixture_entry("slow_echo")
    with Fleet({"echo": entry}) as fleet:
        rewrite(fleet, {"echo": entry, "second": entry})
        wait_until(lambda: "second" in endpoints(fleet), 15, "the changed file is taken over")
        rewrite(fleet, {"echo": entry}, orchestrator={"watch": False})
        wait_until(lambda: "second" not in endpoints(fleet), 15, "and once more")
        os.kill(fleet.pid, signal.SIGHUP)
        wait_until(lambda: "nothing changed" in fleet.said.read_text(), 15, "SIGHUP reads it again")


def test_servers_start_after_what_they_name() -> None:
    slow = {
        "command": sys.executable,
        "args": ["-c", "import time; time.sleep(0.5); import slow_echo; slow_echo.main()"],
    }
    slow["env"] = fixture_entry("slow_echo")["env"]
    with Fleet({"late": fixture_entry("slow_echo", after=["first"]), "first": slow}) as fleet:
        said = fleet.said.read_text()
    assert said.index("first  ") < said.index("late  ")


def test_a_port_is_taken_once_the_stranger_that_held_it_has_left() -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        fleet = Fleet({"thinking": {"port": port}}, orchestrator={"probe_ms": 1000})
        with fleet:
            held = row(fleet, "thinking")
            assert (held["state"], held["port"]) == ("ready", None)
            assert f"pid {os.getpid()}" in held["reason"]
            stranger.close()
            wait_until(lambda: row(fleet, "thinking")["port"] == port, 20, "the port is taken")
            with Calls(f"http://127.0.0.1:{port}/mcp", "tools/list") as calls:
                calls.goes_on(3)
            assert calls.failed == {}


def test_a_server_is_recycled_by_requests_and_by_age_without_a_failed_call() -> None:
    servers = {
        "thinking": {"port": 0, "recycle": {"requests": 50}},
        "echo": fixture_entry("slow_echo", recycle={"age_s": 2}),
    }
    with Fleet(servers) as fleet:
        pids = {name: row(fleet, name)["pid"] for name in servers}
        with ExitStack() as stack:
            calls = [stack.enter_context(some) for some in load(fleet)]
            for name, pid in pids.items():
                wait_until(lambda: row(fleet, name)["pid"] != pid, 30, f"{name} is recycled")  # noqa: B023
            for some in calls:
                some.goes_on(10)
        assert [some.failed for some in calls] == [{}, {}, {}]
        assert "renewed, it has answered" in (fleet.state / "logs" / "thinking.log").read_text()


def test_giving_up_can_end_the_fleet() -> None:
    broken = {"command": sys.executable, "args": ["-c", "raise SystemExit(3)"]}
    fleet = Fleet({"broken": broken}, orchestrator={"give_up": "exit", "restart": {"max_attempts": 2}})
    try:
        with pytest.raises(Exception, match="ended with 1"):
            fleet.start()
    finally:
        fleet.stop()
