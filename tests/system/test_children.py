"""Stdio children: which era they are asked for, who shares one, what they inherit."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from omnimind.cli import fleet as control
from tests.fleet import Fleet, wait_until
from tests.system.double import ask, doubled, is_ready, row, status, tiny, tree, whoami


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """For the tests that leave it as it is: whoever kills or reloads something has a fleet of its own."""
    old = ("--era", "legacy")
    servers = {
        "both": tiny(),
        "old": tiny(*old),
        "new": tiny("--era", "modern"),
        "dies": tiny(*old, "--on-discover", "die"),
        "mute": tiny(*old, "--on-discover", "hang"),
        "chatty": tiny("--banner"),
        "private": tiny(),
        "shared": tiny(sessions="shared"),
        "released": tiny(),
        "plain": tiny(env={"NAMED": "1"}, port=0),
        "filesystem": {"port": 0},
        "web": {"url": "http://127.0.0.1:9/mcp"},
        "sock": {"url": "unix:/nonexistent.sock"},
    }
    with doubled(servers) as fleet:
        yield fleet


def era_of(answer: dict[str, object]) -> str:
    child = answer["child"]
    assert isinstance(child, dict)
    era: str = child["negotiated"]["era"]
    return era


def test_a_child_that_speaks_both_eras_is_asked_for_each(fleet: Fleet) -> None:
    modern, legacy = whoami(fleet, "both", era="modern"), whoami(fleet, "both", era="legacy")
    assert (era_of(modern), era_of(legacy)) == ("modern", "legacy")
    assert modern["child"]["child"] != legacy["child"]["child"]
    assert legacy["child"]["negotiated"]["version"] == "2025-11-25"
    assert legacy["child"]["negotiated"]["result"]["serverInfo"] == {"name": "tiny"}


def test_a_child_of_one_era_is_given_for_the_other(fleet: Fleet) -> None:
    assert era_of(whoami(fleet, "old", era="modern")) == "legacy"
    assert era_of(whoami(fleet, "new", era="legacy")) == "modern"
    assert whoami(fleet, "old", era="modern")["got"]["result"]["pid"] == row(fleet, "old")["pid"]


def test_a_child_that_dies_of_discover_is_offered_initialize_alone(fleet: Fleet) -> None:
    assert row(fleet, "dies")["state"] == "ready"
    assert era_of(whoami(fleet, "dies")) == "legacy"


def test_a_child_that_keeps_silent_on_discover_is_offered_initialize_alone(fleet: Fleet) -> None:
    assert row(fleet, "mute")["state"] == "ready"
    assert row(fleet, "mute")["restarts"] == 0
    assert era_of(whoami(fleet, "mute")) == "legacy"


def test_a_banner_on_stdout_does_not_hinder_readiness(fleet: Fleet) -> None:
    assert row(fleet, "chatty")["state"] == "ready"


def test_each_principal_has_a_child_of_its_own_unless_the_server_is_shared(fleet: Fleet) -> None:
    def pid(server: str, principal: str) -> int:
        number: int = whoami(fleet, server, principal=principal)["got"]["result"]["pid"]
        return number

    assert pid("private", "local") == row(fleet, "private")["pid"]
    assert pid("private", "ann") == pid("private", "ann")
    assert len({pid("private", "local"), pid("private", "ann"), pid("private", "bob")}) == 3
    assert {pid("shared", "ann"), pid("shared", "bob")} == {row(fleet, "shared")["pid"]}


def test_a_session_of_an_own_server_has_a_child_that_ends_with_the_gateway() -> None:
    with doubled({"own": tiny(sessions="own")}) as fleet:
        one = whoami(fleet, "own", era="legacy", session="s1")["got"]["result"]["pid"]
        two = whoami(fleet, "own", era="legacy", session="s2")["got"]["result"]["pid"]
        assert one != two
        os.kill(ask(fleet, {"do": "heard"})["pid"], 9)
        wait_until(
            lambda: not os.path.exists(f"/proc/{one}") and not os.path.exists(f"/proc/{two}"), 10, "gone"
        )
        assert row(fleet, "own")["restarts"] == 0


def test_a_released_child_ends_and_the_first_one_stays(fleet: Fleet) -> None:
    first, extra = whoami(fleet, "released"), whoami(fleet, "released", principal="ann")
    for answer in (first, extra):
        ask(fleet, {"do": "tell", "message": {"t": "release_child", "child": answer["child"]["child"]}})
    pid = extra["got"]["result"]["pid"]
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 10, "the extra child is gone")
    assert os.path.exists(f"/proc/{first['got']['result']['pid']}")


def test_a_child_sees_its_own_environment_and_no_more(fleet: Fleet) -> None:
    variables = set(whoami(fleet, "plain")["got"]["result"]["variables"])
    kept = {"HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "NAMED", "OMNIMIND_INSTANCE", "LC_CTYPE"}
    assert "NAMED" in variables
    assert variables <= kept


def test_a_child_holds_no_descriptor_of_ours(fleet: Fleet) -> None:
    for server in ("plain", "filesystem"):
        folder = f"/proc/{row(fleet, server)['pid']}/fd"
        links = [os.readlink(f"{folder}/{entry}") for entry in os.listdir(folder)]
        listening = [link for link in links if link.startswith("socket:")]
        assert len(listening) <= (0 if server == "plain" else 4), links
        assert not [link for link in links if "memfd" in link or link.endswith("lock")], links


def test_an_unknown_server_is_refused_by_name(fleet: Fleet) -> None:
    assert whoami(fleet, "nobody")["refused"]["reason"] == "no such stdio server"


def test_reloaded_tokens_reach_the_gateway() -> None:
    from omnimind import tokens

    with doubled({"plain": tiny()}) as fleet:
        tokens.add(fleet.state, "ann")
        control.ask(fleet.state, {"cmd": "reload-tokens"})
        wait_until(lambda: bool(ask(fleet, {"do": "heard"})["applied"]), 5, "the gateway was told")
        applied = ask(fleet, {"do": "heard"})["applied"][0]["snapshot"]
        assert [token["name"] for token in applied["auth"]["tokens"]] == ["local", "ann"]


def test_servers_without_a_process_are_ready_for_the_gateway_to_judge(fleet: Fleet) -> None:
    servers = ("web", "sock")
    assert {row(fleet, name)["state"] for name in servers} == {"ready"}
    assert {row(fleet, name)["pid"] for name in servers} == {None}
    ask(fleet, {"do": "tell", "message": {"t": "down", "server": "web", "reason": "refused"}})
    assert row(fleet, "web")["state"] == "ready"


def test_messages_that_make_no_sense_end_nothing(fleet: Fleet) -> None:
    nonsense = [
        {"t": "want_child"},
        {"t": "want_child", "request": 1, "server": "plain"},
        {"t": "want_child", "request": 1, "server": 5, "principal": None, "era": "future"},
        {"t": "want_child", "request": 1, "server": "plain", "principal": "x", "era": "future"},
        {"t": "release_child"},
        {"t": "release_child", "child": "one"},
        {"t": "wake", "server": None},
        {"t": "down"},
        {"t": "unheard-of"},
        {},
    ]
    pids = status(fleet)["orchestrator"]["pid"], status(fleet)["gateway"]["pid"]
    for message in nonsense:
        ask(fleet, {"do": "tell", "message": message})
    assert whoami(fleet, "plain")["got"]["result"]["pid"] == row(fleet, "plain")["pid"]
    assert (status(fleet)["orchestrator"]["pid"], status(fleet)["gateway"]["pid"]) == pids


def test_restarts_leave_no_descriptor_and_no_process_behind() -> None:
    quick = {"max_attempts": 1000, "window_s": 60}
    with doubled({"plain": tiny(restart=quick), "filesystem": {"port": 0, "restart": quick}}) as fleet:
        orchestrator = status(fleet)["orchestrator"]["pid"]

        def cycle() -> tuple[int, int]:
            for server in ("plain", "filesystem"):
                pid = row(fleet, server)["pid"]
                control.ask(fleet.state, {"cmd": "restart", "server": server})
                wait_until(lambda s=server, p=pid: is_ready(fleet, s, not_pid=p), 10, "ready again")
            gateway = status(fleet)["gateway"]
            os.kill(gateway["pid"], 9)
            wait_until(lambda: status(fleet)["gateway"]["epoch"] > gateway["epoch"], 10, "a new gateway")
            wait_until(lambda: status(fleet)["gateway"]["state"] == "ready", 20, "it is up")
            return len(os.listdir(f"/proc/{orchestrator}/fd")), len(tree(fleet.pid))

        first = [cycle() for _ in range(2)]
        last = [cycle() for _ in range(2)]  # one descriptor a cycle is one too many after two
        assert last[-1][0] <= max(first)[0] + 1
        assert last[-1][1] <= max(processes for _, processes in first)
