"""Carrying out a plan: the generator sends on threads of its own, this thread looks at it and at the fleet.

The generator shares no process with the gateway; it is a part of this one, whose Python does nothing per call.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import omnimind
from omnimind._core import LoadRun
from omnimind.errors import GatewayError, OmniMindError, UsageError
from omnimind.stress.chaos import Chaos
from omnimind.stress.plan import Plan
from omnimind.stress.report import Load, Report
from omnimind.stress.usage import PERIOD_S, Sampler, own_rss_bytes

_TICK_MS: Final = 100
_SHOW_S: Final = 0.5
_BACK_S: Final = 15.0
"""How long after the end of the load a killed worker may take to be back."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """What is asked of a fleet meanwhile: its status, as the orchestrator gives it."""

    status: Callable[[], Mapping[str, Any]]

    def members(self) -> dict[str, int]:
        """Pid by part: the gateway and every server that has a process."""
        try:
            status = self.status()
        except OmniMindError:
            return {}  # it is busy, or starting anew; the next look will tell
        gateway = status.get("gateway")
        found = {"gateway": gateway["pid"]} if isinstance(gateway, dict) and gateway.get("pid") else {}
        rows = [row for row in status.get("servers", ()) if isinstance(row, dict)]
        return found | {str(row["name"]): row["pid"] for row in rows if row.get("pid")}


def run(
    plan: Plan,
    *,
    fleet: Fleet | None = None,
    chaos_every_s: float | None = None,
    show: Callable[[Mapping[str, Any]], None] = lambda _: None,
) -> Report:
    """Send, watch, and say what was found.

    `show` gets the generator's progress twice a second. Ctrl-C ends the sending; the report is then of what was sent.
    Raises UsageError for a plan that makes no sense, GatewayError (OM0902) if the target cannot be opened.
    """
    sampler = Sampler(fleet.members) if fleet else None
    chaos = Chaos(fleet.status, chaos_every_s) if fleet and chaos_every_s else None
    if sampler:
        sampler.look()
    began_utc = datetime.now(UTC)
    try:
        load = LoadRun(plan.encoded())
    except ValueError as error:
        raise UsageError("OM0100", str(error), help="see: omnimind stress --help") from None
    interrupted = _watch(load, sampler, chaos, show)
    try:
        found = json.loads(load.report())
    except OSError as error:
        raise GatewayError(
            "OM0902",
            str(error),
            where=plan.url,
            help="see whether it runs and takes the token: omnimind status",
        ) from None
    return Report(
        version=omnimind.__version__,
        began_utc=began_utc.isoformat(timespec="seconds"),
        plan=plan.described(),
        load=Load.of(found),
        uses=sampler.uses() if sampler else [],
        kills=chaos.kills if chaos else [],
        generator_rss_bytes=own_rss_bytes(),
        interrupted=interrupted,
    )


def _watch(
    load: LoadRun,
    sampler: Sampler | None,
    chaos: Chaos | None,
    show: Callable[[Mapping[str, Any]], None],
) -> bool:
    """Until the run is over; whether Ctrl-C ended it."""
    began_s = time.monotonic()
    looked_s = shown_s = 0.0
    interrupted = over = False
    while not over:
        try:
            over = load.wait(_TICK_MS)
            now_s = time.monotonic() - began_s
            if now_s >= shown_s + _SHOW_S:
                shown_s = now_s
                show(json.loads(load.progress()))
            if sampler and now_s >= looked_s + PERIOD_S:
                looked_s = now_s
                sampler.look()
            if chaos:
                _tick(chaos, now_s, may_kill=not over)
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted = True
            load.stop()
    while chaos and any(kill.back_s is None for kill in chaos.kills):
        if time.monotonic() - began_s > now_s + _BACK_S:
            break
        time.sleep(_TICK_MS / 1000)
        _tick(chaos, time.monotonic() - began_s, may_kill=False)
    return interrupted


def _tick(chaos: Chaos, now_s: float, *, may_kill: bool) -> None:
    with suppress(OmniMindError):  # the orchestrator did not answer in time: the next tick asks again
        chaos.tick(now_s, may_kill=may_kill)
