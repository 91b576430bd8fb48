"""Listening sockets of a port, as the kernel tells them."""

from __future__ import annotations

import os
import socket

import pytest

from omnimind.linux import sockdiag


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_INET6, "::")]
)
def test_a_listener_is_found_by_its_port_and_a_mere_connection_is_not(
    family: socket.AddressFamily, address: str
) -> None:
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        port = listener.getsockname()[1]
        assert sockdiag.listeners(port) == set()
        listener.listen()
        with socket.create_connection((address, port)) as near:
            assert sockdiag.listeners(port) == {os.fstat(listener.fileno()).st_ino}
            assert sockdiag.listeners(near.getsockname()[1]) == set()


def test_all_listeners_of_a_shared_port_are_found() -> None:
    with socket.socket() as one, socket.socket() as two:
        for listener in (one, two):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(("127.0.0.1", 0 if listener is one else one.getsockname()[1]))
            listener.listen()
        both = {os.fstat(listener.fileno()).st_ino for listener in (one, two)}
        assert sockdiag.listeners(one.getsockname()[1]) == both
