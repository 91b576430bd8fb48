//! An answer that is too long to be held goes to disk while it is read, so that the next one is not held up.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use omnimind_wire::{RpcError, error::INTERNAL_ERROR};
use tokio::io::AsyncRead;

use super::{
    Core,
    inbound::{leading_id, trailing_id},
    lines::{Lines, Rest},
    slot::Slot,
};
use crate::upstream::{
    Failure,
    long::{self, Long},
    spool::Spooled,
};

/// Where the id of an answer is looked for that does not begin with it.
const TAIL_BYTES: usize = 64;

impl Core {
    /// True if a line that begins so goes to disk: it is an answer, and not one that the gateway itself reads.
    pub(super) fn is_spooled(&self, head: &[u8]) -> bool {
        let to_be_read = |number| self.slot(number).is_some_and(|slot| !slot.may_be_long);
        !leading_id(head).is_some_and(to_be_read) && long::begins([head])
    }

    /// Takes the rest of a line that begins so, and hands the whole to its call; false if the stream ended before.
    pub(super) async fn spool<R>(self: &Arc<Self>, head: Bytes, lines: &mut Lines<R>) -> std::io::Result<bool>
    where
        R: AsyncRead + Unpin,
    {
        let first = leading_id(&head);
        let mut tail = Vec::with_capacity(2 * TAIL_BYTES);
        let mut kept = self.spool.begin().await;
        let mut rest = Rest::More(head);
        loop {
            // Whoever looks after the stream sees that the server is there.
            self.heard.fetch_add(1, Ordering::Relaxed);
            let (piece, is_last) = match rest {
                Rest::More(piece) => (piece, false),
                Rest::Last(piece) => (piece, true),
                Rest::End => return Ok(false),
            };
            tail.extend_from_slice(piece.get(piece.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default());
            tail.drain(..tail.len().saturating_sub(TAIL_BYTES));
            if first.is_some_and(|number| self.slot(number).is_none()) {
                kept = Err("is wanted by nobody".to_owned());
            }
            if let Ok(file) = &mut kept
                && let Err(why) = file.append(piece).await
            {
                kept = Err(why);
            }
            if is_last {
                break;
            }
            rest = lines.rest().await?;
        }
        let number = first.or_else(|| trailing_id(&tail));
        match number.and_then(|number| Some((number, self.leave(number)?))) {
            Some((number, slot)) => self.hand_over(number, &slot, kept),
            None => self.late(),
        }
        Ok(true)
    }

    fn hand_over(&self, number: u64, slot: &Arc<Slot>, kept: Result<Spooled, String>) {
        let server = Arc::clone(&self.server);
        let failed =
            move |why: &str| Err(Failure::Rpc(RpcError::new(INTERNAL_ERROR, format!("the answer of {server} {why}"))));
        let long = match kept {
            Ok(file) => Long { number, pieces: file.pieces() },
            Err(why) => return slot.end(failed(&why)),
        };
        if slot.may_be_long {
            return slot.end_long(long);
        }
        // It turned out only at its end whose it is.
        let slot = Arc::clone(slot);
        tokio::spawn(
            async move { slot.end(long.whole().await.or_else(|why| failed(&format!("cannot be read: {why}")))) },
        );
    }
}
