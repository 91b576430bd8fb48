"""The fixtures of the command tests: a state folder, and a fleet that only pretends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from fake_fleet import FakeFleet, handler, serve

from omnimind import tokens


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    tokens.ensure(folder)
    monkeypatch.setenv("OMNIMIND_STATE", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def fleet(state: Path) -> Iterator[FakeFleet]:
    fake = FakeFleet(state)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(state / "control.sock"))
    listener.listen()
    web = ThreadingHTTPServer(("127.0.0.1", 0), handler(fake))
    fake.endpoint = f"http://127.0.0.1:{web.server_port}/mcp"
    fake.write_record()
    threads = [
        threading.Thread(target=serve, args=(listener, fake)),
        threading.Thread(target=web.serve_forever, args=(0.01,)),
    ]
    for thread in threads:
        thread.start()
    yield fake
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    web.shutdown()
    web.server_close()
    for thread in threads:
        thread.join()
