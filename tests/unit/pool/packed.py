"""Packed bodies: one text in each coding, and bodies that unpack to far more than they are.

brotli has no packer in the standard library, nor has zstd in Python 3.11: their text was packed by node and by the zstd
command line. A bomb of zstd is written out by hand: blocks of one byte, repeated 128 Ki times.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Final

TEXT: Final = json.dumps(
    [{"line": line, "text": "what is written here"} for line in range(40)], separators=(",", ":")
).encode()


def _gzip(pieces: list[bytes]) -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    return b"".join(packer.compress(piece) for piece in pieces) + packer.flush()


PACKED: Final = {
    "gzip": _gzip([TEXT]),
    "br": base64.b64decode(
        "G4YGSJwHdiyYDoYp+kWkmBEqvVm2uvaUTl+I6NgwdbOBPQ7B7ACowxDakgB/+5+/QcUR9YKjojkOX3243uL7GTVeNAEhETEJ"
        "aTJkyS2hZwcYGhmbmDZjllwOy8DQyNjEtBmz5HJUBoZGxiamzZiN3AQ="
    ),
    "zstd": base64.b64decode(
        "KLUv/QRohQMAQkUREaBveJtvECBQgbjj28pi+1cmLKFjChnvYiR0TCHjXXxCxxQy3j2hYwoZ7yG3m+4B6WqF0wIKQW3Ptup6"
        "Xe0gVDsJY+MVKKgRwLf/b+A1qwER3BD8/wzhpB9AksWQQNGAALVNz18ib34MYqusAq94ALI="
    ),
}

BOMB_BYTES: Final = 256 << 20
_BLOCK: Final = 128 << 10
_BLOCKS: Final = BOMB_BYTES // _BLOCK
_REPEATED: Final = 1


def _zstd_bomb() -> bytes:
    frame = bytearray(b"\x28\xb5\x2f\xfd" + b"\x00" + b"\x58")  # no size is told; a window of 2 MiB
    for number in range(1, _BLOCKS + 1):
        head = (_BLOCK << 3) | (_REPEATED << 1) | (number == _BLOCKS)
        frame += head.to_bytes(3, "little") + b"x"
    return bytes(frame)


BOMBS: Final = {
    "gzip": _gzip([bytes(1 << 20)] * (BOMB_BYTES >> 20)),
    "br": base64.b64decode(
        "y///P/gnAOKxQCD3/o///3/wTwDEYRGA7v0f////4J8AiMMCAN37P/7//8E/ARCHBQC693/8//+DfwIgDgsAdO//+P//B/8E"
        "QBwWAOje//H//w/+CYA4LADQvf/j//8f/BMAcVgAoHv/x///P/gnAOKwAED3/o///3/wTwDEYQGA7v0f////4J8AiMMCAN37"
        "P/7//8E/ARCHBQC693/8//+DfwIgDgsAdO//+P//B/8EQBwWAOje//H//w/+CYA4LADQvf/j//8f/BMAcVgAoHv/x///P/gn"
        "AOKwAED3/o///3/wTwDEYQGA7v0f////4J8AiMMCAN37P/7//8E/ARCHBQC693/8//+DfwIgDgsAdO//+P//B/8EQBwWAOje"
        "//H//w/+CYA4LADQvf/j//8f/BMAcVgAoHv/x///P/gnAOKwAED3/o///3/wTwDEYQGA7v0f////4J8AiMMCAN37P/7//8E/"
        "ARCHBQC693/8//+DfwIgDgsAdO//+P//B/8EQBwWAOje//H//w/+CYA4LADQvf/L//8//BMAcVgAoHv/Bw=="
    ),
    "zstd": _zstd_bomb(),
}
