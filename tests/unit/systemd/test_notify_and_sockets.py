"""What a service says to systemd, what it takes from it, and the sockets that the guard uses of those."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from omnimind.orchestrator.sockets import HeldSockets
from omnimind.systemd import listen_fds, notify


@pytest.fixture
def heard(tmp_path: Path) -> socket.socket:
    end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    end.bind(str(tmp_path / "notify"))
    end.setblocking(False)
    return end


def environment(heard: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": heard.getsockname(), "HOME": "x", **more}


def test_what_is_said_arrives_in_one_message(heard: socket.socket) -> None:
    notifier = notify.from_environment(environment(heard))
    notifier.say("READY=1", "STATUS=up")
    assert heard.recv(100) == b"READY=1\nSTATUS=up"
    heard.close()


def test_an_abstract_address_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(f"\0omnimind-test-{os.getpid()}")
        notify.Notifier(f"@omnimind-test-{os.getpid()}").say("READY=1")
        assert end.recv(100) == b"READY=1"


def test_without_a_manager_nothing_is_said_and_nothing_fails(tmp_path: Path) -> None:
    assert not notify.from_environment({})
    notify.from_environment({}).say("READY=1")
    notify.Notifier(str(tmp_path / "nobody")).say("READY=1")


def test_a_manager_that_does_not_listen_is_not_waited_for(heard: socket.socket) -> None:
    notifier = notify.from_environment(environment(heard))
    for _ in range(10_000):
        notifier.say("WATCHDOG=1")  # far more than the socket holds
    heard.close()


def test_the_variables_are_gone_once_read(heard: socket.socket) -> None:
    found = environment(heard, WATCHDOG_USEC="3000000", WATCHDOG_PID=str(os.getpid()))
    assert notify.from_environment(found).watchdog_us == 3_000_000
    assert found == {"HOME": "x"}
    heard.close()


@pytest.mark.parametrize(("interval", "pid"), [("3000000", "1"), ("soon", ""), ("", "")])
def test_a_watchdog_of_somebody_else_or_of_no_number_is_none(
    heard: socket.socket, interval: str, pid: str
) -> None:
    assert (
        notify.from_environment(environment(heard, WATCHDOG_USEC=interval, WATCHDOG_PID=pid)).watchdog_us == 0
    )
    heard.close()


TAKE = """
import json, os, socket, sys
from omnimind.systemd import listen_fds
os.environ["LISTEN_PID"] = str(os.getpid()) if sys.argv[1] == "us" else "1"
taken = listen_fds.take()
left = [name for name in os.environ if name.startswith("LISTEN_")]
cloexec = [not os.get_inheritable(one.fileno()) for _, one in taken]
print(json.dumps([[name, one.getsockname(), one.fileno()] for name, one in taken] + [left, cloexec]))
"""


LAUNCH = """
import fcntl, os, sys
given = [int(number) for number in sys.argv[1].split(",")]
high = [fcntl.fcntl(one, fcntl.F_DUPFD, 100) for one in given]
for one in given:
    os.close(one)
for place, one in enumerate(high):
    os.dup2(one, 3 + place)
os.execv(sys.argv[2], sys.argv[2:])
"""


def taken(tmp_path: Path, pid: str, names: str | None, count: int | None = None) -> str:
    tcp, unix = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "sock"))
    unix.listen()
    ours, theirs = socket.socketpair()  # no listener: it is not taken
    given = [tcp, ours, unix]
    env = {**os.environ, "LISTEN_FDS": str(len(given) if count is None else count)}
    env |= {} if names is None else {"LISTEN_FDNAMES": names}
    numbers = ",".join(str(one.fileno()) for one in given)
    done = subprocess.run(
        [sys.executable, "-c", LAUNCH, numbers, sys.executable, "-c", TAKE, pid],
        pass_fds=[one.fileno() for one in given],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    said = (
        done.stdout.strip().replace(str(tmp_path / "sock"), "PATH").replace(str(tcp.getsockname()[1]), "PORT")
    )
    for one in (*given, theirs):
        one.close()
    return said


def test_listeners_are_taken_with_their_names_and_nothing_inherits_them(tmp_path: Path) -> None:
    said = taken(tmp_path, "us", "http:pair:worker")
    assert said == '[["http", ["127.0.0.1", PORT], 3], ["worker", "PATH", 5], [], [true, true]]'


def test_names_may_be_missing_and_descriptors_closed(tmp_path: Path) -> None:
    said = taken(tmp_path, "us", None, count=40)
    assert said == '[["", ["127.0.0.1", PORT], 3], ["", "PATH", 5], [], [true, true]]'


def test_sockets_that_are_meant_for_another_process_are_left_alone(tmp_path: Path) -> None:
    assert taken(tmp_path, "other", "a:b:c") == "[[], []]"
    assert listen_fds.take({"LISTEN_PID": "x", "LISTEN_FDS": "-1"}) == []


# --- what the guard makes of them


def server() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_a_passed_socket_with_the_address_is_used_whatever_its_name() -> None:
    with server() as passed, server() as other:
        held = HeldSockets([("gateway", other), ("", passed)])
        assert held.listen("port/memory", passed.getsockname()) is passed
        assert held.listen("port/memory", passed.getsockname()) is passed


def test_a_passed_socket_with_the_name_is_used_on_the_same_host_only() -> None:
    with server() as passed, socket.create_server(("0.0.0.0", 0)) as wide:
        held = HeldSockets([("gateway", wide), ("memory", passed)])
        assert held.listen("port/memory", ("127.0.0.1", 0)) is passed
        bound = held.listen("gateway", ("127.0.0.1", 0))
        assert bound is not wide
        assert bound.getsockname()[0] == "127.0.0.1"
        held.release("gateway")


def test_a_passed_unix_socket_keeps_its_path_when_it_is_released(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    passed = socket.socket(socket.AF_UNIX)
    passed.bind(path)
    passed.listen()
    held = HeldSockets([("control", passed)])
    assert held.listen("control", path) is passed
    held.release("control")
    assert Path(path).exists()
