"""Packets: whole or not at all, with their descriptors, however large or hostile."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnimind.linux import packets, seqpacket

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ends = seqpacket.pair()
    yield ends
    for end in ends:
        end.close()


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), json_like))
def test_what_is_sent_is_received(message: dict[str, object]) -> None:
    near, far = seqpacket.pair()
    with near, far:
        packets.send(near, message)
        assert packets.receive(far) == (message, [])


def test_descriptors_travel_with_their_message_and_are_close_on_exec(pair: Pair) -> None:
    read, write = os.pipe()
    packets.send(pair[0], {"t": "x"}, [read, write])
    received = packets.receive(pair[1])
    assert received is not None
    message, got = received
    assert message == {"t": "x"}
    assert [os.get_inheritable(number) for number in got] == [False, False]
    os.write(got[1], b"hi")
    assert os.read(read, 2) == b"hi"
    seqpacket.close_all([read, write, *got])


@pytest.mark.parametrize("size", [0, seqpacket.PACKET_BYTES - 20, seqpacket.PACKET_BYTES, 5_000_000])
def test_a_message_of_any_size_arrives_whole_with_its_descriptors(pair: Pair, size: int) -> None:
    read, write = os.pipe()
    packets.send(pair[0], {"data": b"x" * size}, [write])
    received = packets.receive(pair[1])
    assert received is not None
    assert len(received[0]["data"]) == size
    os.write(received[1][0], b"!")
    assert os.read(read, 1) == b"!"
    seqpacket.close_all([read, write, *received[1]])


def test_nothing_is_left_open_by_large_messages(pair: Pair) -> None:
    before = descriptors()
    for _ in range(20):
        packets.send(pair[0], {"data": b"x" * 100_000})
        packets.receive(pair[1])
    assert descriptors() == before


def test_a_closed_end_is_none(pair: Pair) -> None:
    pair[0].close()
    assert packets.receive(pair[1]) is None


@pytest.mark.parametrize(
    "payload", [b"\xc1", b"\x81\xa1", b"\x93\x01\x02\x03", b"\x81\x01\x02", b"hello" * 20]
)
def test_a_packet_that_is_no_message_is_an_error_and_leaks_nothing(pair: Pair, payload: bytes) -> None:
    before = descriptors()
    read, write = os.pipe()
    seqpacket.send(pair[0], payload, [read, write])
    with pytest.raises(OSError):
        packets.receive(pair[1])
    seqpacket.close_all([read, write])
    assert descriptors() == before


def test_a_memfd_without_seals_is_refused(pair: Pair) -> None:
    loose = os.memfd_create("loose")
    os.write(loose, b"\x80")
    seqpacket.send(pair[0], b"\x81\xa5memfd\xc3", [loose])
    with pytest.raises(OSError, match="seals"):
        packets.receive(pair[1])
    os.close(loose)


def test_a_sealed_memfd_cannot_be_changed() -> None:
    descriptor = seqpacket.sealed(b"fixed")
    with pytest.raises(OSError):
        os.write(descriptor, b"x")
    with pytest.raises(OSError):
        os.ftruncate(descriptor, 0)
    assert fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SEAL
    os.close(descriptor)


def test_a_packet_longer_than_allowed_is_an_error(pair: Pair) -> None:
    pair[0].send(b"x" * (seqpacket.PACKET_BYTES + 2))
    with pytest.raises(OSError, match="cut short"):
        seqpacket.receive(pair[1])


def test_a_full_link_says_so_and_sends_nothing(pair: Pair) -> None:
    pair[0].setblocking(False)
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while sent < 10_000:
            packets.send(pair[0], {"n": sent, "pad": b"x" * 1000})
            sent += 1
    assert 0 < sent < 10_000
    for number in range(sent):
        received = packets.receive(pair[1])
        assert received is not None
        assert received[0]["n"] == number
    pair[1].setblocking(False)
    with pytest.raises(BlockingIOError):
        packets.receive(pair[1])
