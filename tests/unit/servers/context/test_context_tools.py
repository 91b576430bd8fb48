"""The context tools as a client sees them."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from server_session import Session

from omnimind.compression import tokens
from omnimind.servers.context.server import caps_of
from tests.system.worker_process import connected, worker

CATS = "Cats like boxes, and boxes like cats. " * 3
DEPLOY = "Deploys run at night from the main branch. "
RANDOM_HANDLE = re.compile(r"[0-9a-f]{32}")


def test_what_is_stored_is_counted_exactly_and_opened_again(context: Session) -> None:
    kept = context.data("store_context", content=DEPLOY, key="deploys", title="How", tags=["ops", "ops"])
    assert (kept["tokens"], kept["tokenizer"], kept["exact"]) == (tokens.count(DEPLOY), "o200k_base", True)
    assert (kept["bytes"], kept["level"], kept["tags"]) == (len(DEPLOY), "working", ["ops"])
    for name in (kept["id"], "deploys"):
        assert context.data("open_context", id=name)["content"] == DEPLOY
    assert context.data("list_context", tags=["ops"])["total"] == 1
    assert context.data("list_context", tags=["cats"])["entries"] == []


def test_what_moves_on_is_said_and_found_again(context: Session) -> None:
    first = context.data("store_context", content=CATS * 5, importance=0.1)
    second = context.data("store_context", content=DEPLOY * 12)
    (moved,) = second["moved"]
    assert (moved["id"], moved["from"], moved["to"]) == (first["id"], "working", "archive")
    assert "200 tokens" in moved["why"]
    assert context.text("expand", handle=first["handle"]) == CATS * 5
    levels = context.data("context_stats")["levels"]
    assert levels["working"] == {
        "entries": 1, "tokens": second["tokens"], "cap_tokens": 200,
        "bytes": len(DEPLOY * 12), "stored_bytes": len(DEPLOY * 12),
    }  # fmt: skip
    assert levels["archive"]["stored_bytes"] < levels["archive"]["bytes"]


def test_a_retrieval_ranks_and_explains(context: Session) -> None:
    context.data("store_context", content=CATS)
    context.data("store_context", content=DEPLOY, level="archive", importance=0)
    context.data("store_context", content=DEPLOY + CATS, level="project", title="deploys at night")
    found = context.data("retrieve_context", query="deploys night", explain=True)["entries"]
    assert [one["level"] for one in found] == ["project", "archive"]
    for one in found:
        assert set(one["why"]) == {"words", "recency", "importance", "level"}
        assert sum(part["points"] for part in one["why"].values()) == pytest.approx(one["score"], abs=0.001)
    assert found[0]["why"]["words"]["value"] == 1.0
    assert "why" not in context.data("retrieve_context", query="deploys")["entries"][0]
    only = context.data("retrieve_context", query="cats", levels=["working"])["entries"]
    assert [one["content"] for one in only] == [CATS]


def test_what_a_model_reads_stays_within_the_budget(context: Session) -> None:
    stored = [
        context.data(
            "store_context", content=f"{DEPLOY * 6} number {number}", level="project", title=f"{number}"
        )
        for number in range(12)
    ]
    for budget in (200, 300, 555, 1000, 4000):
        for tool in ("retrieve_context", "get_context"):
            assert tokens.count(context.text(tool, query="deploys", max_tokens=budget)) <= budget
    found = context.data("retrieve_context", query="deploys", max_tokens=600)
    left = found["left_out"]
    assert len(found["entries"]) + left["entries"] == 12
    assert found["content_tokens"] + left["tokens"] == sum(one["tokens"] for one in stored)
    assert found["content_tokens"] > 300, "the budget is used"
    assert "expand" in left["how"]
    whole = {f"{DEPLOY * 6} number {number}" for number in range(12)}
    assert context.text("expand", handle=left["best"][0]["id"]) in whole
    assert context.data("retrieve_context", limit=3)["left_out"]["entries"] == 9


def test_a_composed_context_says_what_it_holds(context: Session) -> None:
    kept = context.data("store_context", content=DEPLOY, title="How we deploy")
    context.data("store_context", content=CATS * 30, level="project", title="deploy cats")
    result = context.call("get_context", query="deploy", max_tokens=300)
    text, report = result.content[0].text, result.structured_content
    assert text.startswith(f"## How we deploy (working)\n{DEPLOY}")
    assert "[left out: 1 entry, " in text
    assert (report["tokens"], report["compressed"]) == (tokens.count(text), False)
    assert report["included"] == [kept["id"]]
    assert report["critical_info_preserved"]
    assert report["content"] == text


def records(count: int) -> str:
    """A log with one failure in it."""
    lines = [
        f"2026-11-22T10:{n // 60:02}:{n % 60:02}Z INFO order {40_000 + n * 7} waits for its courier, weight {n * 13} g"
        for n in range(count)
    ]
    lines.insert(count // 3, "2026-11-22T10:59:59Z ERROR refund rf_88213 failed: gateway timeout after 30 s")
    return "\n".join(lines)


def test_a_context_above_its_target_is_told_in_it_and_comes_back_whole(context: Session) -> None:
    text = records(1_500)
    context.data("store_context", content=text, title="The night", level="project")
    result = context.call("get_context", query="why did the refund fail", target_tokens=4_000)
    told, report = result.content[0].text, result.structured_content
    assert tokens.count(told) == report["tokens"] <= 4_000 < report["tokens_before"]
    assert "refund rf_88213 failed: gateway timeout after 30 s" in told
    assert (report["compressed"], report["critical_info_preserved"]) == (True, True)
    assert context.text("expand", handle=report["handle"]) == f"## The night (project)\n{text}"


def test_all_of_it_is_compressed_or_the_call_fails_and_says_what_does_not_fit(context: Session) -> None:
    context.data("store_context", content=records(900), title="The night", level="project")
    report = context.data("compress_context", target_tokens=3_000, query="why did the refund fail")
    assert (report["compressed"], report["critical_info_preserved"]) == (True, True)
    assert report["tokens"] <= 3_000
    fits = context.data("compress_context", target_tokens=report["tokens_before"])
    assert (fits["compressed"], fits["tokens"]) == (False, report["tokens_before"])
    problem = context.problem("compress_context", target_tokens=30)
    assert "30 tokens are too few" in problem
    assert "Raise target_tokens" in problem


def test_going_back_is_shown_before_it_is_done_and_can_be_undone(context: Session) -> None:
    kept = context.data("store_context", content=DEPLOY, key="deploys")
    context.data("snapshot_context", name="monday", note="before the change")
    context.data("update_context", id="deploys", content="Deploys never run", importance=1.0)
    context.data("store_context", content=CATS, key="cats")
    since = context.data("diff_snapshots", before="monday")
    assert since["counts"] == {"added": 1, "removed": 0, "changed": 1}
    assert since["changed"][0]["before"]["importance"] == 0.5
    assert context.text("expand", handle=since["changed"][0]["before"]["handle"]) == DEPLOY
    planned = context.data("restore_context", name="monday", dry_run=True)
    assert context.data("list_context")["total"] == 2
    done = context.data("restore_context", name="monday")
    assert {**planned, "dry_run": False} == {key: value for key, value in done.items() if key != "saved_as"}
    assert done["counts"] == {"added": 0, "removed": 1, "changed": 1}
    assert context.data("open_context", id="deploys") == {**context.data("open_context", id=kept["id"])}
    assert context.data("open_context", id="deploys")["content"] == DEPLOY
    context.data("restore_context", name=done["saved_as"], save_current=False)
    assert context.data("open_context", id="deploys")["content"] == "Deploys never run"
    assert context.data("open_context", id="cats")["content"] == CATS
    names = [one["name"] for one in context.data("list_snapshots")["snapshots"]]
    assert names == [done["saved_as"], "monday"]
    assert "exists" in context.problem("snapshot_context", name="monday")
    context.data("delete_snapshot", name="monday")
    assert "list_snapshots" in context.problem("restore_context", name="monday")


def test_a_deletion_says_what_snapshots_still_hold(context: Session) -> None:
    kept = context.data("store_context", content=DEPLOY)
    context.data("snapshot_context", name="s")
    other = context.data("store_context", content=CATS)
    assert context.data("delete_context", ids=[kept["id"], other["id"]]) == {"deleted": 2, "in_snapshots": 1}
    assert context.text("expand", handle=kept["handle"]) == DEPLOY
    assert "no entry" in context.problem("expand", handle=other["handle"])
    assert "no entry" in context.problem("delete_context", ids=[kept["id"]])


def test_a_move_of_several_is_all_or_nothing(context: Session) -> None:
    one = context.data("store_context", content=DEPLOY)
    assert "no entry" in context.problem("move_context", ids=[one["id"], "none"], level="archive")
    assert context.data("open_context", id=one["id"])["level"] == "working"
    moved = context.data("move_context", ids=[one["id"]], level="archive")
    assert [entry["level"] for entry in moved["entries"]] == ["archive"]


def test_a_session_is_begun_listed_and_ended(context: Session) -> None:
    handle = context.data("start_session", title="red build", ttl_s=3600)["session_id"]
    assert RANDOM_HANDLE.fullmatch(handle)
    kept = context.data("store_context", content=DEPLOY, level="session", session_id=handle)
    own = context.data("store_context", content=CATS, level="session")
    assert own["session_id"] not in (handle, None)
    assert {one["session_id"] for one in context.data("list_sessions")["sessions"]} == {
        handle,
        own["session_id"],
    }
    page = context.data("list_sessions", limit=1)
    assert context.data("list_sessions", limit=1, offset=page["next_offset"])["sessions"] != page["sessions"]
    assert (
        context.data("retrieve_context", query="deploys", session_id=handle)["entries"][0]["id"] == kept["id"]
    )
    assert context.data("retrieve_context", query="deploys")["entries"] == []
    assert context.data("end_session", session_id=handle) == {"archived": 1}
    assert "has ended" in context.problem("retrieve_context", session_id=handle)
    assert context.data("retrieve_context", query="deploys")["entries"][0]["level"] == "archive"
    assert "belongs to no session" in context.problem(
        "store_context", content="x", level="project", session_id=own["session_id"]
    )


def test_long_lists_go_on_where_they_ended(context: Session) -> None:
    for number in range(5):
        context.data("store_context", content=f"number {number}", level="project")
    seen, offset = [], 0
    while offset is not None:
        page = context.data("list_context", limit=2, offset=offset)
        seen += [one["id"] for one in page["entries"]]
        offset = page.get("next_offset")
    assert len(set(seen)) == len(seen) == page["total"] == 5


def test_entries_are_resources_and_their_readers_are_told(context: Session) -> None:
    kept = context.data("store_context", content=DEPLOY)
    uri = f"context://entry/{kept['id']}"

    async def run(client: Any) -> tuple[str, Any, list[str]]:
        async with client.listen(resource_subscriptions=[uri]) as updates:
            whole = (await client.read_resource(uri)).contents[0].text
            index = (await client.read_resource("context://index")).contents[0].text
            await client.call_tool("store_context", {"content": "another"})
            await client.call_tool("update_context", {"id": kept["id"], "content": CATS})
            with anyio.fail_after(10):
                async for update in updates:
                    return whole, json.loads(index), [str(update.uri)]
        raise AssertionError("not told")

    whole, index, told = context.ask(run)
    assert whole == DEPLOY
    assert [one["id"] for one in index["entries"]] == [kept["id"]]
    assert told == [uri]


@pytest.mark.parametrize("first", ["list_context", "store_context"])
def test_what_is_over_is_put_in_order_before_anybody_looks(
    context: Session, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    context.data("store_context", content="a word of today", level="project", ttl_s=60)
    rests = context.data("store_context", content=DEPLOY, level="session")
    later_ns = time.time_ns() + 8 * 86_400 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: later_ns)
    context.data(first, **({"content": CATS} if first == "store_context" else {}))
    assert context.data("context_stats")["sessions"] == 0
    left = context.data("list_context", level="archive")["entries"]
    assert [one["id"] for one in left] == [rests["id"]]
    assert context.data("list_context", level="project")["total"] == 0


def test_large_texts_are_sent_once(context: Session) -> None:
    text = "word " * 20_000
    kept = context.data("store_context", content=text, level="archive")
    calls: list[tuple[str, dict[str, Any]]] = [
        ("expand", {"handle": kept["handle"]}),
        ("open_context", {"id": kept["id"]}),
        ("get_context", {}),
        ("retrieve_context", {"max_tokens": 50_000}),
    ]
    for tool, arguments in calls:
        result = context.call(tool, **arguments)
        assert text in result.content[0].text
        assert "word word" not in json.dumps(result.structured_content or {})
        assert "more than 65,536 bytes" in result.meta["omnimind/structuredContent"]


def test_arguments_set_the_caps_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    assert caps_of([]) == caps_of(["--working-tokens", "32000"])
    assert caps_of(["--session-tokens=500", "--working-tokens", "100"]).session == 500
    for wrong in (["--cap", "1"], ["--working-tokens"], ["--working-tokens", "9"], ["--working-tokens=x"]):
        with pytest.raises(ValueError, match="takes"):
            Session("context", tmp_path, wrong)


def test_what_was_written_is_there_for_the_next_process(tmp_path: Path) -> None:
    kept = Session("context", tmp_path, []).data("store_context", content=DEPLOY)
    assert Session("context", tmp_path, []).text("expand", handle=kept["handle"]) == DEPLOY


def test_two_principals_never_meet_not_even_through_a_handle(tmp_path: Path) -> None:
    async def run() -> None:
        async with connected(running, "ann") as ann, connected(running, "bob") as bob:
            session = (await ann.call("start_session"))["structuredContent"]["session_id"]
            for peer, word in ((ann, "apples"), (bob, "bananas")):
                await peer.call(
                    "store_context", {"content": f"{word} are secret", "level": "project", "key": "k"}
                )
                await peer.call("snapshot_context", {"name": word})
            kept = (await ann.call("open_context", {"id": "k"}))["structuredContent"]
            packed = {"content": "again and again " * 99, "level": "archive", "key": "packed"}
            await ann.call("store_context", packed)
            rested = (await ann.call("list_context", {"level": "archive"}))["structuredContent"]["entries"][0]
            whole = await ann.call("expand", {"handle": rested["id"]})
            assert whole["content"][0]["text"] == packed["content"], "a fenced worker packs and unpacks"
            await ann.call("delete_context", {"ids": [rested["id"]]})
            for tool, arguments in (
                ("open_context", {"id": kept["id"]}),
                ("expand", {"handle": kept["handle"]}),
                ("expand", {"handle": kept["id"]}),
                ("move_context", {"ids": [kept["id"]], "level": "archive"}),
                ("delete_context", {"ids": [kept["id"]]}),
                ("restore_context", {"name": "apples"}),
                ("diff_snapshots", {"before": "bananas", "after": "apples"}),
                ("end_session", {"session_id": session}),
                ("retrieve_context", {"session_id": session}),
            ):
                refused = await bob.call(tool, arguments)
                assert refused["isError"], tool
                assert "apples are" not in json.dumps(refused)
            for tool in ("retrieve_context", "get_context", "list_context", "list_sessions", "context_stats"):
                assert "apples" not in json.dumps(await bob.call(tool))
            uri = {"uri": f"context://entry/{kept['id']}"}
            assert "error" in await bob.send("resources/read", uri)
            assert (await ann.call("open_context", {"id": "k"}))["structuredContent"] == kept

    with worker("context", tmp_path) as running:
        asyncio.run(run())
    files = list((tmp_path / "db" / "context").glob("*.db"))
    assert len(files) == 2
    for file in files:
        with sqlite3.connect(file) as data:
            (owner,) = data.execute("SELECT principal FROM owner").fetchone()
            held = [bytes(one).decode() for (one,) in data.execute("SELECT data FROM texts")]
        assert held == [{"ann": "apples are secret", "bob": "bananas are secret"}[owner]]
