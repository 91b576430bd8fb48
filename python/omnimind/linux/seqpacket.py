"""Packets with descriptors over an unnamed Unix SOCK_SEQPACKET pair.

One packet is one message: bytes and the descriptors that belong to it, delivered together or not at all.
What does not fit a packet travels as a sealed memfd, which the receiver can map or read without fearing
that it changes. Received descriptors are close-on-exec and belong to the receiver.
"""

from __future__ import annotations

import array
import fcntl
import os
import socket
from collections.abc import Sequence

PACKET_BYTES = 64 * 1024
"""A payload larger than this goes into a memfd."""

DESCRIPTORS = 250
"""Descriptors a packet; the kernel's own limit is 253."""

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends, close-on-exec."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(link: socket.socket, payload: bytes, descriptors: Sequence[int] = ()) -> None:
    """Send one packet. Raises BlockingIOError on a full non-blocking link, with nothing sent."""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    link.sendmsg([payload], ancillary, socket.MSG_NOSIGNAL)


def receive(link: socket.socket) -> tuple[bytes, list[int]] | None:
    """Receive one packet, or None when the other end is gone."""
    room = socket.CMSG_SPACE(DESCRIPTORS * array.array("i").itemsize)
    try:
        payload, ancillary, flags, _ = link.recvmsg(PACKET_BYTES + 1, room, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return None
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
        close_all(descriptors)
        raise OSError("a packet was cut short")
    if not payload:
        close_all(descriptors)
        return None
    return payload, list(descriptors)


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors that nobody wants."""
    for descriptor in descriptors:
        os.close(descriptor)


def sealed(payload: bytes) -> int:
    """A read-only, unchangeable memfd with these bytes."""
    descriptor = os.memfd_create("packet", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    written = 0
    while written < len(payload):
        written += os.write(descriptor, payload[written:])
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    return descriptor


def unsealed(descriptor: int, limit_bytes: int = 64 * 1024 * 1024) -> bytes:
    """The bytes of a sealed memfd; closes it. Refuses one that could still change or is too large."""
    try:
        if fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & _SEALS != _SEALS:
            raise OSError("a memfd came without its seals")
        size = os.fstat(descriptor).st_size
        if size > limit_bytes:
            raise OSError(f"a memfd of {size} bytes is over the limit of {limit_bytes}")
        payload = bytearray()
        while len(payload) < size:
            payload += os.pread(descriptor, size - len(payload), len(payload))
        return bytes(payload)
    finally:
        os.close(descriptor)
