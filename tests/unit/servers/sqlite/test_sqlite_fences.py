"""Each fence of the sqlite server by itself: what it stops alone, and what the others would let through."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from omnimind.servers.problem import Problem
from omnimind.servers.sqlite import engine, formats, guard, limits, query, text
from omnimind.servers.sqlite.engine import Access
from omnimind.servers.sqlite.places import Places, Shelf
from omnimind.servers.sqlite.watch import Watch

RUNAWAY = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "root" / "data.db"
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE kept (word TEXT)")
        connection.execute("INSERT INTO kept VALUES ('first')")
    connection.close()
    return path


@pytest.fixture
def plain(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection that may do everything."""
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    yield connection
    connection.close()


@pytest.fixture
def shelf(file: Path, tmp_path: Path) -> Shelf:
    return Places([], [str(file.parent)], tmp_path / "state").of("alice")


def access(shelf: Shelf, seconds: float = 5.0) -> Access:
    return Access(shelf, shelf.locate("data.db"), Watch(seconds))


def changes(tmp_path: Path) -> list[str]:
    return [
        f"ATTACH '{tmp_path}/new.db' AS other",
        f"VACUUM INTO '{tmp_path}/copy.db'",
        "INSERT INTO kept VALUES ('x')",
        "DELETE FROM kept",
        "DROP TABLE kept",
        "PRAGMA journal_mode = WAL",
        "PRAGMA user_version = 3",
        "PRAGMA writable_schema = ON",
        "CREATE TABLE x (a)",
        "SELECT load_extension('x')",
        "SELECT hex(fts3_tokenizer('simple'))",
        "SELECT * FROM pragma_wal_checkpoint",
    ]


def test_the_guard_alone_stops_every_change(plain: sqlite3.Connection, tmp_path: Path) -> None:
    for statement in changes(tmp_path):
        fence = guard.reading()
        fence.attach(plain)
        with pytest.raises(sqlite3.DatabaseError):
            plain.execute(statement).fetchall()
        fence.detach()
    assert plain.execute("SELECT * FROM kept").fetchall() == [("first",)]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["root"]


@pytest.mark.parametrize("setting", ["mode=ro", "query_only"])
def test_read_only_alone_stops_writes_and_not_other_files(file: Path, tmp_path: Path, setting: str) -> None:
    mode = "ro" if setting == "mode=ro" else "rw"
    connection = sqlite3.connect(f"file:{file}?mode={mode}", uri=True, isolation_level=None)
    if setting == "query_only":
        connection.execute("PRAGMA query_only = ON")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("INSERT INTO kept VALUES ('x')")
    connection.execute(f"ATTACH '{tmp_path}/new.db' AS other")  # why there is a guard
    if setting == "mode=ro":
        connection.execute(f"VACUUM INTO '{tmp_path}/copy.db'")
        assert (tmp_path / "copy.db").exists()
    connection.close()


def test_the_limit_of_attached_databases_alone_stops_other_files(
    plain: sqlite3.Connection, tmp_path: Path
) -> None:
    plain.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, limits.ENGINE[sqlite3.SQLITE_LIMIT_ATTACHED])
    for statement in (f"ATTACH '{tmp_path}/new.db' AS other", f"VACUUM INTO '{tmp_path}/copy.db'"):
        with pytest.raises(sqlite3.OperationalError, match="too many attached"):
            plain.execute(statement)


def test_without_the_guard_reading_still_changes_nothing(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard.Guard, "_refusal", lambda *_: None)
    for statement in changes(tmp_path)[:5] + changes(tmp_path)[6:7] + changes(tmp_path)[8:10]:
        with pytest.raises(Problem):
            query.read(access(shelf), statement, (), 10, 0)
    assert query.read(access(shelf), "SELECT * FROM kept", (), 10, 0).rows == [("first",)]
    assert not (tmp_path / "new.db").exists()
    assert not (tmp_path / "copy.db").exists()


def test_a_file_is_opened_for_reading_only_and_set_to_it_too(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard.Guard, "_refusal", lambda *_: None)
    with access(shelf).reading(guard.reading()) as connection:
        assert connection.execute("PRAGMA query_only").fetchone() == (1,)
        connection.execute("PRAGMA query_only = OFF")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("INSERT INTO kept VALUES ('x')")


