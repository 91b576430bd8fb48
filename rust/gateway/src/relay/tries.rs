//! When a call that failed is sent once more.
//!
//! Two failures allow it. A call that was *never begun* (its refusal names a time to come again) goes to the next
//! connection whatever it does, for as long as a server that changes places may take. A call that was *lost* on
//! the way with its connection may have run: it is sent again once, and only if running twice does no harm: lists
//! and reads always; tools where the operator trusts the server's word that they only read, or change nothing when
//! repeated. What is refused for want of room is never sent again here: that would be one call more where there are too
//! many.

use std::time::Duration;

use bytes::Bytes;
use omnimind_wire::{Reason, Refusal};

use super::{Client, Source, schemas};
use crate::{
    config::{Kind, ServerSpec},
    upstream::{Failure, LOST, Lease},
};

/// Attempts at a call that is not begun: servers of ours change places, a stranger's is tried once more.
const MOST_OURS: u8 = 20;
const MOST_THEIRS: u8 = 1;
/// The pause before an attempt doubles from the first to the longest; the first one of all comes at once.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// A server that asks for more time than this is not tried again: its client is told when to come back.
const LONGEST_WAIT_MS: u64 = 1_000;

/// What a failure allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Send it again after this pause.
    Again(Duration),
    /// Send it again if running twice does no harm.
    IfRepeatable,
    /// It stays as it is.
    No,
}

/// The attempts at one call.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tries {
    not_begun: u8,
    lost: bool,
}

impl Tries {
    /// Judges one failure.
    pub(super) fn judge(&mut self, spec: &ServerSpec, refusal: &Refusal) -> Verdict {
        match refusal.retry_after_ms {
            _ if matches!(refusal.reason, Reason::RateLimited | Reason::Overloaded | Reason::Deadline) => Verdict::No,
            None if refusal.scope == LOST && !std::mem::replace(&mut self.lost, true) => Verdict::IfRepeatable,
            Some(ms) if ms <= LONGEST_WAIT_MS && self.not_begun < most(spec.kind) => {
                self.not_begun += 1;
                Verdict::Again(pause(self.not_begun))
            }
            _ => Verdict::No,
        }
    }
}

fn most(kind: Kind) -> u8 {
    match kind {
        Kind::Worker | Kind::Stdio => MOST_OURS,
        Kind::Unix | Kind::Http => MOST_THEIRS,
    }
}

fn pause(attempt: u8) -> Duration {
    match u32::from(attempt).checked_sub(2) {
        None => Duration::ZERO,
        Some(doublings) => FIRST_PAUSE.saturating_mul(1 << doublings.min(10)).min(LONGEST_PAUSE),
    }
}

/// True for a call that may run twice.
pub(super) async fn is_repeatable(
    client: &Client,
    source: &Source,
    lease: &Lease,
    method: &str,
    params: &Bytes,
) -> bool {
    match method {
        "tools/call" => {
            source.spec.trusts_annotations() && schemas::is_repeatable(client, &source.spec, lease, params).await
        }
        method => only_reads(method),
    }
}

/// True for a failure of what may be said twice without harm, if another attempt makes sense: its connection has
/// ended, or is just being replaced.
pub(super) fn is_passing(outcome: &Result<Bytes, Failure>) -> bool {
    let Err(Failure::Refused(refusal)) = outcome else { return false };
    refusal.scope == LOST || refusal.retry_after_ms.is_some_and(|ms| ms <= LONGEST_WAIT_MS)
}

/// The methods that change nothing by what they are.
pub(crate) fn only_reads(method: &str) -> bool {
    matches!(
        method,
        "tools/list"
            | "prompts/list"
            | "prompts/get"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
            | "completion/complete"
            | "server/discover"
            | "ping"
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    fn spec(kind: &str) -> ServerSpec {
        serde_json::from_value(serde_json::json!({"name": "s", "kind": kind, "tier": "high"})).unwrap()
    }

    fn lost() -> Refusal {
        Refusal::new(Reason::ServerUnavailable, LOST, "gone")
    }

    fn not_begun() -> Refusal {
        Refusal::new(Reason::ServerUnavailable, "server", "later").retry_after(100)
    }

    #[test]
    fn a_lost_call_is_considered_once() {
        let mut tries = Tries::default();
        assert_eq!(tries.judge(&spec("stdio"), &lost()), Verdict::IfRepeatable);
        assert_eq!(tries.judge(&spec("stdio"), &lost()), Verdict::No);
    }

    #[test]
    fn a_call_that_was_not_begun_goes_on_at_once_and_then_in_growing_steps() {
        let mut tries = Tries::default();
        let mut pauses = Vec::new();
        while let Verdict::Again(pause) = tries.judge(&spec("worker"), &not_begun()) {
            pauses.push(pause.as_millis());
        }
        assert_eq!(pauses[..8], [0, 5, 10, 20, 40, 80, 160, 250]);
        assert_eq!(pauses.len(), usize::from(MOST_OURS));
        assert_eq!(tries.judge(&spec("worker"), &lost()), Verdict::IfRepeatable);
    }

    #[test]
    fn a_stranger_that_asks_for_time_gets_it() {
        let mut tries = Tries::default();
        assert_eq!(tries.judge(&spec("http"), &not_begun().retry_after(30_000)), Verdict::No);
        assert_eq!(tries.judge(&spec("http"), &not_begun()), Verdict::Again(Duration::ZERO));
        assert_eq!(tries.judge(&spec("http"), &not_begun()), Verdict::No);
    }

    #[test]
    fn what_is_refused_for_want_of_room_is_not_sent_again() {
        for reason in [Reason::RateLimited, Reason::Overloaded, Reason::Deadline] {
            let refusal = Refusal::new(reason, "server", "full").retry_after(1);
            assert_eq!(Tries::default().judge(&spec("worker"), &refusal), Verdict::No);
        }
    }

    #[test]
    fn any_other_refusal_stays() {
        let slow = Refusal::new(Reason::UpstreamTimeout, "server", "slow");
        assert_eq!(Tries::default().judge(&spec("stdio"), &slow), Verdict::No);
    }
}
