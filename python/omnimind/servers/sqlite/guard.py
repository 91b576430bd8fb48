"""What a caller's statement may do, asked by SQLite itself for every action while it compiles the statement.

Rule: an allow-list. Reading allows reading; writing allows rows, tables, indices, views and triggers of the
one open database; nothing allows another file (ATTACH, VACUUM), an extension, a transaction of the caller's
own, or a PRAGMA that is not listed here. What a view or a trigger does is asked for as well.

`UPDATE sqlite_master` is allowed although it sounds worst: SQLite asks for it whenever it declares a virtual
table (json_each, an FTS index). A caller's own is refused by SQLite, because PRAGMA writable_schema is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from omnimind.servers import depends
from omnimind.servers.problem import Problem
from omnimind.servers.sqlite import formats, limits

_READ_ACTIONS: Final = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
_ROW_ACTIONS: Final = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})
_TABLE_ACTIONS: Final = frozenset({sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_INDEX})
_SCHEMA_ACTIONS: Final = _TABLE_ACTIONS | {
    sqlite3.SQLITE_CREATE_VIEW,
    sqlite3.SQLITE_CREATE_TRIGGER,
    sqlite3.SQLITE_DROP_TABLE,
    sqlite3.SQLITE_DROP_INDEX,
    sqlite3.SQLITE_DROP_VIEW,
    sqlite3.SQLITE_DROP_TRIGGER,
    sqlite3.SQLITE_DROP_VTABLE,
    sqlite3.SQLITE_ALTER_TABLE,
    sqlite3.SQLITE_REINDEX,
    sqlite3.SQLITE_ANALYZE,
}
_SCHEMA_TABLES: Final = frozenset({"sqlite_master", "sqlite_temp_master"})
_MODULES: Final = frozenset({"fts5", "rtree", "rtree_i32"})
_INNER: Final = (
    *("config", "content", "data", "docsize", "idx"),  # fts5
    *("node", "parent", "rowid"),  # rtree
    *("segdir", "segments", "stat"),  # fts3 and fts4
)
_FUNCTIONS_DENIED: Final = frozenset(
    {"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit", "sqlite_log", "rtreecheck"}
)
_MOVING: Final = frozenset(
    {"random", "randomblob", "changes", "total_changes", "last_insert_rowid"}
    | {"date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff"}
    | {"current_date", "current_time", "current_timestamp"}
)
"""What they give may be another the next time, over the same data: what `now` is, is not seen here."""
_FORMATTING: Final = frozenset({"printf", "format"})
_FACTS: Final = frozenset(
    {
        "application_id",
        "auto_vacuum",
        "collation_list",
        "compile_options",
        "data_version",
        "encoding",
        "foreign_key_check",
        "foreign_keys",
        "freelist_count",
        "function_list",
        "journal_mode",
        "module_list",
        "page_count",
        "page_size",
        "schema_version",
        "table_list",
        "user_version",
    }
)
"""PRAGMAs that tell something when they are given nothing."""
_ABOUT: Final = frozenset(
    {
        "foreign_key_check",
        "foreign_key_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "table_info",
        "table_list",
        "table_xinfo",
    }
)
"""PRAGMAs that tell something about what they are given."""

_REFUSED: Final[dict[int, str]] = {
    sqlite3.SQLITE_ATTACH: "ATTACH and VACUUM are not allowed: one call works on one database, named by `database`",
    sqlite3.SQLITE_DETACH: "DETACH is not allowed: one call works on one database, named by `database`",
    sqlite3.SQLITE_TRANSACTION: "BEGIN, COMMIT and ROLLBACK are not allowed: each call is a transaction of its own",
    sqlite3.SQLITE_SAVEPOINT: "SAVEPOINT is not allowed: each call is a transaction of its own",
}
_TEMPORARY: Final = frozenset(
    {
        sqlite3.SQLITE_CREATE_TEMP_INDEX,
        sqlite3.SQLITE_CREATE_TEMP_TABLE,
        sqlite3.SQLITE_CREATE_TEMP_TRIGGER,
        sqlite3.SQLITE_CREATE_TEMP_VIEW,
    }
)


class Guard:
    """The authorizer of one connection: what it allows beyond reading, and what it has seen."""

    def __init__(
        self, beyond_reading: Collection[int] = (), pragmas: Collection[str] = (), *, only: str
    ) -> None:
        self.formats_checked = False
        """Whether the formats in the statement's own text were looked at; see `formats.py`."""
        self._beyond = frozenset(beyond_reading)
        self._pragmas = frozenset(pragmas)
        self._only = only
        self._slow = self._matching = 0
        self._inner_tables: frozenset[str] = frozenset()
        self._formats_elsewhere = 0
        self._refused: str | None = None
        self._connection: sqlite3.Connection | None = None
        self.wrote = False
        """Whether the statement changes something, going by what SQLite asked."""

    def attach(self, connection: sqlite3.Connection) -> None:
        """Stand before every statement of this connection from now on."""
        self._connection = connection
        connection.set_authorizer(self._asked)

    def detach(self) -> None:
        """Let the server's own statements through again."""
        if self._connection is not None:
            self._connection.set_authorizer(None)
            self._connection = None

    @contextmanager
    def compiling(self, virtual: Collection[str]) -> Iterator[None]:
        """While the block only compiles a statement, refuse one that writes into the inner tables of these
        virtual tables; the virtual tables themselves do that later, when the statement runs."""
        self._inner_tables = frozenset(f"{name}_{part}".lower() for name in virtual for part in _INNER)
        try:
            yield
        finally:
            self._inner_tables = frozenset()

    def why(self) -> Problem | None:
        """What was refused, in words; None if nothing was."""
        return None if self._refused is None else Problem(self._refused)

    def _asked(
        self, action: int, first: str | None, second: str | None, schema: str | None, inner: str | None
    ) -> int:
        refusal = self._refusal(action, first, second, schema)
        if refusal is None and action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _FORMATTING:
            refusal = self._formatting(inner)
        if refusal is None:
            return sqlite3.SQLITE_OK
        self._refused = self._refused or refusal
        return sqlite3.SQLITE_DENY

    def _refusal(self, action: int, first: str | None, second: str | None, schema: str | None) -> str | None:
        if action in _READ_ACTIONS:
            return None
        if action == sqlite3.SQLITE_FUNCTION:
            return self._function((second or "").lower())
        if action == sqlite3.SQLITE_PRAGMA:
            return self._pragma((first or "").lower(), second)
        if action in _ROW_ACTIONS and first in _SCHEMA_TABLES:
            return None if action != sqlite3.SQLITE_DELETE or self._beyond else self._only
        if action in _TEMPORARY:
            return (
                "temporary tables are not kept from one call to the next; create an ordinary one, or use WITH"
            )
        if action in _REFUSED:
            return _REFUSED[action]
        if action == sqlite3.SQLITE_CREATE_VTABLE and action in self._beyond and second not in _MODULES:
            return f"virtual tables of {second} are not allowed; there are {', '.join(sorted(_MODULES))}"
        named = {(first or "").lower(), (second or "").lower()}
        if named & self._inner_tables and action not in (sqlite3.SQLITE_ANALYZE, sqlite3.SQLITE_REINDEX):
            return f"{first} belongs to a virtual table and is changed only through it"
        if action in self._beyond and schema != "temp":
            self.wrote = True
            return None
        return self._only

    def _function(self, name: str) -> str | None:
        if name in _MOVING:
            depends.unsure()
        if name in _FUNCTIONS_DENIED:
            return f"the function {name} is not allowed: it reaches beyond the database"
        slow, matching = limits.SLOW_FUNCTIONS.get(name, 0), name in limits.MATCHING_FUNCTIONS
        if (slow or matching) and self._connection is not None:
            self._slow, self._matching = self._slow + slow, self._matching + matching
            bound = limits.value_bytes(self._slow, self._matching)
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, bound)
        return None

    def _formatting(self, inner: str | None) -> str | None:
        if inner is None:
            return None if self.formats_checked else formats.REFUSAL
        self._formats_elsewhere += 1
        if self._formats_elsewhere > limits.FORMATS_ELSEWHERE:
            return f"its views and triggers use printf more than {limits.FORMATS_ELSEWHERE} times, which is the limit"
        return None

    def _pragma(self, name: str, value: str | None) -> str | None:
        if name == "data_version":  # a count of this connection
            depends.unsure()
        if (name in _FACTS and value is None) or name in _ABOUT:
            return None
        if name in self._pragmas:
            self.wrote = True
            return None
        if name == "database_list":
            return "PRAGMA database_list is not allowed; the tool list_databases shows the databases"
        said = name if value is None else f"{name} = {value}"
        return f"PRAGMA {said[:80]} is not allowed; settings of a database are not changed here"


def reading() -> Guard:
    """Allows what changes nothing."""
    return Guard(
        only="Only SELECT queries are allowed for read_query; write_query changes data, create_table makes tables"
    )


def writing() -> Guard:
    """Allows changes of rows and of the schema."""
    beyond = _ROW_ACTIONS | _SCHEMA_ACTIONS | {sqlite3.SQLITE_CREATE_VTABLE}
    return Guard(beyond, ("user_version", "optimize"), only="this kind of statement is not allowed")


def creating() -> Guard:
    """Allows a new table, also one filled by a SELECT."""
    return Guard(_TABLE_ACTIONS, only="Only CREATE TABLE statements are allowed; write_query does the rest")
