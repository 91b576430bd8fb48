"""The tiny server, while a thread of it floods stderr as fast as it goes for as long as a file exists.

Every second the file gets the bytes written so far, so that a test knows that the flood is not held up.
"""

from __future__ import annotations

import os
import sys
import threading
import time

import tiny_server

BLOCK = b"".join(b"2026-11-22 12:00:00 a line of a flood, number %06d\n" % n for n in range(1200))


def flood(file: str) -> None:
    total, told_s = 0, time.monotonic()
    while True:
        if not os.path.exists(file):
            time.sleep(0.01)
            continue
        for _ in range(16):
            total += os.write(2, BLOCK)
        if time.monotonic() - told_s >= 0.25:
            told_s = time.monotonic()
            with open(file + ".written", "w", encoding="ascii") as out:
                out.write(f"{total} {told_s}")


if __name__ == "__main__":
    threading.Thread(target=flood, args=(sys.argv.pop(1),), daemon=True).start()
    tiny_server.main()
