"""Kill -9 of everything in turn under load: what is lost is what could not be saved, and nothing runs twice.

The full run (`make chaos`) has 900 kills and asserts how soon everything is back; the sample asserts the counts.
"""

from __future__ import annotations

import pytest

from tests.chaos.storm import Storm

KILLS = 14


@pytest.mark.alone
@pytest.mark.bar
@pytest.mark.timeout(300)
def test_a_storm_of_kills_loses_refuses_and_repeats_nothing() -> None:
    account = Storm(KILLS, seed=7).run()
    print(account.table())
    assert account.broken() == []
    assert account.counted > 0
