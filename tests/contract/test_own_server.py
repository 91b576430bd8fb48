"""The public conformance suite against `omnimind.serve(server)`: what a unit serves is what the gateway serves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import conformance
import pytest
from toolbox import Toolbox

from tests.fleet import FIXTURES, wait_until

pytestmark = [pytest.mark.bar, pytest.mark.timeout(300)]

SERVE = """
import sys
import omnimind
from everything.server import build
omnimind.serve(build(), port=0, auth=False, state=sys.argv[1])
"""
WHERE = "serving everything at "


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("own")
    said = folder / "log"
    path = os.pathsep.join([str(FIXTURES), *(entry for entry in sys.path if entry)])
    with said.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(folder / "state")],
            stderr=log,
            env={**os.environ, "PYTHONPATH": path},
        )
    try:
        wait_until(lambda: WHERE in said.read_text() or process.poll() is not None, 30, "the server is up")
        yield said.read_text().partition(WHERE)[2].split()[0]
    finally:
        process.terminate()
        assert process.wait(20) == 0, said.read_text()


@pytest.mark.parametrize("revision", conformance.REVISIONS)
def test_every_required_scenario_is_green(toolbox: Toolbox, url: str, revision: str) -> None:
    required = conformance.scored(toolbox, revision)
    assert len(required) == conformance.SCORED_COUNT[revision]
    assert conformance.run_server(toolbox, url, revision).complaints(required) == []
