"""Which listening sockets a TCP port has: asked of the kernel by netlink.

`/proc/net/tcp` lists every connection of the machine too and takes tens of milliseconds on a busy one; a dump of
the listeners alone takes well under one.
"""

from __future__ import annotations

import socket
import struct

_SOCK_DIAG = 4
_BY_FAMILY = 20
_DUMP = 0x301
"""NLM_F_REQUEST | NLM_F_DUMP."""
_DONE, _ERROR = 3, 2
_LISTENING = 1 << 10
_HEADER = struct.Struct("=IHHII")
_ID = struct.Struct("!HH44x")
_MESSAGE_BYTES = 72
_INODE_AT = 68
_REPLY_BYTES = 64 * 1024
_PATIENCE_S = 1.0


def listeners(port: int) -> set[int]:
    """The inodes of the sockets that listen on this TCP port, on whatever address. Raises OSError."""
    inodes: set[int] = set()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG) as link:
        link.settimeout(_PATIENCE_S)
        for family in (socket.AF_INET, socket.AF_INET6):
            asked = struct.pack("=BBBxI", family, socket.IPPROTO_TCP, 0, _LISTENING) + _ID.pack(port, 0)
            link.sendto(_HEADER.pack(_HEADER.size + len(asked), _BY_FAMILY, _DUMP, 1, 0) + asked, (0, 0))
            more = True
            while more:
                more = _read(link.recv(_REPLY_BYTES), port, inodes)
    return inodes


def _read(reply: bytes, port: int, inodes: set[int]) -> bool:
    """Take the inodes out of one packet; False after the last."""
    at = 0
    while at + _HEADER.size <= len(reply):
        length, kind, *_ = _HEADER.unpack_from(reply, at)
        if kind == _ERROR:
            raise OSError("the kernel refused to list sockets")
        if kind == _DONE or length < _HEADER.size:
            return False
        body = at + _HEADER.size
        if length - _HEADER.size >= _MESSAGE_BYTES and _ID.unpack_from(reply, body + 4)[0] == port:
            inodes.add(struct.unpack_from("=I", reply, body + _INODE_AT)[0])
        at += (length + 3) & ~3
    return True
