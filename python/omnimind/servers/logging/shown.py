"""Records as results show them: as data, and as lines of text for clients that read text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omnimind.servers.logging.record import Record, Source
from omnimind.servers.problem import Problem

TEXT_CHARS = 500


def record_id(source: Source, record: Record) -> str:
    """The name of a record, for get_log_record."""
    return f"{source.key}:{record.start}"


def key_of(identity: str) -> tuple[str, str]:
    """The key and the place in the name of a record. Raises Problem."""
    key, colon, place = identity.partition(":")
    if not colon or not place:
        raise Problem(
            "this is no id of a record; take the `id` of a record that search_logs or tail_logs gave"
        )
    return key, place


def as_data(record: Record, identity: str, *, whole: bool = False) -> dict[str, Any]:
    """A record as data. A long text is cut, and the length of all of it given."""
    data: dict[str, Any] = {"time": record.time, "source": record.source, "level": record.level}
    text = record.text
    if not whole and len(text) > TEXT_CHARS:
        data["characters"] = len(text)
        text = text[:TEXT_CHARS] + "…"
    data["text"] = text
    data.update(
        (name, value)
        for name, value in (("pid", record.pid), ("origin", record.origin), ("fields", record.fields))
        if value is not None
    )
    return {**data, "id": identity}


def as_text(records: Sequence[dict[str, Any]], note: str) -> str:
    """The same as lines, with what is to be known of them at the end."""
    return "\n".join([*map(_line, records), note])


def _line(data: dict[str, Any]) -> str:
    time = str(data["time"])[:23] or "no time"
    who = f"{data['source']}/{data['origin']}" if "origin" in data else data["source"]
    level = "-" if data["level"] == "unknown" else str(data["level"]).upper()
    more = (
        f" [{data['characters']:,} characters; all of them: get_log_record {data['id']}]"
        if "characters" in data
        else ""
    )
    fields = (
        f" {_fields(data['fields'])}"
        if "fields" in data and str(data["source"]).startswith("@records")
        else ""
    )
    return f"{time} {who} {level} {data['text']}{fields}{more}"


def _fields(fields: dict[str, Any]) -> str:
    import json

    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
