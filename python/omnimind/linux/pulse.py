"""A worker's sign of life: small records on a pipe.

A record is twelve bytes, far below PIPE_BUF, so the kernel keeps each one whole. The writer never waits: a
full pipe drops the record, and the reader finds those that were there before. The reader sees the end of the
pipe when the last writer is gone.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

_RECORD = struct.Struct("<3I")
_MOST = 2**32 - 1
_READ_BYTES = _RECORD.size * 4096


class Beat(NamedTuple):
    """One record: requests answered since the start, those in flight, and the age of the oldest of these."""

    answered: int
    in_flight: int
    oldest_ms: int


def send(descriptor: int, beat: Beat) -> bool:
    """Write one record to a non-blocking pipe; False when nobody reads any more."""
    try:
        os.write(descriptor, _RECORD.pack(*(min(number, _MOST) for number in beat)))
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True


def latest(descriptor: int) -> Beat | None:
    """The last record that waits in a non-blocking pipe, or None. Raises EOFError when its writers are gone."""
    last: bytes | None = None
    while True:
        try:
            chunk = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            break
        whole = len(chunk) - len(chunk) % _RECORD.size
        if whole:
            last = chunk[whole - _RECORD.size : whole]
        if len(chunk) < _READ_BYTES:
            if not chunk and last is None:
                raise EOFError
            break
    return Beat(*_RECORD.unpack(last)) if last is not None else None
