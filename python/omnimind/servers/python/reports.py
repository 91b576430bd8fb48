"""Results of test runs, kept so that their later pages can be asked for without running the tests again."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path
from typing import Any, Final

from omnimind.servers.problem import Problem

KEPT: Final = 10

_NAME = re.compile(r"[0-9a-f]{12}")


def keep(folder: Path, report: dict[str, Any]) -> dict[str, Any]:
    """The report with a name of its own, on disk; the oldest of more than ten go."""
    named = {"run": secrets.token_hex(6), **report}
    (folder / f"{named['run']}.json").write_text(json.dumps(named))
    files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
    for file in files[:-KEPT]:
        file.unlink(missing_ok=True)
    return named


def find(folder: Path, run: str) -> dict[str, Any]:
    """A report by its name."""
    try:
        if _NAME.fullmatch(run):
            report: dict[str, Any] = json.loads((folder / f"{run}.json").read_text())
            return report
    except OSError:
        pass
    raise Problem(f"there is no run {run[:20]!r}; the last {KEPT} are kept, run the tests again")
