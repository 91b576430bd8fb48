"""One SQLite file a principal: isolation, shared commits, errors, limits."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from omnimind.servers import database
from omnimind.servers.database import Databases
from omnimind.servers.problem import Problem

NOTES = (("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",),)


@pytest.fixture
def databases(tmp_path: Path) -> Iterator[Databases]:
    opened = Databases(tmp_path, NOTES, open_files=3)
    yield opened
    opened.close()


def add(databases: Databases, who: str, text: str) -> None:
    databases.change(who, lambda data: data.execute("INSERT INTO notes (text) VALUES (?)", (text,)))


def texts(databases: Databases, who: str) -> list[str]:
    with databases.reading(who) as data:
        return [row[0] for row in data.execute("SELECT text FROM notes ORDER BY id")]


def test_principals_have_files_of_their_own_whatever_their_names(databases: Databases) -> None:
    names = ["alice", "Alice", "../alice", "a" * 500, "ünï", "alice\0", "", "local"]
    for name in names:
        add(databases, name, f"of {name}")
    for name in names:
        assert texts(databases, name) == [f"of {name}"]
    assert len({databases.path(name) for name in names}) == len(names)
    assert all(databases.path(name).parent == databases.path("alice").parent for name in names)


def test_changes_that_wait_together_each_get_their_own_result(databases: Databases) -> None:
    start = threading.Barrier(50)
    results: dict[int, object] = {}

    def work(number: int) -> None:
        def insert(data: sqlite3.Connection) -> int:
            data.execute("INSERT INTO notes (text) VALUES (?)", (str(number),))
            if number % 5 == 0:
                raise Problem(f"refused {number}")
            return number

        start.wait()
        try:
            results[number] = databases.change("alice", insert)
        except Problem as problem:
            results[number] = str(problem)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: n if n % 5 else f"refused {n}" for n in range(50)}
    assert sorted(map(int, texts(databases, "alice"))) == [n for n in range(50) if n % 5]


def test_a_change_that_fails_is_undone_and_the_next_one_works(databases: Databases) -> None:
    def half(data: sqlite3.Connection) -> None:
        data.execute("INSERT INTO notes (text) VALUES ('half')")
        data.execute("INSERT INTO notes (text) VALUES (NULL)")

    with pytest.raises(sqlite3.IntegrityError):
        databases.change("alice", half)
    add(databases, "alice", "whole")
    assert texts(databases, "alice") == ["whole"]


def test_a_reader_cannot_write(databases: Databases) -> None:
    with databases.reading("alice") as data, pytest.raises(sqlite3.OperationalError, match="readonly"):
        data.execute("INSERT INTO notes (text) VALUES ('x')")


def test_readers_see_one_moment_while_others_write(databases: Databases) -> None:
    add(databases, "alice", "first")
    with databases.reading("alice") as data:
        assert data.execute("SELECT count(*) FROM notes").fetchone() == (1,)
        add(databases, "alice", "second")
        assert data.execute("SELECT count(*) FROM notes").fetchone() == (1,)
    assert texts(databases, "alice") == ["first", "second"]


def test_only_some_files_stay_open(databases: Databases, tmp_path: Path) -> None:
    for number in range(20):
        add(databases, f"p{number}", "x")
    open_files = {path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}
    ours = [path for path in open_files if path.suffix == ".db" and path.is_relative_to(tmp_path)]
    assert 0 < len(ours) <= 3
    assert texts(databases, "p0") == ["x"]


def test_a_file_kept_busy_by_another_process_is_said_so(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_S", 0.05)
    add(databases, "alice", "x")
    databases.close()
    other = sqlite3.connect(databases.path("alice"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Problem, match="another process"):
        add(databases, "alice", "y")
    other.execute("ROLLBACK")
    add(databases, "alice", "z")
    other.close()
    assert texts(databases, "alice") == ["x", "z"]


def test_a_full_file_is_said_so_and_can_still_be_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "FILE_BYTES", 64 * 4096)
    databases = Databases(tmp_path, NOTES)

    def fill() -> None:
        for _ in range(100):
            add(databases, "alice", "x" * 8192)

    with pytest.raises(Problem, match="delete something"):
        fill()
    databases.change("alice", lambda data: data.execute("DELETE FROM notes"))
    add(databases, "alice", "room again")
    assert texts(databases, "alice") == ["room again"]
    databases.close()


def test_data_of_a_newer_version_are_not_touched(databases: Databases, tmp_path: Path) -> None:
    add(databases, "alice", "x")
    databases.close()
    raw = sqlite3.connect(databases.path("alice"))
    raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(RuntimeError, match="newer OmniMind"):
        texts(databases, "alice")


def test_a_later_migration_is_applied_once(databases: Databases, tmp_path: Path) -> None:
    add(databases, "alice", "x")
    databases.close()
    newer = Databases(tmp_path, (*NOTES, ("ALTER TABLE notes ADD COLUMN mood TEXT",)))
    newer.change("alice", lambda data: data.execute("UPDATE notes SET mood = 'calm'"))
    newer.close()
    with Databases(tmp_path, (*NOTES, ("ALTER TABLE notes ADD COLUMN mood TEXT",))).reading("alice") as data:
        assert data.execute("SELECT mood FROM notes").fetchone() == ("calm",)


def test_nothing_needs_a_temporary_folder(databases: Databases) -> None:
    add(databases, "ann", "x")
    kept = databases.change("ann", lambda data: data.execute("PRAGMA temp_store").fetchone()[0])
    with databases.reading("ann") as data:
        assert (kept, data.execute("PRAGMA temp_store").fetchone()[0]) == (2, 2)
