"""The control socket: frames in, frames out, and nothing for those who cannot behave."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import msgpack
import pytest

from omnimind.orchestrator import control
from omnimind.orchestrator.control import ControlSocket


async def echo(request: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"ok": True, "heard": dict(request)}


async def three_events() -> AsyncIterator[Mapping[str, Any]]:
    for number in range(3):
        yield {"number": number}


def conversing(folder: Path, talk: Callable[[str], None]) -> None:
    """Run a control socket while `talk` uses it in another thread."""
    path = str(folder / "control.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    faults: list[BaseException] = []

    async def serve() -> None:
        served = ControlSocket(listener.detach(), echo, three_events)
        async with anyio.create_task_group() as group:
            group.start_soon(served.run)
            done = threading.Event()

            def in_thread() -> None:
                try:
                    talk(path)
                except BaseException as fault:
                    faults.append(fault)
                finally:
                    done.set()

            threading.Thread(target=in_thread).start()
            with anyio.fail_after(20):
                while not done.is_set():  # noqa: ASYNC110
                    await anyio.sleep(0.005)
            group.cancel_scope.cancel()
        served.close()

    anyio.run(serve)
    if faults:
        raise faults[0]


def connect(path: str) -> socket.socket:
    end = socket.socket(socket.AF_UNIX)
    end.settimeout(5)
    end.connect(path)
    return end


def frame(message: object) -> bytes:
    payload: bytes = msgpack.packb(message)
    return struct.pack(">I", len(payload)) + payload


def read_frame(end: socket.socket) -> Any:
    header = end.recv(4, socket.MSG_WAITALL)
    if len(header) < 4:
        return None
    return msgpack.unpackb(end.recv(struct.unpack(">I", header)[0], socket.MSG_WAITALL))


def works(path: str) -> None:
    with connect(path) as end:
        end.sendall(frame({"cmd": "status"}))
        assert read_frame(end)["heard"] == {"cmd": "status"}


def test_one_connection_carries_many_requests_however_they_are_cut(tmp_path: Path) -> None:
    def talk(path: str) -> None:
        with connect(path) as end:
            for byte in frame({"cmd": "a"}) + frame({"cmd": "b"}):
                end.sendall(bytes([byte]))
            assert [read_frame(end)["heard"]["cmd"] for _ in range(2)] == ["a", "b"]

    conversing(tmp_path, talk)


def test_events_come_until_they_end(tmp_path: Path) -> None:
    def talk(path: str) -> None:
        with connect(path) as end:
            end.sendall(frame({"cmd": "events"}))
            assert [read_frame(end)["number"] for _ in range(3)] == [0, 1, 2]
            assert read_frame(end) is None

    conversing(tmp_path, talk)


@pytest.mark.parametrize(
    "bad",
    [
        struct.pack(">I", 2**32 - 1),
        struct.pack(">I", control.REQUEST_BYTES + 1),
        frame([1, 2]),
        frame("status"),
        struct.pack(">I", 3) + b"\xc1\xc1\xc1",
        struct.pack(">I", 0),
        struct.pack(">I", 5) + b"\xdd\xff\xff\xff\xff",
        frame({"cmd": "x"})[:-2],
        b"",
    ],
)
def test_a_bad_request_costs_its_connection_only(tmp_path: Path, bad: bytes) -> None:
    def talk(path: str) -> None:
        with connect(path) as end:
            end.sendall(bad)
            end.shutdown(socket.SHUT_WR)
            assert read_frame(end) is None
        works(path)

    conversing(tmp_path, talk)


def test_a_caller_that_says_nothing_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "REQUEST_S", 0.05)

    def talk(path: str) -> None:
        with connect(path) as end:
            assert read_frame(end) is None
        works(path)

    conversing(tmp_path, talk)


def test_more_callers_than_places_are_refused_and_places_come_free(tmp_path: Path) -> None:
    def talk(path: str) -> None:
        ends = [connect(path) for _ in range(control.CALLERS + 8)]
        for end in ends:
            end.settimeout(0.5)
        served = 0
        for end in ends:
            try:
                end.sendall(frame({"cmd": "status"}))
                served += read_frame(end) is not None
            except OSError:
                continue
        assert served == control.CALLERS
        for end in ends:
            end.close()
        for _ in range(100):
            try:
                works(path)
            except (OSError, TypeError):
                continue
            return
        raise AssertionError("no place came free")

    conversing(tmp_path, talk)


def test_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control.os, "geteuid", lambda: 4_000_000)

    def talk(path: str) -> None:
        with connect(path) as end:
            try:
                end.sendall(frame({"cmd": "status"}))
                assert read_frame(end) is None
            except (BrokenPipeError, ConnectionResetError):
                return

    conversing(tmp_path, talk)
