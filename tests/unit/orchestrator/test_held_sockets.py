"""Held sockets: the same name is the same socket; a path is removed only when nobody accepts on it."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from omnimind.orchestrator import holders
from omnimind.orchestrator.sockets import HeldSockets

LOOPBACK = ("127.0.0.1", 0)


def test_the_same_name_and_address_is_the_same_socket() -> None:
    held = HeldSockets()
    first = held.listen("gateway", LOOPBACK)
    assert held.listen("gateway", LOOPBACK) is first
    held.release("gateway")


def test_a_new_address_under_a_known_name_replaces_the_socket(tmp_path: Path) -> None:
    held = HeldSockets()
    held.listen("x", str(tmp_path / "a.sock"))
    held.listen("x", str(tmp_path / "b.sock"))
    assert os.listdir(tmp_path) == ["b.sock"]
    held.release("x")


def test_a_taken_port_is_refused_and_the_socket_of_others_stays() -> None:
    with socket.create_server(LOOPBACK) as stranger:
        with pytest.raises(OSError) as caught:
            HeldSockets().listen("x", stranger.getsockname())
        assert caught.value.errno == errno.EADDRINUSE
        socket.create_connection(stranger.getsockname(), timeout=1).close()


def test_a_unix_socket_is_private_and_removed_with_its_release(tmp_path: Path) -> None:
    held, path = HeldSockets(), tmp_path / "w.sock"
    held.listen("w", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    held.release("w")
    assert not path.exists()


def test_a_stale_path_is_reused(tmp_path: Path) -> None:
    path = str(tmp_path / "w.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    held = HeldSockets()
    held.listen("w", path)
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(path)
    held.release("w")


def test_a_path_on_which_somebody_accepts_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "w.sock")
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(path)
        stranger.listen()
        with pytest.raises(OSError) as caught:
            HeldSockets().listen("w", path)
        assert caught.value.errno == errno.EADDRINUSE
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(path)


def test_a_plain_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "w.sock"
    path.write_text("precious")
    with pytest.raises(OSError):
        HeldSockets().listen("w", str(path))
    assert path.read_text() == "precious"


def test_a_path_longer_than_an_address_works(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    held = HeldSockets()
    held.listen("w", str(folder / "w.sock"))
    assert stat.S_ISSOCK((folder / "w.sock").stat().st_mode)
    held.release("w")
    assert not list(folder.iterdir())


def test_the_holder_of_a_port_is_named() -> None:
    with socket.create_server(LOOPBACK) as mine:
        holder = holders.of_port(mine.getsockname()[1])
        assert holder is not None
        assert holder.pid == os.getpid()
        assert str(os.getpid()) in str(holder)


def test_a_free_port_has_no_holder() -> None:
    with socket.create_server(LOOPBACK) as mine:
        port = mine.getsockname()[1]
    assert holders.of_port(port) is None
