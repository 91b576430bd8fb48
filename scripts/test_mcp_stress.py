"""The stress test of the founding documents under its name: a thin call of `omnimind stress`.

    python scripts/test_mcp_stress.py --rate 500 --duration 30

runs with the checkout's own environment (`make up` or `make test` makes it), whatever `python` is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv" / "bin" / "python"


def main() -> None:
    python = str(PYTHON) if PYTHON.exists() else sys.executable
    os.execv(python, [python, "-m", "omnimind", "stress", *sys.argv[1:]])  # noqa: S606


if __name__ == "__main__":
    main()
