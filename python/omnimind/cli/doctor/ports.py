"""The ports that the configuration names, and who holds them."""

from __future__ import annotations

from collections.abc import Iterator

from omnimind.cli import fleet
from omnimind.cli.doctor.finding import Finding, fail, ok, warn
from omnimind.linux import proc
from omnimind.orchestrator import holders
from omnimind.settings import Settings


def examine(found: Settings) -> Iterator[Finding]:
    """One finding a port. A server's port that a stranger holds costs that port only."""
    family = _family(found)
    wanted = [("gateway", found.gateway.port), *((s.name, s.port) for s in found.servers if s.enabled)]
    for name, port in wanted:
        if not port:
            continue
        holder = holders.of_port(port)
        if holder is None:
            yield ok(f"port {port}", f"free ({name})")
        elif holder.pid in family:
            yield ok(f"port {port}", f"{name}: held by {holder}, of the fleet that runs here")
        else:
            detail = f"wanted by {name}, held by {holder}"
            other = "give it another port, or end that process yourself"
            yield (
                fail(f"port {port}", detail, f"omnimind up --port 0 takes a free one; or {other}")
                if name == "gateway" and not family
                else warn(f"port {port}", detail, other)
            )


def _family(found: Settings) -> set[int]:
    """The pids of the fleet that runs in this state folder."""
    record = fleet.find(found.state_dir)
    guard = record.pid if record else (fleet.holder(found.state_dir) or (None,))[0]
    if guard is None:
        return set()
    return {guard, *(process.pid for process in proc.descendants(guard, proc.scan()))}
