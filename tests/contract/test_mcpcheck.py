"""jbt-mcpcheck, an independent read-only checker for 2026-07-28, on the aggregate and on every port."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from fleet import Fleet
from toolbox import Toolbox

from omnimind import catalog

pytestmark = [pytest.mark.bar, pytest.mark.timeout(300)]

BUILT_IN = tuple(builtin.name for builtin in catalog.BUILTINS)
PRUNED = "aggregate, pruned"
PLACES = ("aggregate", PRUNED, *BUILT_IN)
UNSAID = {PRUNED: ["errors"]}
"""By place, the checks that cannot be made: calls that fail are only tried of tools that say they read, and a pruned
list has no annotations."""
CHECKER_TIMEOUT_S = 60
AT_ONCE = 2


@dataclass(frozen=True)
class Checked:
    """How one run of the checker ended."""

    code: int
    report: str
    said: str


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet({name: {"port": 0} for name in BUILT_IN}, auth=True) as running:
        yield running


@pytest.fixture(scope="module")
def checked(toolbox: Toolbox, fleet: Fleet) -> dict[str, Checked]:
    """Every place, some at once: most of a run is the checker's own start."""

    def check(place: str) -> Checked:
        url = {PRUNED: fleet.aggregate, "aggregate": f"{fleet.aggregate}?tools=whole"}.get(
            place
        ) or fleet.ports[place]
        done = subprocess.run(
            [
                toolbox.script("check", "jbt-mcpcheck"),
                url,
                "--token",
                fleet.token,
                "--legacy-probes",
                "--json",
            ],
            capture_output=True,
            text=True,
            timeout=CHECKER_TIMEOUT_S,
            check=False,
        )
        return Checked(done.returncode, done.stdout, done.stderr)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(PLACES, pool.map(check, PLACES), strict=True))


def _findings(check: dict[str, Any]) -> list[str]:
    """What is wrong by the specification; `best-practice` is the checker's own taste."""
    warnings = [warning for warning in check["warnings"] if warning["level"] != "best-practice"]
    return [finding["issue"] for finding in [*check["failures"], *warnings]]


@pytest.mark.parametrize("place", PLACES)
def test_the_checker_finds_nothing_wrong(checked: dict[str, Checked], place: str) -> None:
    done = checked[place]
    assert done.report, done.said
    report = json.loads(done.report)
    assert [finding for check in report["checks"] for finding in _findings(check)] == []
    assert [check["name"] for check in report["checks"] if check["status"] == "inconclusive"] == UNSAID.get(
        place, []
    )
    assert done.code == 0, done.said
