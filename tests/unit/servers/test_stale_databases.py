"""No answer out of a database outlives a commit, whoever makes it and in whatever journal mode."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from keyed_session import Stamps, ask_keyed, call_as, elsewhere, holds, stamps_of
from mcp.server import MCPServer

from omnimind.servers import ServerContext, build, depends
from omnimind.servers.database import Databases

OLD_S = 0.06

COMMIT = (
    "import sqlite3, sys\n"
    "data = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
    "for statement in sys.argv[2:]: data.execute(statement).fetchall()\n"
)


def built(name: str, state: Path, *args: str) -> MCPServer:
    return build(ServerContext(name, state, list(args)))


def do(server: MCPServer, tool: str, **arguments: Any) -> Any:
    result, stamps = ask_keyed(server, lambda client: call_as(client, tool, arguments))
    assert not result.is_error, result.content
    assert stamps is None, f"{tool} writes, so its answer is never kept"
    time.sleep(OLD_S)
    return result.structured_content


def kept(server: MCPServer, tool: str, **arguments: Any) -> Stamps:
    stamps = stamps_of(server, tool, **arguments)
    assert stamps is not None
    assert holds(stamps)
    return stamps


CHANGES: dict[str, tuple[str, dict[str, Any], tuple[str, dict[str, Any]]]] = {
    "memory": ("read_graph", {}, ("store_memory", {"content": "a thing"})),
    "thinking": ("list_thinking_sessions", {}, ("start_thinking", {"title": "why"})),
    "context": ("list_context", {}, ("store_context", {"content": "a text"})),
    "logging": ("search_logs", {}, ("append_log", {"message": "it happened"})),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_commit_of_a_second_instance_makes_an_answer_stale(name: str, tmp_path: Path) -> None:
    """Whatever it commits: here a word in capitals, in a row that every such file has."""
    reading, arguments, (writing, written) = CHANGES[name]
    server = built(name, tmp_path)
    do(server, writing, **written)
    stamps = kept(server, reading, **arguments)
    kept(server, reading, **arguments)
    assert holds(stamps), "reading changes nothing"
    (path,) = {stamp["path"] for stamp in stamps if stamp["path"].endswith(".db")}
    elsewhere(COMMIT, path, "UPDATE owner SET principal = upper(principal)")
    assert not holds(stamps)
    time.sleep(OLD_S)
    assert holds(kept(server, reading, **arguments))


NOTES = (("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",),)


@pytest.fixture
def databases(tmp_path: Path) -> Iterator[Databases]:
    opened = Databases(tmp_path, NOTES)
    opened.change("ann", lambda data: data.execute("INSERT INTO notes (text) VALUES ('one')"))
    time.sleep(OLD_S)
    yield opened
    opened.close()


def read(databases: Databases) -> depends.Evidence:
    evidence = depends.collect()
    depends.rests_on(depends.FILES)
    with databases.reading("ann") as data:
        data.execute("SELECT * FROM notes").fetchall()
    depends._evidence.set(None)
    return evidence


def sound(databases: Databases) -> Stamps:
    stamps = read(databases).stamps()
    assert stamps is not None
    assert holds(stamps)
    return stamps


def test_a_change_of_the_same_size_is_seen(databases: Databases) -> None:
    stamps = sound(databases)
    databases.change("ann", lambda data: data.execute("UPDATE notes SET text = 'two'"))
    assert not holds(stamps)


@pytest.mark.parametrize(
    "statements",
    [
        ("UPDATE notes SET text = 'two'",),
        ("BEGIN", "UPDATE notes SET text = 'two'", "COMMIT", "PRAGMA wal_checkpoint(TRUNCATE)"),
        ("PRAGMA wal_checkpoint(RESTART)", "UPDATE notes SET text = 'two'"),
        ("UPDATE notes SET text = 'two'", "PRAGMA wal_checkpoint(PASSIVE)"),
    ],
)
def test_a_commit_of_another_process_is_seen_whatever_becomes_of_the_journal(
    databases: Databases, statements: tuple[str, ...]
) -> None:
    stamps = sound(databases)
    elsewhere(COMMIT, str(databases.path("ann")), *statements)
    assert not holds(stamps)
    evidence = read(databases)
    assert evidence.others_wrote


def test_a_checkpoint_alone_changes_no_answer_and_costs_one_hit_at_most(databases: Databases) -> None:
    sound(databases)
    elsewhere(COMMIT, str(databases.path("ann")), "PRAGMA wal_checkpoint(PASSIVE)")
    time.sleep(OLD_S)
    sound(databases)
    assert not read(databases).others_wrote


def test_a_change_of_our_own_is_not_taken_for_another_process_s(databases: Databases) -> None:
    sound(databases)
    databases.change("ann", lambda data: data.execute("INSERT INTO notes (text) VALUES ('two')"))
    assert not read(databases).others_wrote


@contextmanager
def committing(path: Path) -> Iterator[None]:
    """Another process has written and not told readers yet."""
    code = (
        "import sqlite3, sys\n"
        "data = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "data.execute('BEGIN IMMEDIATE'); data.execute(\"UPDATE notes SET text = 'two'\")\n"
        "print('written', flush=True); sys.stdin.read(); data.execute('COMMIT')\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdin
    assert other.stdout
    try:
        assert other.stdout.readline() == b"written\n"
        yield
    finally:
        other.stdin.close()
        assert other.wait(30) == 0
        other.stdout.close()


def test_what_is_read_while_somebody_commits_is_not_kept(databases: Databases) -> None:
    with committing(databases.path("ann")):
        assert read(databases).stamps() is None
    time.sleep(OLD_S)
    sound(databases)


def test_an_answer_of_a_file_that_another_took_the_name_of_is_not_kept(
    databases: Databases, tmp_path: Path
) -> None:
    sound(databases)
    path = databases.path("ann")
    with closing(sqlite3.connect(tmp_path / "backup")) as backup, closing(sqlite3.connect(path)) as data:
        data.backup(backup)
    (tmp_path / "backup").rename(path)
    time.sleep(OLD_S)
    assert read(databases).stamps() is None


# --- the databases of others


@pytest.mark.parametrize("mode", ["DELETE", "TRUNCATE", "PERSIST", "MEMORY", "OFF", "WAL"])
def test_a_commit_is_seen_in_every_journal_mode(mode: str, tmp_path: Path) -> None:
    file = tmp_path / "shop.db"
    with closing(sqlite3.connect(file)) as data:
        data.execute(f"PRAGMA journal_mode = {mode}")
        data.execute("CREATE TABLE t (a)")
        data.execute("INSERT INTO t VALUES ('one')")
        data.commit()
    time.sleep(OLD_S)
    server = built("sqlite", tmp_path / "state", "--db-path", str(file))
    stamps = kept(server, "read_query", query="SELECT a FROM t")
    kept(server, "read_query", query="SELECT a FROM t")
    assert holds(stamps), "reading changes nothing"
    elsewhere(COMMIT, str(file), f"PRAGMA journal_mode = {mode}", "UPDATE t SET a = 'two'")
    assert not holds(stamps)


def test_while_another_program_has_a_wal_nothing_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "shop.db"
    with closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE t (a)")
        other.commit()
        time.sleep(OLD_S)
        server = built("sqlite", tmp_path / "state", "--db-path", str(file))
        assert stamps_of(server, "list_tables") is None


@pytest.fixture
def shop(tmp_path: Path) -> MCPServer:
    server = built("sqlite", tmp_path)
    for statement in (
        "CREATE TABLE t (a)",
        "CREATE VIEW dice AS SELECT random() AS eyes",
        "CREATE VIEW today AS SELECT date('now') AS day",
        "CREATE VIEW calm AS SELECT upper(a) AS a FROM t",
    ):
        do(server, "write_query", query=statement)
    return server


MOVING = [
    "SELECT random()",
    "SELECT hex(randomblob(4))",
    "SELECT CURRENT_TIMESTAMP",
    "SELECT datetime('now')",
    "SELECT strftime('%s')",
    "SELECT 1 WHERE CURRENT_DATE > '2000-01-01'",
    "SELECT total_changes()",
    "PRAGMA data_version",
    "SELECT * FROM dice",
    "SELECT day FROM (SELECT * FROM today)",
    "WITH x AS (SELECT RANDOM() AS r) SELECT r FROM x",
]


def test_chance_and_time_are_not_kept_wherever_they_stand(shop: MCPServer) -> None:
    for query in MOVING:
        assert stamps_of(shop, "read_query", query=query) is None, query
    assert stamps_of(shop, "export_rows", query="SELECT * FROM dice") is None
    assert stamps_of(shop, "export_rows", table="today") is None
    kept(shop, "read_query", query="SELECT * FROM calm")


@pytest.mark.parametrize(
    "change",
    [
        ("create_table", {"query": "CREATE TABLE u (a)"}),
        ("create_database", {"database": "main.db"}),
    ],
)
def test_a_database_that_is_not_there_yet_is_noticed(
    tmp_path: Path, change: tuple[str, dict[str, Any]]
) -> None:
    server = built("sqlite", tmp_path)
    stamps = kept(server, "list_tables")
    do(server, change[0], **change[1])
    assert not holds(stamps)


def test_a_new_or_a_larger_database_makes_their_list_stale(shop: MCPServer) -> None:
    for tool, arguments in (
        ("create_database", {"database": "2026/other.db"}),
        ("write_query", {"query": "INSERT INTO t VALUES (zeroblob(9000))"}),
    ):
        stamps = kept(shop, "list_databases")
        do(shop, tool, **arguments)
        assert not holds(stamps)
        time.sleep(OLD_S)


def test_a_name_that_several_folders_could_hold_is_not_kept(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with closing(sqlite3.connect(tmp_path / "two" / "shop.db")) as data:
        data.execute("CREATE TABLE t (a)")
    time.sleep(OLD_S)
    server = built("sqlite", tmp_path / "state", str(tmp_path / "one"), str(tmp_path / "two"))
    assert stamps_of(server, "list_tables", database="shop.db") is None


# --- what ends by itself


ENDING: list[Callable[[MCPServer], Any]] = [
    lambda server: do(server, "store_context", content="soon gone", ttl_s=3600),
    lambda server: do(server, "start_session"),
]


@pytest.mark.parametrize("store", ENDING)
def test_what_would_change_by_itself_one_day_is_not_kept(
    tmp_path: Path, store: Callable[[MCPServer], Any]
) -> None:
    server = built("context", tmp_path)
    do(server, "store_context", content="what stays", key="kept")
    for tool, arguments in (("list_context", {}), ("open_context", {"id": "kept"}), ("list_sessions", {})):
        kept(server, tool, **arguments)
    store(server)
    for tool, arguments in (("list_context", {}), ("open_context", {"id": "kept"}), ("list_sessions", {})):
        assert stamps_of(server, tool, **arguments) is None
    assert stamps_of(server, "list_context", who="bob") is None, "his file was made just now"
    time.sleep(OLD_S)
    kept(server, "list_context", who="bob")