def test_every_connection_has_its_settings(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard.Guard, "_refusal", lambda *_: None)
    engine.bound_memory()
    wanted = {"trusted_schema": 0, "cell_size_check": 1, "temp_store": 2}
    for opened, more in (
        (access(shelf).reading(guard.reading()), {"query_only": 1}),
        (
            access(shelf).writing(guard.writing()),
            {"foreign_keys": 1, "synchronous": 3, "max_page_count": 1 << 20},
        ),
    ):
        with opened as connection:
            found = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in {**wanted, **more}}
            limited = {name: connection.getlimit(name) for name in limits.ENGINE}
            (heap,) = connection.execute("PRAGMA hard_heap_limit").fetchone()
        assert found == {**wanted, **more}
        assert limited == limits.ENGINE
        assert heap == limits.HEAP_BYTES


def test_without_the_guard_writing_still_reaches_no_other_file(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard.Guard, "_refusal", lambda *_: None)
    for statement in (*changes(tmp_path)[:2], "SELECT load_extension('x') WHERE 1"):
        with pytest.raises(Problem):
            query.write(access(shelf), statement, ())
    assert sorted(one.name for one in tmp_path.iterdir()) == ["root"]


def test_what_the_guard_sees_inside_of_views_and_triggers_counts(plain: sqlite3.Connection) -> None:
    plain.execute("CREATE VIEW v AS SELECT fts3_tokenizer('simple') AS t")
    plain.execute("CREATE TRIGGER g AFTER INSERT ON kept BEGIN SELECT load_extension('x'); END")
    fence = guard.writing()
    fence.attach(plain)
    for statement in ("SELECT t FROM v", "INSERT INTO kept VALUES ('x')"):
        with pytest.raises(sqlite3.DatabaseError):
            plain.execute(statement).fetchall()


@pytest.mark.roomy
@pytest.mark.parametrize("how", ["handler", "interrupt"])
def test_either_half_of_the_watch_ends_a_runaway(
    plain: sqlite3.Connection, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(0.2 if how == "handler" else 60)
    if how == "interrupt":
        monkeypatch.setattr(Watch, "_tick", lambda _: 0)
    watch.attach(plain)
    timer = threading.Timer(0.2, watch.interrupt)
    if how == "interrupt":
        timer.start()
    began = time.monotonic()
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        plain.execute(RUNAWAY).fetchall()
    timer.cancel()
    assert 0.19 < time.monotonic() - began < 5


def test_a_watch_that_is_let_go_touches_the_connection_no_more(plain: sqlite3.Connection) -> None:
    watch = Watch(60)
    watch.attach(plain)
    watch.detach()
    plain.close()
    watch.stop()
    assert "cancelled" in str(watch.why())


@pytest.mark.roomy
def test_counting_formats_are_what_the_watch_cannot_stop(plain: sqlite3.Connection) -> None:
    statement = "SELECT length(printf('%.100000000c', 'x'))"
    watch = Watch(0.02)
    watch.attach(plain)
    plain.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limits.VALUE_BYTES)
    began = time.monotonic()
    with contextlib.suppress(sqlite3.Error):
        plain.execute(statement).fetchall()
    assert time.monotonic() - began > 0.1, "SQLite stops by itself now; formats.py has no work any more"
    with pytest.raises(Problem, match="plain literal"):
        formats.check(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT printf('%.99999c', 'x')",
        "SELECT printf('%*.*c', 1, 9, 'x')",
        "SELECT PRINTF ( '%-5.2000000000lc', 'x')",
        "SELECT \"format\"/* */('%,.12345c', 1)",
        "SELECT [printf]('%!.99999llc', 1)",
        "SELECT `format` -- \n ('%.*c', 9, 1)",
        "SELECT printf('%s' || '', 1)",
        "SELECT printf(?, 1)",
        "SELECT format(word, 1) FROM kept",
        "SELECT printf(",
        "SELECT printf(('%d'), 1)",
    ],
)
def test_a_format_that_could_count_or_cannot_be_seen_is_refused(statement: str) -> None:
    with pytest.raises(Problem, match="plain literal"):
        formats.check(statement)


