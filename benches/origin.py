"""Where figures come from: the machine and the commit that are written beside them.

python -m benches.origin [RUN]     a word for this kind of machine, or for that of a run, as part of a file's name
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def machine() -> dict[str, Any]:
    """What it ran on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gb": round(memory_kb / 1024**2),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def commit() -> str:
    """Of the checkout, with a mark if it has changes; nothing outside a repository."""
    command = [
        "git",
        "-C",
        str(ROOT),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=10",
        "--exclude",
        "*",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def kind(found: dict[str, Any]) -> str:
    """A word for a machine: its CPU and how many cores of it there are."""
    return re.sub(r"[^a-z0-9]+", "-", f"{found['cpu']} {found['cores']} cores".lower()).strip("-")


if __name__ == "__main__":
    print(kind(json.loads(Path(sys.argv[1]).read_text())["machine"] if sys.argv[1:] else machine()))
