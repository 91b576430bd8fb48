"""docs/fleet-of-nine.md counts the calls of the mix as its file has them."""

from __future__ import annotations

from collections import Counter

from omnimind import catalog
from omnimind.bench.nine import calls
from tests.docs.pages import table
from tests.fleet import ROOT

PAGE = ROOT / "docs" / "fleet-of-nine.md"


def test_the_shares_of_the_page_are_those_of_the_mix() -> None:
    counts: Counter[str] = Counter()
    for call in calls().calls:
        counts[call.server] += call.weight
    rows = {row[0]: int(row[1]) for row in table(PAGE, "server")}
    assert rows == counts
    assert set(rows) == {builtin.name for builtin in catalog.BUILTINS}
    assert f"Of {sum(rows.values())} calls" in PAGE.read_text()
