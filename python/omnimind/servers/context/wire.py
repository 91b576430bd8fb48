"""Results as JSON: what the tools answer, and the texts whose tokens are counted against a budget."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from omnimind.compression import tokens
from omnimind.servers.context.aging import Move
from omnimind.servers.context.entries import Entry
from omnimind.servers.context.ranking import Ranked
from omnimind.servers.context.retrieval import Fitted
from omnimind.servers.context.sessions import Session
from omnimind.servers.context.snapshots import Difference, Restored, Snapshot

Json = dict[str, Any]

COUNTED: Final[Json] = {"tokenizer": tokens.TOKENIZER, "exact": True}
_HOW: Final = "ask again with a larger max_tokens, or read one with expand"


def printed(data: Any) -> str:
    """JSON as results are printed."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def entry(one: Entry) -> Json:
    """An entry without its text; what it does not have is left out."""
    found: Json = {
        "id": one.id,
        "level": one.level,
        "session_id": one.session,
        "key": one.key,
        "title": one.title,
        "tags": list(one.tags) or None,
        "importance": one.importance,
        "tokens": one.tokens,
        "bytes": one.bytes,
        "handle": one.handle,
        "created_ms": one.created_ms,
        "updated_ms": one.updated_ms,
        "expires_ms": one.expires_ms,
    }
    return {name: value for name, value in found.items() if value is not None}


def moves(done: Iterable[Move]) -> list[Json]:
    """What went elsewhere."""
    return [
        {
            "id": one.entry.id,
            "from": one.entry.level,
            "to": one.to,
            "tokens": one.entry.tokens,
            "why": one.why,
        }
        for one in done
    ]


def stored(one: Entry, done: Iterable[Move]) -> Json:
    """The result of storing or changing an entry."""
    found = {**entry(one), **COUNTED}
    moved = moves(done)
    return {**found, "moved": moved} if moved else found


def retrieved(fitted: Fitted, budget_tokens: int, explain: bool) -> Json:
    """The result of a retrieval."""
    return {
        "entries": [_found(one, content, explain) for one, content in fitted.taken],
        "left_out": _left_out(fitted),
        "max_tokens": budget_tokens,
        "content_tokens": sum(one.entry.tokens for one, _ in fitted.taken),
        **COUNTED,
    }


def composed(fitted: Fitted) -> str:
    """The same as one text, ready to be read."""
    blocks = [f"## {_heading(one.entry)}\n{content}" for one, content in fitted.taken]
    if fitted.left:
        count = len(fitted.left)
        blocks.append(
            f"[left out: {count:,} {'entry' if count == 1 else 'entries'}, {fitted.left_tokens:,} tokens; {_HOW}]"
        )
    return "\n\n".join(blocks)


def session(one: Session) -> Json:
    """A session."""
    return {
        "session_id": one.id,
        "title": one.title,
        "entries": one.entries,
        "tokens": one.tokens,
        "created_ms": one.created_ms,
        "ends_ms": one.used_ms + one.ttl_s * 1000,
    }


def snapshot(one: Snapshot) -> Json:
    """A snapshot."""
    return {
        "name": one.name,
        "note": one.note,
        "levels": list(one.levels),
        "entries": one.entries,
        "tokens": one.tokens,
        "created_ms": one.created_ms,
    }


def difference(found: Difference, limit: int) -> Json:
    """A difference, each list of it cut at `limit`."""
    return {
        "added": [entry(one) for one in found.added[:limit]],
        "removed": [entry(one) for one in found.removed[:limit]],
        "changed": [_change(old, new, fields) for old, new, fields in found.changed[:limit]],
        "counts": counts(found),
    }


def _change(old: Entry, new: Entry, fields: Iterable[str]) -> Json:
    shown = [*fields, "tokens"] if "handle" in fields else list(fields)
    return {
        "id": old.id,
        "before": {field: getattr(old, field) for field in shown},
        "after": {field: getattr(new, field) for field in shown},
    }


def counts(found: Difference) -> dict[str, int]:
    """How much differs."""
    return {"added": len(found.added), "removed": len(found.removed), "changed": len(found.changed)}


def restored(done: Restored, limit: int, dry_run: bool) -> Json:
    """The result of a restoration."""
    found: Json = {"dry_run": dry_run, **difference(done.difference, limit), "moved": moves(done.moves)}
    if done.saved_as is not None:
        found["saved_as"] = done.saved_as
    if done.expired:
        found["not_restored"] = f"{done.expired:,} whose time is over"
    if done.revived:
        found["revived_sessions"] = done.revived
    return found


def without_texts(data: Json) -> Json:
    """A result whose texts stand elsewhere already."""
    bare = {name: value for name, value in data.items() if name != "content"}
    if "entries" in bare:
        bare["entries"] = [without_texts(one) for one in bare["entries"]]
    return bare


def _found(one: Ranked, content: str, explain: bool) -> Json:
    found = {
        name: value
        for name, value in entry(one.entry).items()
        if name in ("id", "level", "key", "title", "tags", "tokens")
    }
    found["score"] = round(one.score, 4)
    if explain:
        found["why"] = {
            name: {"value": round(value, 4), "weight": round(weight, 4), "points": round(value * weight, 4)}
            for name, (value, weight) in one.parts.items()
        }
    return {**found, "content": content}


def _left_out(fitted: Fitted) -> Json:
    found: Json = {"entries": len(fitted.left), "tokens": fitted.left_tokens}
    if fitted.left:
        found["how"] = _HOW
    if fitted.left and fitted.named:
        found["best"] = [
            {"id": one.entry.id, "tokens": one.entry.tokens, "score": round(one.score, 4)}
            for one in fitted.left[: fitted.named]
        ]
    return found


def _heading(one: Entry) -> str:
    return f"{one.title or one.key or one.id} ({one.level})"
