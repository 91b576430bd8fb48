"""The tools that sum up: which logs there are, counts by time and level, templates and what of them is new."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from mcp.types import CallToolResult
from pydantic import BaseModel, Field

from omnimind.servers import depends
from omnimind.servers.depends import FILES
from omnimind.servers.logging import asking, shown, stats, walk
from omnimind.servers.logging.record import Source
from omnimind.servers.logging.search_tools import (
    AnyContext,
    LeastLevel,
    Names,
    Since,
    Until,
    WithUnknown,
    budget,
    reader,
    utc_now,
)
from omnimind.servers.logging.sources import Sources
from omnimind.servers.logging.templates import MOST, Template, Templates
from omnimind.servers.logging.wanted import Budget, Wanted, made, moment, stamp_of
from omnimind.servers.tools import READS, Toolbox, data_result, in_thread

TEMPLATES = 200


class LogItem(BaseModel):
    """A log on the wire."""

    name: str
    kind: Literal["server", "events", "records", "journal"]
    first: str | None = None
    last: str | None = None
    bytes: int
    files: int
    records: int | None = None


class LogList(BaseModel):
    """The result of log_sources."""

    sources: list[LogItem]
    journald: str = Field(description="available, or why it is not")


class SourceCounts(BaseModel):
    """Counts of one log by level."""

    source: str
    total: int
    levels: dict[str, int]


class TimeCounts(BaseModel):
    """Counts of one stretch of time by level."""

    begin: str
    total: int
    levels: dict[str, int]


class Counts(BaseModel):
    """The result of log_stats."""

    total: int
    bucketSeconds: int
    bySource: list[SourceCounts]
    byTime: list[TimeCounts] = Field(description="Stretches without a record are left out")
    complete: bool
    note: str


class TemplateItem(BaseModel):
    """A template on the wire."""

    id: str
    template: str
    count: int
    levels: dict[str, int]
    sources: dict[str, int]
    first: str
    last: str
    sample: str
    sampleId: str


class TemplateList(BaseModel):
    """The result of log_templates."""

    templates: list[TemplateItem]
    found: int = Field(description="So many there are, or are new")
    lines: int = Field(description="So many lines were looked at")
    complete: bool
    note: str


def add_sum_tools(box: Toolbox, logs: Sources) -> None:
    """Register them all."""
    _add_list(box, logs)
    _add_stats(box, logs)
    _add_templates(box, logs)


def _add_list(box: Toolbox, logs: Sources) -> None:
    @box.tool("Log Sources", READS, FILES)
    async def log_sources() -> Annotated[CallToolResult, LogList]:
        """Which logs you may read: servers, @events, @records, @journal; with their times and sizes."""
        who = reader()
        described = await in_thread(logs.described, who)
        items = [
            {
                name: value
                for name in ("name", "kind", "first", "last", "bytes", "files", "records")
                if (value := getattr(one, name)) is not None
            }
            for one in described
        ]
        why = logs.no_journal() if who.operator else "for operators"
        return data_result(
            {"sources": items, "journald": f"not available here: {why}" if why else "available"}
        )


def _add_stats(box: Toolbox, logs: Sources) -> None:
    @box.tool("Log Statistics", READS, FILES)
    async def log_stats(
        ctx: AnyContext,
        sources: Names = None,
        since: Since = None,
        until: Until = None,
        level: LeastLevel = None,
        with_unknown: WithUnknown = False,
        query: Annotated[
            str | None, Field(description="Only lines with these words, as in search_logs")
        ] = None,
        bucket: Annotated[
            str | None, Field(description="Length of a stretch of time: 30s, 10m, 1h, 1d; default: as fits")
        ] = None,
    ) -> Annotated[CallToolResult, Counts]:
        """Count records by log, by level and over time."""
        who, now = reader(), utc_now()
        wanted = made(now, since=since, until=until, level=level, unknown=with_unknown, query=query)
        size_s = stats.seconds_of(bucket) if bucket else None
        if size_s is None:  # as fits until now
            depends.unsure()
        ends = wanted.until or stamp_of(now)
        time_left = budget(ctx, asking.SUM_S)

        def work(opened: Sequence[Source]) -> tuple[stats.Stats, int]:
            length = size_s or stats.bucket_of(wanted.since or _earliest(opened, ends), ends)
            return stats.count(opened, wanted, time_left, length), length

        names = logs.chosen(who, sources)
        counted, length = await in_thread(asking.over, logs, who, names, wanted, time_left, work, grow=True)
        return data_result(_counts(counted, length))


def _earliest(opened: Sequence[Source], default: str) -> str:
    """When the oldest of these logs begins, as far as that is seen at once."""
    return min((first for source in opened if (first := source.begins())), default=default)


def _counts(counted: stats.Stats, bucket_s: int) -> dict[str, object]:
    note = "all was counted"
    if counted.cut:
        note = (
            f"{asking.SUM_S:.0f} s were over: counted back to {counted.back_to} only; ask for a shorter time"
        )
    return {
        "total": counted.total,
        "bucketSeconds": bucket_s,
        "bySource": [
            {"source": name, "total": levels.total(), "levels": dict(levels)}
            for name, levels in sorted(counted.by_source.items(), key=lambda item: -item[1].total())
        ],
        "byTime": [
            {"begin": begin, "total": levels.total(), "levels": dict(levels)}
            for begin, levels in counted.by_time.items()
        ],
        "complete": not counted.cut,
        "note": note,
    }


def _add_templates(box: Toolbox, logs: Sources) -> None:
    @box.tool("Log Templates", READS, FILES)
    async def log_templates(
        ctx: AnyContext,
        new_since: Annotated[
            str | None,
            Field(
                description="Only what was never said before this time: 10m, 4h ago, 10:00, or an ISO time"
            ),
        ] = None,
        sources: Names = None,
        since: Since = None,
        until: Until = None,
        level: LeastLevel = None,
        with_unknown: WithUnknown = False,
        sort: Annotated[
            Literal["frequent", "rare", "first"], Field(description="What comes first")
        ] = "frequent",
        limit: Annotated[int, Field(ge=1, le=TEMPLATES)] = 30,
        offset: Annotated[int, Field(ge=0)] = 0,
    ) -> Annotated[CallToolResult, TemplateList]:
        """What the logs say, each kind of line once with its count: numbers and names that vary are `<*>`. With
        new_since: what is new."""
        who, now = reader(), utc_now()
        after = moment(new_since, now, "new_since") if new_since else ""
        wanted = made(now, since=since, until=until, level=level, unknown=with_unknown)
        time_left = budget(ctx, asking.SUM_S)

        def work(opened: Sequence[Source]) -> tuple[list[dict[str, object]], dict[str, object]]:
            return _summed(opened, wanted, time_left, after, sort, limit, offset)

        names = logs.chosen(who, sources)
        items, told = await in_thread(asking.over, logs, who, names, wanted, time_left, work, grow=False)
        text = "\n".join([*(f"{one['count']}x {one['template']}" for one in items), str(told["note"])])
        return data_result({"templates": items, **told}, text)


def _summed(
    opened: Sequence[Source],
    wanted: Wanted,
    time_left: Budget,
    after: str,
    sort: str,
    limit: int,
    offset: int,
) -> tuple[list[dict[str, object]], dict[str, object]]:
    found, back_to, lines = Templates(), "", 0
    for _, chunk in walk.chunks(opened, wanted, time_left):
        back_to = chunk.newest
        for record in chunk.records(wanted, time_left):
            found.add(record)
            lines += 1
    chosen = [one for one in found.found if one.first >= after]
    orders = {
        "frequent": lambda one: -one.count,
        "rare": lambda one: one.count,
        "first": lambda one: one.first,
    }
    chosen.sort(key=orders[sort])
    note = f"{lines:,} lines, {len(found.found):,} templates"
    if after:
        note += f", {len(chosen):,} of them new since {after}"
    if time_left.cut:
        note += f"; {asking.SUM_S:.0f} s were over: looked back to {back_to} only, ask for less"
    if found.others:
        note += f"; {found.others:,} lines are of none of the first {MOST:,} templates"
    if offset + limit < len(chosen):
        note += f"; there are more: offset={offset + limit}"
    keys = {source.name: source for source in opened}
    items = [_item(one, keys) for one in chosen[offset : offset + limit]]
    return items, {"found": len(chosen), "lines": lines, "complete": not time_left.cut, "note": note}


def _item(one: Template, sources: dict[str, Source]) -> dict[str, object]:
    assert one.sample is not None
    return {
        "id": one.id,
        "template": one.text[: shown.TEXT_CHARS],
        "count": one.count,
        "levels": dict(one.levels),
        "sources": dict(one.sources.most_common(20)),
        "first": one.first,
        "last": one.last,
        "sample": one.sample.text[: shown.TEXT_CHARS],
        "sampleId": shown.record_id(sources[one.sample.source], one.sample),
    }
