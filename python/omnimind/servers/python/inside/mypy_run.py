"""Runs mypy inside the jail: its plugins are code of a stranger. It imports nothing of ours."""

from __future__ import annotations

import sys
from typing import Any, Final

MOST: Final = 4 * 1024 * 1024
MOST_ERRORS: Final = 256 * 1024


def run(arguments: list[str], library: str | None) -> dict[str, Any]:
    """What mypy prints for these arguments in the current folder; `library` is searched for packages too."""
    if library is not None:
        sys.path.insert(0, library)
    sys.modules["psutil"] = None  # type: ignore[assignment]  # it reads /proc, which is not there; mypy does without
    from mypy import api

    stdout, stderr, status = api.run(arguments)
    return {"stdout": stdout[:MOST], "stderr": stderr[:MOST_ERRORS], "status": status}
