"""`omnimind.Cache` is there when it is asked for, and costs nothing before."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
import omnimind
assert "omnimind.cache" not in sys.modules and "omnimind._core" not in sys.modules
cache = omnimind.Cache()
cache["a"] = 1
heavy = {"asyncio", "msgpack", "mcp", "anyio", "concurrent.futures", "logging"} & set(sys.modules)
assert not heavy, heavy
"""


def test_the_cache_is_imported_when_it_is_asked_for_and_brings_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
