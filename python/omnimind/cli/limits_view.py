"""What the gateway says of its limits, for people: `omnimind status --limits` and `--health`.

Rule: the gateway says what is; here stands only how a person reads it. A word that is not in a table is shown as it
came, a figure that is not known is a dash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from omnimind.cli import terminal

REASONS: Final[dict[str, str]] = {
    "queue_full": "the queue was full",
    "deadline": "too late to be done in time",
    "evicted": "its place in the queue was given to another",
    "expired": "waited in vain",
    "shed": "held back by the brake",
}
"""Why a call was not started (`rust/limits/src/queue/refused.rs`)."""

SCOPES: Final[dict[str, str]] = {
    "tenant": "by the tenant's rate",
    "tenant_server": "by the tenant's rate at one server",
    "server_tool": "by a tool's rate",
}
"""Whose rate refused a call (`rust/limits/src/rate/admission.rs`)."""

_HEAD: Final = (
    "SERVER",
    "POLICY",
    "LIMIT",
    "USABLE",
    "IN FLIGHT",
    "ZOMBIES",
    "STRETCH",
    "SERVICE",
    "QUEUE P50, P99",
    "STARTED",
    "REFUSED",
    "WAITING",
)
_COLORS: Final[dict[str, str]] = {"0": "dim", "-": "dim"}


def limits(found: Mapping[str, Any]) -> str:
    """One row a server, why calls were refused, and the rates."""
    rows = [row for row in found["servers"] if isinstance(row, dict)]
    lines = [terminal.table(_HEAD, [_row(row) for row in rows], _COLORS)]
    lines += [
        f"  {terminal.printable(row['name'])}: refused {told}"
        for row in rows
        if (told := counted(row["refused"], REASONS))
    ]
    refused = counted(found["rates"]["refused"], SCOPES)
    lines.append(f"\nrates {_rates(found['rates'])}" + (f"; refused {refused}" if refused else ""))
    if found.get("units"):
        lines.append(
            f"at their own ports units of systemd answer, with limits of their own: {', '.join(found['units'])}"
        )
    return "\n".join(lines)


def _row(row: Mapping[str, Any]) -> list[object]:
    numbers = [row[key] for key in ("policy", "limit", "usable", "in_flight", "zombies")]
    stretch, queue = row["stretch"], row["queue_ms"]
    waiting = [f"{count} {name}" for name, count in row["waiting"].items() if count]
    return [
        row["name"],
        *numbers,
        None if stretch is None else f"{stretch:.2f}",
        time(row["service_ms"]) if row["started"] else None,
        f"{time(queue['p50'])}, {time(queue['p99'])}" if row["started"] else None,
        row["started"],
        sum(row["refused"].values()),
        ", ".join(waiting) or 0,
    ]


def _rates(rates: Mapping[str, Any]) -> str:
    pace = rates["pace"]
    told = "as configured" if pace == 1 else f"{pace:.3g} times what is configured"
    return f"{told} (policy {rates['policy']})"


def health(found: Mapping[str, Any]) -> str:
    """What the policies are told of the machine, and what they make of it."""
    seen, rates = found["health"], found["rates"]
    brake = _share(seen["brake"])
    rows = [
        ("cpu", _share(seen["cpu"]), "processor time in use on this machine"),
        ("cpu pressure", _share(seen["psi"]), "time in which some task waited for a processor"),
        ("p99", time(seen["p99_ms"]), "99 of 100 calls take less"),
        ("errors", _share(seen["error_rate"]), "calls that failed or ran out of time"),
        ("brake", brake, "what is left of all limits; the servers of the lowest tier give first"),
        ("pace", f"{rates['pace']:.3g}", f"times the configured rates (policy {rates['policy']})"),
    ]
    braked = {} if brake is None or seen["brake"] >= 1 else {brake: "yellow"}
    return terminal.table(("HEALTH", "NOW", ""), rows, braked)


def counted(counts: Mapping[str, int], words: Mapping[str, str]) -> str:
    """What happened how often, most often first: `12 (the queue was full), 3 (waited in vain)`."""
    often = sorted(counts.items(), key=lambda count: -count[1])
    return ", ".join(
        f"{count} ({terminal.printable(words.get(word, word))})" for word, count in often if count
    )


def time(time_ms: float | None) -> str | None:
    """A time for people; under ten microseconds it is none."""
    if time_ms is None:
        return None
    if time_ms < 0.01:
        return "0 ms"
    if time_ms >= 60_000:
        return f"{time_ms / 60_000:.3g} min"
    return f"{time_ms / 1000:.3g} s" if time_ms >= 1000 else f"{time_ms:.3g} ms"


def _share(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.3g} %"
