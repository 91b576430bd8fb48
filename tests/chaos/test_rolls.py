"""Planned changes under the load of the storm: a new gateway, fresh processes of everything, a changed file.

Nothing was killed, so nothing may fail: every call of every kind is answered at its first try.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from omnimind.cli.fleet import ask
from tests.chaos import mix
from tests.chaos.storm import RATE_PER_S, Load, under_load
from tests.fleet import Fleet

ROUNDS = 20 if os.environ.get("OMNIMIND_FULL") else 2
PAUSE_S = 0.15
WAIT_S = 120.0


@contextmanager
def fleet_of_the_storm(folder: Path) -> Iterator[Fleet]:
    with Fleet(mix.servers(folder, None), auth=True) as fleet:
        yield fleet


def assert_nothing_failed(
    fleet: Fleet, folder: Path, request: dict[str, Any], before_each: Any = None
) -> None:
    """Send a command again and again under load."""

    async def again(load: Load) -> None:
        for number in range(ROUNDS):
            if before_each is not None:
                before_each(number)
            answer = await asyncio.to_thread(ask, fleet.state, request, WAIT_S)
            assert answer["ok"], answer
            await asyncio.sleep(PAUSE_S)

    ledger = asyncio.run(under_load(fleet, again, 3, RATE_PER_S, False))
    assert [loss.told([]) for loss in ledger.losses] == []
    assert ledger.wrong == []
    assert ledger.incomplete == []
    done = mix.carried_out(folder, fleet.state)
    assert {nonce: done[nonce] for nonce in ledger.counted} == dict.fromkeys(ledger.counted, 1)


@pytest.mark.alone
@pytest.mark.bar
@pytest.mark.timeout(180)
@pytest.mark.parametrize("what", [{"server": "gateway"}, {"server": "thinking"}, {"server": "trusted"}, {}])
def test_a_roll_under_load_fails_no_call(tmp_path: Path, what: dict[str, str]) -> None:
    with fleet_of_the_storm(tmp_path) as fleet:
        assert_nothing_failed(fleet, tmp_path, {"cmd": "roll", **what})


@pytest.mark.alone
@pytest.mark.bar
@pytest.mark.timeout(180)
def test_a_reload_under_load_fails_no_call(tmp_path: Path) -> None:
    with fleet_of_the_storm(tmp_path) as fleet:

        def change(number: int) -> None:
            document = json.loads(fleet.config.read_text())
            for name in ("thinking", "trusted"):
                document["mcpServers"][name].setdefault("env", {})["ROUND"] = str(number)
            fleet.config.write_text(json.dumps(document))

        assert_nothing_failed(fleet, tmp_path, {"cmd": "reload"}, change)