@pytest.mark.parametrize(
    ("statement", "called"),
    [
        ("SELECT printf('%5.2f %d %s%%', 1, 2, 3)", True),
        ("SELECT format('%.9999c it''s', 'x')", True),
        ("SELECT 'printf(' || word FROM kept -- printf(x)", False),
        ("SELECT format FROM (SELECT 1 AS format)", False),
        ("SELECT 1 /* printf('%.*c') */", False),
    ],
)
def test_a_format_that_is_harmless_passes(statement: str, called: bool) -> None:
    assert formats.check(statement) is called


def test_views_may_use_a_few_formats_and_no_more(shelf: Shelf) -> None:
    one = "printf('%d', 1)"
    for name, count in (("few", 4), ("many", 5)):
        columns = ", ".join(f"{one} AS c{number}" for number in range(count))
        query.write(access(shelf), f"CREATE VIEW {name} AS SELECT {columns}", ())
    assert query.read(access(shelf), "SELECT * FROM few", (), 1, 0).rows == [("1",) * 4]
    with pytest.raises(Problem, match="more than 4 times"):
        query.read(access(shelf), "SELECT * FROM many", (), 1, 0)


@pytest.mark.roomy
@pytest.mark.parametrize(
    "hostile",
    [
        "printf" + "/**/" * 20_000 + "x",
        "printf /* " * 9_000,
        "printf('" + "''" * 40_000,
        "printf(" * 14_000,
        "format('%" + "1" * 90_000 + "')",
        "select '" + "printf('" * 10_000,
        "/*" * 45_000,
        '"' * 90_001,
    ],
)
def test_reading_a_statement_takes_time_in_proportion(hostile: str) -> None:
    began = time.monotonic()
    list(text.tokens(hostile))
    text.is_ordered(hostile)
    with contextlib.suppress(Problem):
        formats.check(hostile)
    assert time.monotonic() - began < 2


def test_values_get_smaller_where_functions_are_slow() -> None:
    assert limits.value_bytes(0, 0) == limits.VALUE_BYTES
    sizes = [limits.value_bytes(slow, 0) for slow in (1, 4, 100, 10_000)]
    assert sizes == [512 * 1024, 256 * 1024, 52_428, 16_384]
    assert [limits.value_bytes(0, uses) for uses in (1, 2, 100)] == [8 << 20, 4 << 20, 512 * 1024]
    assert limits.value_bytes(1, 1) == 512 * 1024


def test_a_statement_with_slow_functions_takes_smaller_values(shelf: Shelf) -> None:
    def length_of(expression: str) -> object:
        return query.read(access(shelf), f"SELECT {expression}", (), 1, 0).rows[0][0]

    assert length_of("length(zeroblob(1000000) || '')") == 0
    assert length_of("length(hex(zeroblob(1000000)))") == 2_000_000
    for slow in ("instr(hex(zeroblob(1000000)), 'x')", "replace(hex(zeroblob(1000000)), 'x', '')"):
        with pytest.raises(Problem, match="instr, replace, trim"):
            length_of(slow)
    assert length_of("instr(hex(zeroblob(100000)), '1')") == 0


def test_a_file_that_is_swapped_while_it_is_opened_is_not_used(
    shelf: Shelf, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE kept (word TEXT)")
    connection.close()
    connect = sqlite3.connect

    def swapping(*arguments: object, **keys: object) -> sqlite3.Connection:
        file.rename(tmp_path / "moved.db")
        os.symlink(other, file)
        return connect(*arguments, **keys)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(engine.sqlite3, "connect", swapping)
    with pytest.raises(Problem, match="was replaced"):
        query.read(access(shelf), "SELECT * FROM kept", (), 10, 0)


def test_looking_at_a_file_keeps_the_locks_that_are_on_it(
    shelf: Shelf, file: Path, plain: sqlite3.Connection
) -> None:
    plain.execute("BEGIN IMMEDIATE")
    for _ in range(3):
        shelf.look(shelf.locate("data.db"))
        list(shelf.listed(lambda: None))
        shelf.create(shelf.locate("data.db"))
    script = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
    command = [sys.executable, "-S", "-c", script, str(file)]
    tried = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert "database is locked" in tried.stderr
