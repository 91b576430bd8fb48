//! The tables, and which version of them a file has.
//!
//! Sizes are summed by triggers, in the transaction that changes them: the sums cannot differ from what they sum up.
//! Bodies lie in a table of their own, so that renewing a row does not write its body again.

use rusqlite::{Connection, TransactionBehavior};

use crate::Trouble;

/// In the header of every file of ours.
const APPLICATION: i32 = 0x4f6d_4f72;
/// The version that is written here.
const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE originals (
    id INTEGER PRIMARY KEY,
    principal BLOB NOT NULL,
    name BLOB NOT NULL,
    mime TEXT NOT NULL,
    source TEXT NOT NULL,
    length INTEGER NOT NULL,
    size INTEGER NOT NULL,
    put_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    used_ms INTEGER NOT NULL,
    UNIQUE (principal, name)
) STRICT;
CREATE INDEX by_end ON originals (until_ms);
CREATE INDEX by_use ON originals (used_ms, id);
CREATE INDEX by_principal_and_use ON originals (principal, used_ms, id);
CREATE TABLE bodies (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE sums (principal BLOB PRIMARY KEY, originals INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TRIGGER original_put AFTER INSERT ON originals BEGIN
    INSERT INTO sums VALUES (new.principal, 1, new.size)
        ON CONFLICT (principal) DO UPDATE SET originals = originals + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER original_changed AFTER UPDATE OF size ON originals BEGIN
    UPDATE sums SET bytes = bytes - old.size + new.size WHERE principal = new.principal;
END;
CREATE TRIGGER original_gone AFTER DELETE ON originals BEGIN
    DELETE FROM bodies WHERE id = old.id;
    UPDATE sums SET originals = originals - 1, bytes = bytes - old.size WHERE principal = old.principal;
    DELETE FROM sums WHERE principal = old.principal AND originals = 0;
END;
";

/// Makes the tables if the file has none. Damaged if the file has others, and refused if it has later ones.
pub(crate) fn prepare(connection: &mut Connection) -> Result<(), Trouble> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |pragma: &str| transaction.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    if tables == 0 {
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.execute_batch(TABLES)?;
    } else if application != i64::from(APPLICATION) || version < 1 {
        return Err(Trouble::Damaged);
    } else if version > VERSION {
        return Err(Trouble::Newer(version, VERSION));
    }
    transaction.commit()?;
    Ok(())
}

/// The key of the file; `made` gives one if it has none yet.
pub(crate) fn key(
    connection: &mut Connection,
    made: impl FnOnce() -> std::io::Result<[u8; 32]>,
) -> Result<[u8; 32], Trouble> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let kept: rusqlite::Result<[u8; 32]> =
        transaction.query_row("SELECT value FROM secrets WHERE name = 'marks'", (), |row| row.get(0));
    let key = match kept {
        Err(rusqlite::Error::QueryReturnedNoRows) => {
            let key = made()?;
            transaction.execute("INSERT INTO secrets VALUES ('marks', ?1)", [key])?;
            key
        }
        other => other?,
    };
    transaction.commit()?;
    Ok(key)
}
