"""Names of databases: what each leads to, and what is served to whom."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from server_session import Session

from omnimind.servers.problem import Problem
from omnimind.servers.sqlite import limits
from omnimind.servers.sqlite.places import Places, Shelf


def database(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE kept (word TEXT)")
    connection.close()
    return path


@pytest.fixture
def shelf(folder: Path, tmp_path: Path) -> Shelf:
    return Places([], [str(folder)], tmp_path / "state").of("alice")


def test_a_name_is_a_path_beneath_a_folder_or_the_whole_path(shelf: Shelf, folder: Path) -> None:
    database(folder / "2026" / "sales.db")
    for name in ("2026/sales.db", str(folder / "2026" / "sales.db")):
        spot = shelf.look(shelf.locate(name))
        assert spot is not None
        assert spot.path == str(folder / "2026" / "sales.db")
    assert shelf.look(shelf.locate("2026/other.db")) is None


@pytest.mark.parametrize(
    "name",
    ["../x.db", "a/../x.db", "./x.db", "a//x.db", "/etc/passwd", "", "x\0.db", "x.db-wal", "x.db-journal"],
)
def test_an_odd_name_is_refused_before_anything_is_opened(shelf: Shelf, name: str) -> None:
    with pytest.raises(Problem):
        shelf.locate(name)


def test_half_of_a_pair_of_surrogates_is_no_name(shelf: Shelf) -> None:
    with pytest.raises(Problem, match="not valid Unicode"):
        shelf.locate("\ud800.db")


def test_no_link_is_followed_wherever_it_leads(shelf: Shelf, folder: Path) -> None:
    database(folder / "real" / "x.db")
    (folder / "link.db").symlink_to(folder / "real" / "x.db")
    (folder / "away").symlink_to(folder / "real")
    database(folder / "real" / "deep" / "y.db")
    for name in ("link.db", "away/x.db", "away/deep/y.db"):
        with pytest.raises(Problem, match="link"):
            shelf.look(shelf.locate(name))
    assert [place.shown for place, _ in shelf.listed(lambda: None)] == ["real/deep/y.db", "real/x.db"]


def test_a_second_name_of_a_file_is_refused_under_both(shelf: Shelf, folder: Path) -> None:
    os.link(database(folder / "x.db"), folder / "y.db")
    for name in ("x.db", "y.db"):
        with pytest.raises(Problem, match="2 names"):
            shelf.look(shelf.locate(name))


def test_a_journal_that_is_deleted_while_it_is_looked_at_is_none(shelf: Shelf, folder: Path) -> None:
    place = shelf.locate(str(database(folder / "x.db")))
    writes = "import os\nwhile True:\n    os.close(os.open('x.db-journal', os.O_CREAT))\n    os.unlink('x.db-journal')"
    with subprocess.Popen([sys.executable, "-c", writes], cwd=folder) as writer:
        try:
            while not (folder / "x.db-journal").exists():
                assert writer.poll() is None
            assert all(shelf.look(place) is not None for _ in range(3_000))
        finally:
            writer.kill()


@pytest.mark.parametrize("name", [".ssh/keys.db", ".mozilla/cookies.sqlite"])
def test_credential_stores_are_not_served(shelf: Shelf, folder: Path, name: str) -> None:
    database(folder / name)
    with pytest.raises(Problem, match="credentials"):
        shelf.look(shelf.locate(name))
    assert list(shelf.listed(lambda: None)) == []


def test_the_default_comes_first_and_the_rest_by_name(folder: Path, tmp_path: Path) -> None:
    for name in ("b.sqlite", "a.db", "deep/er/c.db3", "main.db", "notes.txt"):
        database(folder / name)
    listed = Places([], [str(folder)], tmp_path / "state").of("alice").listed(lambda: None)
    assert [(place.shown, place.default) for place, _ in listed] == [
        ("main.db", True),
        ("a.db", False),
        ("b.sqlite", False),
        ("deep/er/c.db3", False),
    ]


def test_files_that_the_operator_named_are_served_whatever_they_are_called(tmp_path: Path) -> None:
    named = database(tmp_path / "data.bin")
    database(tmp_path / "other.db")
    shelf = Places([str(named)], [], tmp_path / "state").of("alice")
    for name in (None, "data.bin", str(named)):
        assert shelf.look(shelf.locate(name)) is not None
    for name in ("other.db", str(tmp_path / "other.db")):
        with pytest.raises(Problem):
            shelf.locate(name)


def test_making_a_database_takes_a_plain_name_with_a_known_ending(shared: Session, folder: Path) -> None:
    assert shared.data("create_database", database="a b/2026-11.db") == {
        "name": "a b/2026-11.db",
        "created": True,
    }
    assert shared.data("create_database", database="a b/2026-11.db")["created"] is False
    assert (folder / "a b" / "2026-11.db").read_bytes().startswith(b"SQLite format 3\0")
    assert (folder / "a b" / "2026-11.db").stat().st_mode & 0o077 == 0
    for name, says in (
        ("x.txt", ".sqlite"),
        ("a:b.db", "plain name"),
        ("~/x.db", "plain name"),
        ("x?mode=rwc.db", "plain name"),
        ("/".join("abcdefgh") + "/x.db", "deep"),
        ("../x.db", "leave out"),
    ):
        assert says in shared.problem("create_database", database=name)
    assert shared.data("list_tables", database="a b/2026-11.db")["rows"] == []


def test_a_principals_own_folder_has_room_for_so_many(
    sqlite: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PRIVATE_FILES", 2)
    for name in ("a.db", "b.db"):
        sqlite.data("create_database", database=name)
    assert "2 databases already" in sqlite.problem("create_database", database="c.db")
    assert sqlite.data("create_database", database="a.db")["created"] is False


def test_long_lists_of_databases_come_in_pages(shared: Session, folder: Path) -> None:
    for number in range(5):
        database(folder / f"{number}.db")
    first = shared.data("list_databases", limit=2)
    assert ([one["name"] for one in first["databases"]], first["more"]) == (["0.db", "1.db"], True)
    last = shared.data("list_databases", limit=3, offset=2)
    assert ([one["name"] for one in last["databases"]], last["more"]) == (["2.db", "3.db", "4.db"], False)


def test_two_folders_are_searched_in_their_order(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    database(one / "a.db")
    database(other / "b.db")
    shelf = Places([], [str(one), str(other)], tmp_path / "state").of("alice")
    assert shelf.locate("b.db").root == str(other)
    assert shelf.locate("a.db").root == str(one)
    assert shelf.locate("new.db").root == str(one)
    assert shelf.locate(None).root == str(one)


def test_principals_have_folders_of_their_own(tmp_path: Path) -> None:
    places = Places([], [], tmp_path)
    folders = {places.of(name).folders[0] for name in ("alice", "bob", "../alice", "alice")}
    assert len(folders) == 3
    assert all(os.path.dirname(folder) == str(tmp_path / "db" / "sqlite") for folder in folders)
