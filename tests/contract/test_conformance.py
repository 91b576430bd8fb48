"""The public conformance suite through the gateway: both revisions, every kind of backend, both roles.

The bar is 30 of 30 scenarios for 2025-11-25 and 37 of 37 for 2026-07-28 on HTTP, stdio and Unix socket alike,
with no list of expected failures. The suite's own unscored scenarios count here as well, but those of the
tasks extension, which the SDK behind the gateway does not speak.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import conformance
import pytest
from backends import TRANSPORTS
from fleet import Fleet
from toolbox import Toolbox

pytestmark = [pytest.mark.bar, pytest.mark.timeout(300)]

CLIENT_SCRIPT = Path(__file__).with_name("conformance_client.py")
CLIENT_SCENARIOS = {
    "2025-11-25": ("initialize", "tools_call", "elicitation-sep1034-client-defaults", "sse-retry"),
    "2026-07-28": (
        "tools_call",
        "request-metadata",
        "sep-2322-client-request-state",
        "http-standard-headers",
        "http-custom-headers",
        "http-invalid-tool-headers",
        "json-schema-ref-no-deref",
    ),
}
CLIENT_CASES = [(revision, name) for revision, names in CLIENT_SCENARIOS.items() for name in names]
AT_ONCE = 2
# A server pauses its event stream and is asked again: on a pipe there is no stream of a call to pause. The call
# is answered as JSON, and the suite says of its own accord that it does not apply.
NOT_ON_A_PIPE = [("stdio", "server-sse-polling"), ("unix", "server-sse-polling")]
ServerRun = Callable[[str, str], conformance.Outcome]


@pytest.fixture(scope="module")
def server_run(toolbox: Toolbox, everything: Fleet) -> ServerRun:
    """The suite's run for a transport and a revision; each is made once."""

    @cache
    def run(transport: str, revision: str) -> conformance.Outcome:
        return conformance.run_server(toolbox, everything.url(f"everything-{transport}"), revision)

    return run


@pytest.mark.parametrize("revision", conformance.REVISIONS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_required_server_scenario_is_green(
    toolbox: Toolbox, server_run: ServerRun, transport: str, revision: str
) -> None:
    required = conformance.scored(toolbox, revision)
    assert len(required) == conformance.SCORED_COUNT[revision]
    assert server_run(transport, revision).complaints(required) == []


@pytest.mark.parametrize("revision", conformance.REVISIONS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_unscored_server_scenarios_are_green_too(
    server_run: ServerRun, transport: str, revision: str
) -> None:
    expected = [name for name in conformance.UNSCORED[revision] if (transport, name) not in NOT_ON_A_PIPE]
    assert server_run(transport, revision).complaints(expected) == []


@pytest.mark.parametrize(("transport", "scenario"), NOT_ON_A_PIPE)
def test_a_scenario_about_http_streams_finds_none_behind_a_pipe(
    server_run: ServerRun, transport: str, scenario: str
) -> None:
    checks = server_run(transport, "2025-11-25").scenarios[scenario]
    assert not [check for check in checks if check.status in conformance.RED]
    assert any("not applicable" in check.message for check in checks)


@pytest.mark.parametrize("revision", conformance.REVISIONS)
def test_the_list_of_client_scenarios_is_all_that_is_not_about_auth(toolbox: Toolbox, revision: str) -> None:
    required = conformance.scored(toolbox, revision, "client")
    assert {name for name in required if not name.startswith("auth/")} == set(CLIENT_SCENARIOS[revision])


@pytest.fixture(scope="module")
def client_runs(toolbox: Toolbox) -> dict[tuple[str, str], conformance.Outcome]:
    """Every scenario with a fleet of its own, some at once: most of a run is the start of things."""
    command = f"{sys.executable} {CLIENT_SCRIPT}"

    def run(case: tuple[str, str]) -> conformance.Outcome:
        revision, scenario = case
        return conformance.run_client(toolbox, command, scenario, revision)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(CLIENT_CASES, pool.map(run, CLIENT_CASES), strict=True))


@pytest.mark.parametrize(("revision", "scenario"), CLIENT_CASES)
def test_a_client_scenario_is_green_with_the_gateway_as_the_client(
    client_runs: dict[tuple[str, str], conformance.Outcome], revision: str, scenario: str
) -> None:
    outcome = client_runs[revision, scenario]
    assert outcome.complaints([scenario]) == [], outcome.output[-3000:]
