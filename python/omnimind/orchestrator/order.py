"""In which order servers start: waves, each of which waits for the one before it.

Pure. A server's wave comes after those of everything it names in `after`; otherwise tiers go one after the
other. They stop in reverse. The order is of starts only: a server whose predecessor failed is started all the
same, and restarts wait for nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from omnimind import catalog
from omnimind.settings import ServerSettings


def waves(servers: Iterable[ServerSettings]) -> list[list[str]]:
    """The names, wave by wave; `after` has no circles and may name what does not run."""
    known = {server.name: server for server in servers}
    ranks: dict[str, tuple[int, int]] = {}
    for name in known:
        _rank(name, known, ranks)
    return [[name for name in known if ranks[name] == rank] for rank in sorted(set(ranks.values()))]


def _rank(
    name: str, known: Mapping[str, ServerSettings], ranks: dict[str, tuple[int, int]]
) -> tuple[int, int]:
    """Tier and depth within it, both at least those of its predecessors."""
    if name not in ranks:
        server = known[name]
        tier, depth = catalog.TIERS.index(server.tier), 0
        for earlier in (_rank(other, known, ranks) for other in server.after if other in known):
            tier, depth = max((tier, depth), (earlier[0], earlier[1] + 1))
        ranks[name] = tier, depth
    return ranks[name]
