"""The sqlite tools as a client of the reference server uses them, and what ours do beyond."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from server_session import Session

from omnimind.servers.sqlite import limits

PEOPLE = "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, age REAL)"


@pytest.fixture
def filled(sqlite: Session) -> Session:
    sqlite.text("create_table", query=PEOPLE)
    sqlite.text(
        "write_query",
        query="INSERT INTO people (name, age) VALUES ('Ada', 36), ('Grace', 85.5), ('Max', NULL)",
    )
    return sqlite


def rows(session: Session, query: str, **arguments: Any) -> Any:
    return session.data("read_query", query=query, **arguments)["rows"]


def test_texts_are_those_of_the_reference_server(filled: Session) -> None:
    assert filled.text("read_query", query="SELECT name, age FROM people WHERE age > 40") == (
        "[{'name': 'Grace', 'age': 85.5}]"
    )
    assert filled.text("write_query", query="UPDATE people SET age = 1") == "[{'affected_rows': 3}]"
    assert filled.text("list_tables") == "[{'name': 'people'}]"
    assert filled.text("create_table", query="CREATE TABLE b (x)") == "Table created successfully"
    assert filled.text("append_insight", insight="x") == "Insight added to memo"


def test_an_untouched_default_database_reads_as_empty_and_leaves_no_file(
    sqlite: Session, tmp_path: Path
) -> None:
    assert sqlite.text("list_tables") == "[]"
    assert rows(sqlite, "SELECT 1 + 1") == [[2]]
    assert sqlite.data("schema")["definitions"] == []
    assert sqlite.data("statistics")["tables"] == []
    assert not list(tmp_path.rglob("main.db*"))
    sqlite.text("create_table", query="CREATE TABLE t (a)")
    assert [file.name for file in tmp_path.rglob("main.db*")] == ["main.db"]


def test_pages_follow_one_another_and_say_when_there_are_more(filled: Session) -> None:
    query = "SELECT name FROM people ORDER BY id"
    first = filled.call("read_query", query=query, limit=2)
    assert first.structured_content == {
        "columns": ["name"],
        "rows": [["Ada"], ["Grace"]],
        "more": True,
        "next_offset": 2,
    }
    note = first.content[1].text  # type: ignore[union-attr]
    assert note == "2 rows from offset 0; there are more: offset 2 goes on"
    last = filled.call("read_query", query=query, limit=2, offset=2)
    assert last.structured_content == {"columns": ["name"], "rows": [["Max"]], "more": False}
    assert len(last.content) == 1
    exact = filled.data("read_query", query=query, limit=3)
    assert exact["more"] is False
    unordered = filled.call("read_query", query="SELECT name FROM people", limit=1)
    assert "order is not promised" in unordered.content[1].text  # type: ignore[union-attr]


def test_an_answer_is_bounded_in_bytes_and_goes_on(sqlite: Session) -> None:
    series = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c LIMIT 5) "
    query = f"{series} SELECT x, hex(zeroblob(200000)) AS wide FROM c ORDER BY x"
    seen: list[int] = []
    offset, pages = 0, 0
    while True:
        page = sqlite.data("read_query", query=query, offset=offset)
        seen += [row[0] for row in page["rows"]]
        pages += 1
        if not page["more"]:
            break
        offset = page["next_offset"]
    assert seen == [1, 2, 3, 4, 5]
    assert pages == 3
    assert f"{limits.ANSWER_BYTES:,}" in sqlite.problem("read_query", query="SELECT hex(zeroblob(600000))")


def test_values_are_bound_and_never_part_of_the_statement(filled: Session) -> None:
    evil = "Ada'; DROP TABLE people; --"
    assert rows(filled, "SELECT ?", parameters=[evil]) == [[evil]]
    filled.text("write_query", query="INSERT INTO people (name) VALUES (:name)", parameters={"name": evil})
    assert rows(filled, "SELECT count(*) FROM people WHERE name = :n", parameters={":n": evil}) == [[1]]
    assert "binding" in filled.problem("read_query", query="SELECT :a", parameters={"b": 1})
    assert "binding" in filled.problem("read_query", query="SELECT ?, ?", parameters=[1])
    assert "parameter 1" in filled.problem("read_query", query="SELECT ?", parameters=[[1]])
    assert "64 bits" in filled.problem("read_query", query="SELECT ?", parameters=[2**63])


def test_what_json_cannot_hold_is_marked_and_taken_back(sqlite: Session) -> None:
    marked = [{"$blob": "AP8="}, {"$integer": "9007199254740993"}, {"$real": "inf"}, {"$real": "-inf"}]
    assert rows(sqlite, "SELECT ?, ?, ?, ?", parameters=marked) == [marked]
    assert rows(sqlite, "SELECT typeof(?), typeof(?)", parameters=marked[:2]) == [["blob", "integer"]]
    assert rows(sqlite, "SELECT CAST(x'ff41' AS TEXT)") == [[{"$text": "/0E="}]]
    assert rows(sqlite, "SELECT 9007199254740992, -9007199254740993, 1e400 - 1e400") == [
        [9007199254740992, {"$integer": "-9007199254740993"}, None]
    ]
    assert rows(sqlite, "SELECT ?, ?", parameters=[True, None]) == [[1, None]]
    assert "cannot be read as $blob" in sqlite.problem(
        "read_query", query="SELECT ?", parameters=[{"$blob": "?"}]
    )
    assert "no value of SQLite" in sqlite.problem("read_query", query="SELECT ?", parameters=[{"a": 1}])


def test_columns_of_one_name_are_all_shown(sqlite: Session) -> None:
    result = sqlite.call("read_query", query="SELECT 1 AS a, 2 AS a, 3 AS a_2")
    assert result.content[0].text == "[{'a': 1, 'a_2': 2, 'a_2_2': 3}]"  # type: ignore[union-attr]
    assert result.structured_content["columns"] == ["a", "a", "a_2"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("statement", "affected"),
    [
        ("/* why */ INSERT INTO people (name) VALUES ('x')", 1),
        ("-- why\nWITH n(x) AS (VALUES ('x'), ('y')) INSERT INTO people (name) SELECT x FROM n", 2),
        ("REPLACE INTO people (id, name) VALUES (1, 'Eve')", 1),
        ("INSERT INTO people (id, name) VALUES (1, 'x') ON CONFLICT DO UPDATE SET name = 'Eve'", 1),
        ("DELETE FROM people", 3),
        ("UPDATE people SET age = 1 WHERE 0", 0),
        ("INSERT OR IGNORE INTO people (id, name) VALUES (1, 'x')", 0),
        ("CREATE INDEX i ON people (age)", -1),
        ("CREATE VIEW v AS SELECT 1", -1),
        ("CREATE TRIGGER g AFTER DELETE ON people BEGIN UPDATE people SET age = 0; END", -1),
        ("CREATE VIRTUAL TABLE f USING fts5(body)", -1),
        ("CREATE VIRTUAL TABLE r USING rtree(id, low, high)", -1),
        ("ALTER TABLE people RENAME COLUMN age TO years", -1),
        ("ALTER TABLE people DROP COLUMN age", -1),
        ("DROP TABLE people", -1),
        ("PRAGMA user_version = 7", -1),
        ("ANALYZE", -1),
        ("PRAGMA optimize", -1),
        ("REINDEX", -1),
        ("INSERT INTO people (name) VALUES (printf('%05.1f', 2))", 1),
    ],
)
def test_a_write_is_kept_and_says_how_many_rows(filled: Session, statement: str, affected: int) -> None:
    assert filled.data("write_query", query=statement)["affected_rows"] == affected


def test_many_rows_can_be_written_by_one_statement(filled: Session) -> None:
    many = ", ".join("('x')" for _ in range(3000))
    assert (
        filled.data("write_query", query=f"INSERT INTO people (name) VALUES {many}")["affected_rows"] == 3000
    )


def test_returning_gives_the_rows_beside_the_count(filled: Session) -> None:
    result = filled.call("write_query", query="DELETE FROM people WHERE age > 1 RETURNING name")
    assert [block.text for block in result.content] == [  # type: ignore[union-attr]
        "[{'affected_rows': 2}]",
        "[{'name': 'Ada'}, {'name': 'Grace'}]",
    ]
    assert rows(filled, "SELECT name FROM people") == [["Max"]]


def test_a_write_that_fails_half_way_leaves_nothing(filled: Session) -> None:
    filled.text("write_query", query="CREATE UNIQUE INDEX one ON people (age)")
    before = rows(filled, "SELECT * FROM people")
    problem = filled.problem("write_query", query="UPDATE people SET age = 7")
    assert problem.startswith("Database error: UNIQUE constraint failed")
    assert (
        "rolled its own"
        in filled.problem(
            "write_query", query="INSERT OR ROLLBACK INTO people (id, name) VALUES (9, 'x'), (1, 'y')"
        )
        or rows(filled, "SELECT * FROM people") == before
    )
    assert rows(filled, "SELECT * FROM people") == before


def test_full_text_and_r_tree_tables_are_read_and_written(sqlite: Session) -> None:
    sqlite.text("write_query", query="CREATE VIRTUAL TABLE notes USING fts5(body)")
    sqlite.text("write_query", query="INSERT INTO notes VALUES ('the quick fox'), ('a slow dog')")
    sqlite.text("write_query", query="CREATE VIRTUAL TABLE boxes USING rtree(id, low, high)")
    sqlite.text("write_query", query="INSERT INTO boxes VALUES (1, 2, 3)")
    assert rows(sqlite, "SELECT highlight(notes, 0, '<', '>') FROM notes WHERE notes MATCH 'quick'") == [
        ["the <quick> fox"]
    ]
    assert rows(sqlite, "SELECT id FROM boxes WHERE low > 1") == [[1]]
    for inner in ("notes_data", "NOTES_content", "boxes_node"):
        assert "virtual table" in sqlite.problem("write_query", query=f"DELETE FROM {inner}")
        assert "virtual table" in sqlite.problem("import_rows", table=inner, text="id\n1\n", mode="append")
    assert "virtual table" in sqlite.problem("write_query", query="DROP TABLE notes_data")
    trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM notes_data; END"
    sqlite.text("create_table", query="CREATE TABLE a (b)")
    sqlite.call("write_query", query=trigger)
    assert "virtual table" in sqlite.problem("write_query", query="INSERT INTO a VALUES (1)")
    sqlite.text("write_query", query="DROP TABLE notes")
    assert "fts4" in sqlite.problem("write_query", query="CREATE VIRTUAL TABLE x USING fts4(a)")


def test_a_schema_is_described_from_every_side(filled: Session) -> None:
    filled.text("write_query", query="CREATE INDEX old ON people (age, lower(name)) WHERE age > 60")
    filled.text("create_table", query='CREATE TABLE "odd ""name" (a UNIQUE, b REFERENCES people)')
    described = filled.data("describe_table", table_name="people")["columns"]
    assert [(one["name"], one["type"], one["notnull"], one["pk"]) for one in described] == [
        ("id", "INTEGER", 0, 1),
        ("name", "TEXT", 1, 0),
        ("age", "REAL", 0, 0),
    ]
    assert filled.data("describe_table", table_name='odd "name')["columns"][0]["name"] == "a"
    definitions = filled.data("schema")["definitions"]
    assert [one["kind"] for one in definitions] == ["table", "table", "index"]
    assert filled.text("schema", table="PEOPLE").startswith(PEOPLE + ";\nCREATE INDEX old")
    (index,) = filled.data("indices", table="people")["indices"]
    assert (index["columns"], index["partial"], index["origin"]) == (["age", None], True, "CREATE INDEX")
    (made,) = filled.data("indices", table='odd "name')["indices"]
    assert (made["unique"], made["origin"], made["sql"]) == (True, "UNIQUE", None)
    figures = filled.data("statistics")
    assert [(one["table"], one["rows"]) for one in figures["tables"]] == [('odd "name', 0), ("people", 3)]
    assert figures["bytes"] == sum(one["bytes"] for one in figures["tables"]) + 4096


def test_a_plan_is_a_tree_and_nothing_of_it_runs(filled: Session) -> None:
    query = "SELECT * FROM (SELECT name FROM people UNION SELECT 'x') ORDER BY name"
    steps = filled.data("explain", query=query)["steps"]
    assert any(step["steps"] for step in steps)
    lines = filled.text("explain", query=query).splitlines()
    assert any(line.startswith("  ") for line in lines)
    assert "SEARCH" in filled.text("explain", query="DELETE FROM people WHERE id = ?")
    assert "SEARCH" in filled.text("explain", query="UPDATE people SET age = :a WHERE id = :id")
    assert rows(filled, "SELECT count(*) FROM people") == [[3]]
    assert "one statement" in filled.problem("explain", query="SELECT 1; DELETE FROM people")
    assert filled.call("explain", query="ATTACH 'x.db' AS x").is_error


def test_problems_say_what_to_do(filled: Session) -> None:
    assert "list_tables" in filled.problem("read_query", query="SELECT * FROM nowhere")
    assert "describe_table" in filled.problem("read_query", query="SELECT wrong FROM people")
    assert "syntax error" in filled.problem("read_query", query="SELEC 1")
    assert "empty" in filled.problem("read_query", query=" -- nothing")
    assert "100,000" in filled.problem("read_query", query=f"SELECT '{'x' * 100_001}'")
    assert "list_databases" in filled.problem("read_query", query="SELECT 1", database="nowhere.db")
    assert "8,388,608" in filled.problem("read_query", query="SELECT zeroblob(9000000)")
    assert "memory" in filled.problem("read_query", query="SELECT " + ", ".join(["zeroblob(8000000)"] * 60))
    for statement, says in (
        ("CREATE TEMP TABLE x (a)", "not kept from one call to the next"),
        ("ATTACH 'x.db' AS x", "named by `database`"),
        ("BEGIN", "a transaction of its own"),
        ("VACUUM", "VACUUM is not allowed"),
        ("PRAGMA journal_mode = OFF", "settings of a database are not changed"),
    ):
        assert says in filled.problem("write_query", query=statement)
    assert "timeout_s: Input should be less than or equal to 60" in filled.problem(
        "read_query", query="SELECT 1", timeout_s=61
    )


def test_a_file_that_is_no_database_is_said_to_be_none(shared: Session, folder: Path) -> None:
    (folder / "text.db").write_text("not a database at all " * 100)
    for tool, arguments in (("list_tables", {}), ("write_query", {"query": "CREATE TABLE t (a)"})):
        assert "is not an SQLite database" in shared.problem(tool, database="text.db", **arguments)


def test_another_programs_lock_is_waited_for_and_then_named(shared: Session, folder: Path) -> None:
    other = sqlite3.connect(folder / "app.db", isolation_level=None)
    other.execute("CREATE TABLE t (a)")
    other.execute("PRAGMA application_id = 1234")
    other.execute("BEGIN EXCLUSIVE")
    for tool, query in (("read_query", "SELECT * FROM t"), ("write_query", "INSERT INTO t VALUES (1)")):
        problem = shared.problem(tool, query=query, database="app.db", timeout_s=0.1)
        assert "app.db locked for 0.1 s" in problem
    other.execute("COMMIT")
    other.close()
    shared.text("write_query", query="INSERT INTO t VALUES (1)", database="app.db")
    figures = shared.data("statistics", database="app.db")
    assert (figures["application_id"], figures["journal_mode"]) == (1234, "delete")


def test_a_database_stops_growing_at_its_bound(sqlite: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PRIVATE_FILE_BYTES", 200_000)
    sqlite.text("create_table", query="CREATE TABLE t (a)")
    assert "200,000 bytes" in sqlite.problem("write_query", query="INSERT INTO t VALUES (zeroblob(300000))")
    sqlite.text("write_query", query="INSERT INTO t VALUES (1)")


def test_the_memo_is_a_resource_that_tells_of_its_changes(sqlite: Session) -> None:
    async def watch(client: Client) -> list[str]:
        texts = [(await client.read_resource("memo://insights")).contents[0].text]  # type: ignore[union-attr]
        async with client.listen(resource_subscriptions=["memo://insights"]) as heard:
            await client.call_tool("append_insight", {"insight": "Chairs bring more"})
            with anyio.fail_after(10):
                async for _ in heard:
                    break
        texts.append((await client.read_resource("memo://insights")).contents[0].text)  # type: ignore[union-attr]
        return texts

    before, after = sqlite.ask(watch)
    assert "no insights" in before
    assert "- Chairs bring more" in after


def test_the_prompt_takes_a_topic(sqlite: Session) -> None:
    prompt = sqlite.ask(lambda client: client.get_prompt("mcp-demo", {"topic": "beekeeping"}))
    assert "beekeeping" in prompt.messages[0].content.text
    assert "{" not in prompt.messages[0].content.text


def test_long_names_of_columns_count_towards_the_size_of_an_answer(sqlite: Session) -> None:
    series = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c LIMIT 10000)"
    result = sqlite.call("read_query", query=f'{series} SELECT x AS "{"n" * 50_000}" FROM c', limit=10_000)
    assert len(result.content[0].text) < 1_100_000  # type: ignore[union-attr]
    assert result.structured_content["more"] is True  # type: ignore[index]


def test_a_write_that_returns_too_much_is_undone(sqlite: Session) -> None:
    sqlite.text("create_table", query="CREATE TABLE t (a)")
    series = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c LIMIT 20000)"
    statement = f"INSERT INTO t {series} SELECT x FROM c RETURNING a"
    assert "Nothing was changed" in sqlite.problem("write_query", query=statement)
    assert rows(sqlite, "SELECT count(*) FROM t") == [[0]]


def test_a_database_with_very_many_tables_is_read_in_parts(
    sqlite: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        sqlite.text("create_table", query=f"CREATE TABLE {name} (x UNIQUE)")
    monkeypatch.setattr(limits, "LISTED", 1)
    assert "list_tables" in sqlite.problem("statistics")
    assert "name one table" in sqlite.problem("indices")
    assert len(sqlite.data("indices", table="a")["indices"]) == 1
    assert sqlite.data("list_tables", limit=1)["more"] is True
