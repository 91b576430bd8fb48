//! What goes, and when: what is too old, and where room is short, what was used the longest ago.
//!
//! Every put does a little of it, in its own transaction. It deletes at least as much as it adds where a bound is
//! reached, so a bound is kept once it holds; where bounds were lowered, the next puts come down to them in steps.

use rusqlite::{OptionalExtension, Transaction};

use crate::{Bounds, Trouble};

/// Rows that one put deletes if it need not delete more.
const STEP: u32 = 64;
/// What a row takes beside its body and the words in it: its other columns and its places in the indexes.
const ROW: u64 = 384;
/// The unit of the file.
const PAGE: u64 = 4_096;
/// Pages given back to the file system at once.
const GIVEN_BACK: u32 = 256;

/// What a row counts for: its pages.
pub(crate) fn size(packed: usize, words: usize) -> u64 {
    (packed as u64).saturating_add(words as u64).saturating_add(ROW).div_ceil(PAGE).saturating_mul(PAGE)
}

/// Deletes some of what is too old, and gives pages back if a quarter of the file is empty.
pub(crate) fn expire(transaction: &Transaction<'_>, now_ms: u64) -> Result<(), Trouble> {
    transaction
        .prepare_cached("DELETE FROM originals WHERE id IN (SELECT id FROM originals WHERE until_ms <= ?1 ORDER BY until_ms LIMIT ?2)")?
        .execute((now_ms, STEP))?;
    let pages = |pragma: &str| transaction.pragma_query_value(None, pragma, |row| row.get::<_, u32>(0));
    let free = pages("freelist_count")?;
    if free > GIVEN_BACK && free > pages("page_count")? / 4 {
        // It gives one page back for each row that is asked of it.
        let mut statement = transaction.prepare(&format!("PRAGMA incremental_vacuum({GIVEN_BACK})"))?;
        let mut rows = statement.query(())?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}

/// Deletes until the bounds hold, or enough is deleted for now; never the row that was just put, of `added` bytes.
pub(crate) fn make(
    transaction: &Transaction<'_>,
    principal: &[u8],
    put: i64,
    added: u64,
    bounds: &Bounds,
) -> Result<(), Trouble> {
    let mut freed = 0;
    for done in 0.. {
        let (own, all) = transaction
            .prepare_cached(
                "SELECT coalesce(sum(bytes) FILTER (WHERE principal = ?1), 0), coalesce(sum(bytes), 0) FROM sums",
            )?
            .query_row([principal], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?)))?;
        let oldest = if own > bounds.principal_bytes {
            transaction
                .prepare_cached(
                    "SELECT id, size FROM originals WHERE principal = ?1 AND id <> ?2 ORDER BY used_ms, id LIMIT 1",
                )?
                .query_row((principal, put), |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?
        } else if all > bounds.bytes {
            transaction
                .prepare_cached("SELECT id, size FROM originals WHERE id <> ?1 ORDER BY used_ms, id LIMIT 1")?
                .query_row([put], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?
        } else {
            None
        };
        let Some((id, size)): Option<(i64, u64)> = oldest else { return Ok(()) };
        if done >= STEP && freed >= added {
            return Ok(());
        }
        transaction.prepare_cached("DELETE FROM originals WHERE id = ?1")?.execute([id])?;
        freed = u64::saturating_add(freed, size);
    }
    Ok(())
}
