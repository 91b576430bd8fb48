"""msgpack maps over a SEQPACKET pair: the language of guard's children among each other.

A message is a map whose key `t` names its kind. A message over 64 KiB travels as `{"memfd": true}` with the
memfd as the first descriptor of the packet; its own descriptors follow.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack

from omnimind.linux import seqpacket

Message = dict[str, Any]

_IN_MEMFD: bytes = msgpack.packb({"memfd": True})


def send(link: socket.socket, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Send one message; the caller keeps its descriptors. May raise BlockingIOError, with nothing sent."""
    payload: bytes = msgpack.packb(message)
    if len(payload) <= seqpacket.PACKET_BYTES:
        seqpacket.send(link, payload, descriptors)
        return
    memfd = seqpacket.sealed(payload)
    try:
        seqpacket.send(link, _IN_MEMFD, (memfd, *descriptors))
    finally:
        seqpacket.close_all([memfd])


def receive(link: socket.socket) -> tuple[Message, list[int]] | None:
    """Receive one message and its descriptors, or None when the other end is gone.

    Raises OSError for a packet that is no message; its descriptors are closed.
    """
    packet = seqpacket.receive(link)
    if packet is None:
        return None
    payload, descriptors = packet
    try:
        message = _decode(payload)
        if message.get("memfd") is True and descriptors:
            message = _decode(seqpacket.unsealed(descriptors.pop(0)))
    except OSError:
        seqpacket.close_all(descriptors)
        raise
    return message, descriptors


def _decode(payload: bytes) -> Message:
    try:
        message = msgpack.unpackb(payload)
    except (ValueError, msgpack.exceptions.UnpackException) as fault:
        raise OSError("a packet is not msgpack") from fault
    if not isinstance(message, dict) or not all(isinstance(key, str) for key in message):
        raise OSError("a packet is not a map with text keys")
    return message
