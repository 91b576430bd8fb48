"""Rows out of a table and into one: what is exported comes back, whatever it holds, and in pages too."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server_session import Session

from omnimind.servers.problem import Problem
from omnimind.servers.sqlite import delimited, exchange, limits, query, values
from omnimind.servers.sqlite.engine import Access
from omnimind.servers.sqlite.places import Places
from omnimind.servers.sqlite.values import BrokenText
from omnimind.servers.sqlite.watch import Watch

QUICK = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
AWKWARD = st.sampled_from(
    [
        "",
        '"',
        ",",
        "\n",
        "\r\n",
        "\r",
        'a"b',
        " x ",
        "007",
        "+5",
        "1e5",
        "-0",
        "inf",
        "NULL",
        "base64:AA==",
        "\ufeff",
    ]
)
TEXTS = ANY_TEXT | AWKWARD
INTEGERS = st.integers(-(2**63), 2**63 - 1)
REALS = st.floats(allow_nan=False).map(lambda real: real + 0.0)  # SQLite keeps no negative zero
BYTES = st.binary(max_size=40)
NAMES = st.lists(ANY_TEXT.filter(str.strip), min_size=1, max_size=4, unique_by=str.lower)


def broken(data: bytes) -> BrokenText | str:
    return values.text_factory(data)


@pytest.fixture
def access(tmp_path: Path) -> Access:
    (tmp_path / "root").mkdir(exist_ok=True)
    shelf = Places([], [str(tmp_path / "root")], tmp_path / "state").of("alice")
    return Access(shelf, shelf.locate(None), Watch(60))


def fresh(access: Access) -> None:
    for (name,) in query.read(access, "SELECT name FROM sqlite_master WHERE type = 'table'", (), 100, 0).rows:
        query.write(access, f"DROP TABLE {values.quoted(str(name))}", ())


def nothing(_: int, __: int) -> None:
    return None


def exported(access: Access, table: str, form: Any, page: int) -> str:
    """The whole table, put together from pages."""
    text, offset = "", 0
    while True:
        part, found = exchange.export_rows(access, table, None, form, page, offset)
        text += part
        if not found.more:
            return text
        offset = found.next_offset


def all_rows(access: Access, table: str) -> Any:
    return [
        list(row) for row in query.read(access, f"SELECT * FROM {values.quoted(table)}", (), 10_000, 0).rows
    ]


@QUICK
@given(
    rows=st.lists(
        st.tuples(st.none() | INTEGERS, st.none() | REALS, st.none() | TEXTS, st.none() | BYTES), max_size=12
    ),
    page=st.integers(1, 7),
)
def test_csv_in_pages_comes_back_into_a_table_of_the_same_types(
    access: Access, rows: list[Any], page: int
) -> None:
    with sqlite3.connect(f"{access.place.root}/main.db") as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for table in ("a", "b"):
            connection.execute(f"DROP TABLE IF EXISTS {table}")
            connection.execute(f"CREATE TABLE {table} (i INTEGER, r REAL, t TEXT, b BLOB)")
        connection.executemany("INSERT INTO a VALUES (?, ?, ?, ?)", rows)
    connection.close()
    text = exported(access, "a", "csv", page)
    exchange.import_rows(access, "b", text, "csv", "append", {}, nothing)
    assert all_rows(access, "b") == all_rows(access, "a") == [list(row) for row in rows]


ANY_VALUE = st.none() | INTEGERS | REALS | TEXTS | BYTES | st.binary(min_size=1, max_size=9).map(broken)
COLUMNS = st.integers(0, 8).flatmap(
    lambda height: st.lists(
        st.one_of(
            st.lists(kind, min_size=height, max_size=height)
            for kind in (st.none() | INTEGERS, st.none() | REALS, st.none() | TEXTS, st.none() | BYTES)
        )
        | st.lists(st.none() | INTEGERS | REALS | TEXTS | BYTES, min_size=height, max_size=height),
        min_size=1,
        max_size=4,
    )
)


@QUICK
@given(names=NAMES, data=st.data(), form=st.sampled_from(["json", "jsonl"]))
def test_json_makes_a_table_that_holds_the_very_same_values(
    access: Access, names: list[str], data: st.DataObject, form: Any
) -> None:
    fresh(access)
    columns = data.draw(COLUMNS)[: len(names)]
    names = names[: len(columns)]
    rows = [list(row) for row in zip(*columns, strict=True)]
    text = delimited.json_text(names, rows, lines=form == "jsonl")
    if not rows:
        with pytest.raises(Problem, match="no rows"):
            exchange.import_rows(access, "made", text, form, "create", {}, nothing)
        return
    done = exchange.import_rows(access, "made", text, form, "create", {}, nothing)
    assert list(done.columns) == names
    assert [typed(row) for row in all_rows(access, "made")] == [typed(row) for row in with_affinity(rows)]
    if form == "jsonl":
        assert exported(access, "made", "jsonl", 3) == delimited.json_text(
            names, with_affinity(rows), lines=True
        )


def typed(row: list[Any]) -> list[Any]:
    return [(type(value), value) for value in row]


def with_affinity(rows: list[list[Any]]) -> list[list[Any]]:
    """A column that mixes integers with reals, all within 2^53, becomes one of reals; nothing else changes."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    for at, column in enumerate(columns):
        kinds = {type(value) for value in column if value is not None}
        small = all(abs(value) <= 2**53 for value in column if isinstance(value, int))
        if kinds == {int, float} and small:
            columns[at] = [None if value is None else float(value) for value in column]
    return [list(row) for row in zip(*columns, strict=True)]


