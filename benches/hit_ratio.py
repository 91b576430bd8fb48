"""What a reference implementation of S3-FIFO finds of the small workloads of the cache's tests.

Writes `rust/cache/tests/memory/expected.txt`, which the Rust test compares with. It needs the package `libcachesim`
(0.3.5 made the file that is there), which is under the GPL and so belongs into an environment of its own:

    python -m venv VENV && VENV/bin/pip install libcachesim==0.3.5 && VENV/bin/python benches/hit_ratio.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
EXPECTED = REPOSITORY / "rust/cache/tests/memory/expected.txt"
EXAMPLE = ("cargo", "run", "--quiet", "--release", "-p", "omnimind-cache", "--example", "hit_ratio", "--")
CAPACITY = 1_000


def hit_ratio(policy: str, keys: list[int]) -> float:
    """The share of requests that a cache of `CAPACITY` entries under this policy has an answer for."""
    simulator = import_module("libcachesim")
    cache = getattr(simulator, policy)(cache_size=CAPACITY)
    request = simulator.Request()
    request.obj_size = 1
    hits = 0
    for key in keys:
        request.obj_id = key
        hits += cache.get(request)
    return hits / len(keys)


def main() -> None:
    """Writes the workloads to a temporary folder and what the reference makes of each to the file of the test."""
    rows = [
        f"# {CAPACITY} entries: workload, hit ratio of S3-FIFO, hit ratio of LRU. Made by benches/hit_ratio.py."
    ]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*EXAMPLE, "--write", folder], check=True, cwd=REPOSITORY)
        for trace in sorted(Path(folder).iterdir()):
            keys = [int(line) for line in trace.read_text(encoding="ascii").splitlines()]
            rows.append(f"{trace.name} {hit_ratio('S3FIFO', keys):.4f} {hit_ratio('LRU', keys):.4f}")
    EXPECTED.write_text("\n".join(rows) + "\n", encoding="ascii")
    sys.stdout.write(EXPECTED.read_text(encoding="ascii"))


if __name__ == "__main__":
    main()
