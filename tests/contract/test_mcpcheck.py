"""jbt-mcpcheck, an independent read-only checker for 2026-07-28, on the aggregate and on every port."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from fleet import Fleet
from toolbox import Toolbox

from omnimind import catalog

pytestmark = [pytest.mark.bar, pytest.mark.timeout(120)]

BUILT_IN = tuple(builtin.name for builtin in catalog.BUILTINS)
CHECKER_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet({name: {"port": 0} for name in BUILT_IN}, auth=True) as running:
        yield running


def _findings(check: dict[str, Any]) -> list[str]:
    """What is wrong by the specification; `best-practice` is the checker's own taste."""
    warnings = [warning for warning in check["warnings"] if warning["level"] != "best-practice"]
    return [finding["issue"] for finding in [*check["failures"], *warnings]]


@pytest.mark.parametrize("place", ["aggregate", *BUILT_IN])
def test_the_checker_finds_nothing_wrong(toolbox: Toolbox, fleet: Fleet, place: str) -> None:
    url = fleet.aggregate if place == "aggregate" else fleet.ports[place]
    checker = [str(toolbox.script("check", "jbt-mcpcheck")), url, "--token", fleet.token]
    done = subprocess.run(
        [*checker, "--legacy-probes", "--json"],
        capture_output=True,
        text=True,
        timeout=CHECKER_TIMEOUT_S,
        check=False,
    )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert [finding for check in report["checks"] for finding in _findings(check)] == []
    assert [check["name"] for check in report["checks"] if check["status"] == "inconclusive"] == []
    assert done.returncode == 0, done.stderr