@QUICK
@given(value=ANY_VALUE)
def test_every_value_comes_back_from_json(value: Any) -> None:
    back = values.from_json(values.to_json(value), "here")
    assert (type(back), back) == (type(value), value)


@QUICK
@given(text=st.text(st.sampled_from(list('a",\r\n1 ')), max_size=40))
def test_any_text_is_csv_or_refused_with_a_reason(text: str) -> None:
    try:
        records = list(delimited.csv_rows(text, lambda: None))
    except Problem:
        assert '"' in text  # nothing else is ever out of place
        return
    cells = [[cell for cell, _ in record] for record in records]
    printed = "".join(
        ",".join('"' + cell.replace('"', '""') + '"' for cell in record) + "\n" for record in cells
    )
    assert [[cell for cell, _ in record] for record in delimited.csv_rows(printed, lambda: None)] == cells


@QUICK
@given(total=st.integers(0, 30), page=st.integers(1, 9))
def test_pages_of_a_query_are_the_query(access: Access, total: int, page: int) -> None:
    statement = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c) SELECT x FROM c LIMIT ?"
    seen: list[Any] = []
    offset = 0
    while True:
        found = query.read(access, statement, (total,), page, offset)
        seen += [row[0] for row in found.rows]
        assert len(found.rows) == page or not found.more
        if not found.more:
            break
        offset = found.next_offset
    assert seen == list(range(1, total + 1))


def kinds(text: str) -> list[str]:
    return list(delimited.read_csv(text, {}, None, lambda: None).types)


def test_types_are_guessed_only_where_nothing_is_lost() -> None:
    assert kinds("a,b,c,d\n1,1.5,x,\n-2,3,1,\n") == ["INTEGER", "REAL", "TEXT", "TEXT"]
    assert kinds("zip,phone,big,id\n007,+49,9223372036854775808,12345678901234567.5\n") == ["TEXT"] * 4
    assert kinds("a,b,c\n9223372036854775807,-0,0.10\n") == ["INTEGER", "REAL", "REAL"]
    assert kinds("a,b\nbase64:AAE=,nan\n") == ["BLOB", "TEXT"]
    assert kinds('a\n""\n1\n') == ["TEXT"]
    assert kinds('a,b\n"1","x"\n') == ["INTEGER", "TEXT"]


def test_an_import_says_what_it_made_of_the_columns(sqlite: Session) -> None:
    text = '\ufeffday,item,price\r\n2026-11-02,lamp,19.5\r\n2026-11-03,"a ""chair"", red",80\r\n\r\n'
    done = sqlite.data("import_rows", table="sales", text=text)
    assert done == {"table": "sales", "columns": {"day": "TEXT", "item": "TEXT", "price": "REAL"}, "rows": 2}
    assert sqlite.text("export_rows", table="sales") == (
        'day,item,price\n2026-11-02,lamp,19.5\n2026-11-03,"a ""chair"", red",80.0\n'
    )
    typed = sqlite.data("import_rows", table="ids", text="id\n1\n2\n", types={"id": "TEXT"})
    assert typed["columns"] == {"id": "TEXT"}
    assert sqlite.data("read_query", query="SELECT typeof(id) FROM ids LIMIT 1")["rows"] == [["text"]]


def test_modes_create_append_and_replace(sqlite: Session) -> None:
    sqlite.data("import_rows", table="t", text="a,b\n1,x\n")
    assert "already exists" in sqlite.problem("import_rows", table="t", text="a,b\n1,x\n")
    sqlite.data("import_rows", table="t", text="b\ny\n", mode="append")
    assert sqlite.data("read_query", query="SELECT * FROM t")["rows"] == [[1, "x"], [None, "y"]]
    sqlite.data("import_rows", table="t", text='[{"A": 3}]', format="json", mode="replace")
    assert sqlite.data("read_query", query="SELECT * FROM t")["rows"] == [[3, None]]
    assert "list_tables" in sqlite.problem("import_rows", table="nowhere", text="a\n1\n", mode="append")
    assert "no column named c" in sqlite.problem("import_rows", table="t", text="c\n1\n", mode="append")


def test_an_import_is_all_or_nothing_and_names_the_row(sqlite: Session) -> None:
    sqlite.text("create_table", query="CREATE TABLE t (a INTEGER UNIQUE)")
    sqlite.text("write_query", query="INSERT INTO t VALUES (3)")
    problem = sqlite.problem("import_rows", table="t", text="a\n1\n2\n3\n4\n", mode="append")
    assert problem == "Database error: row 3: UNIQUE constraint failed: t.a; nothing was imported"
    assert sqlite.data("read_query", query="SELECT a FROM t")["rows"] == [[3]]
    assert sqlite.call("import_rows", table="new", text="a\n1,2\n").is_error
    assert sqlite.text("list_tables") == "[{'name': 't'}]"


@pytest.mark.parametrize(
    ("text", "form", "says"),
    [
        ("", "csv", "no rows"),
        ("a,A\n1,2\n", "csv", "two columns are called A"),
        ("a,\n1,2\n", "csv", "no name"),
        ('a\n"x', "csv", "quotation mark"),
        ("a,b\n1\n", "csv", "record 2 of the CSV has 1 fields and the first has 2"),
        ("{", "json", "neither a JSON array"),
        ("[1]", "json", "row 1 is no JSON object"),
        ('[{"a": NaN}]', "json", "is not JSON"),
        ('[{"a": 9223372036854775808}]', "json", "64 bits"),
        ('[{"a": {"$blob": "?"}}]', "json", "row 1, column a"),
        ("[" * 100_000, "json", "neither a JSON array"),
        ("a\n" + "1\n" * 2_100_000, "csv", "4,194,304"),
        (",".join(f"c{number}" for number in range(501)), "csv", "the limit is 500"),
    ],
)
def test_what_cannot_be_imported_is_refused_with_a_reason(
    sqlite: Session, text: str, form: str, says: str
) -> None:
    assert says in sqlite.problem("import_rows", table="t", text=text, format=form)


def test_nested_json_is_kept_as_text_and_missing_keys_are_null(sqlite: Session) -> None:
    text = '{"a": {"b": [1]}, "c": true}\n\n{"d": {"$integer": "9007199254740993"}}\n'
    sqlite.data("import_rows", table="t", text=text, format="jsonl")
    got = sqlite.data("read_query", query="SELECT a ->> '$.b[0]', c, d FROM t ORDER BY rowid")["rows"]
    assert got == [[1, 1, None], [None, None, {"$integer": "9007199254740993"}]]


def test_exports_take_a_table_or_a_query(sqlite: Session) -> None:
    sqlite.data("import_rows", table="t", text='a,b\n1,\n2,""\n')
    assert sqlite.text("export_rows", query="SELECT b, a FROM t ORDER BY a DESC") == 'b,a\n"",2\n,1\n'
    assert sqlite.text("export_rows", table="t", format="json") == '[{"a":1,"b":null},\n{"a":2,"b":""}]'
    assert "either" in sqlite.problem("export_rows")
    assert "either" in sqlite.problem("export_rows", table="t", query="SELECT 1")
    assert "not UTF-8" in sqlite.problem("export_rows", query="SELECT CAST(x'ff' AS TEXT) AS t")
    assert sqlite.text("export_rows", query="SELECT CAST(x'ff' AS TEXT) AS t", format="jsonl") == (
        '{"t":{"$text":"/w=="}}\n'
    )
    assert "write_query" in sqlite.problem("export_rows", query="DELETE FROM t")


def test_tables_without_row_numbers_and_views_are_exported(sqlite: Session) -> None:
    sqlite.text("create_table", query="CREATE TABLE w (k TEXT PRIMARY KEY) WITHOUT ROWID")
    sqlite.data("import_rows", table="w", text="k\nb\na\n", mode="append")
    sqlite.text("write_query", query="CREATE VIEW v AS SELECT k FROM w WHERE k = 'a'")
    assert sqlite.text("export_rows", table="w") == "k\na\nb\n"
    assert sqlite.text("export_rows", table="v") == "k\na\n"


def test_the_bounds_are_those_that_are_told(sqlite: Session) -> None:
    assert (limits.IMPORT_BYTES, limits.IMPORT_COLUMNS) == (4_194_304, 500)
    assert "less than or equal to 10000" in sqlite.problem("export_rows", table="t", limit=10_001)


def test_a_text_that_is_not_utf8_survives_a_round_trip(sqlite: Session, tmp_path: Path) -> None:
    line = '{"a":{"$text":"/2E="}}\n'
    sqlite.data("import_rows", table="t", text=line, format="jsonl")
    assert sqlite.text("export_rows", table="t", format="jsonl") == line
    (file,) = tmp_path.rglob("main.db")
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT typeof(a), hex(a) FROM t").fetchall() == [("text", "FF61")]
    connection.close()
