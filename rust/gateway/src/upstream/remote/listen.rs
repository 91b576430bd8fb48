//! The stream of a legacy session for what belongs to no call.
//!
//! Offered by some servers, declined with 405 by others, which is fine. It is opened again when it ends, with
//! the id of its last event, less and less often while that fails. A server that numbers its events says again
//! what was missed in between; of one that does not, or that begins a new session, anything may have been missed.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use omnimind_wire::{Message, Notification, Request};

use super::{
    legacy::{Core, RETRY_MS},
    replies::{Replies, Step},
};
use crate::upstream::{
    Question,
    attach::{Addressee, Reach},
    rewrite::{self, About},
    watch::Unasked,
};

/// Longest pause between two attempts.
const LONGEST: Duration = Duration::from_secs(60);
/// Attempts in a row that may fail.
const ATTEMPTS: u32 = 8;

/// Reads the stream until the session ends; where the server does not offer one, waits for its next session.
pub(super) async fn listen(core: Arc<Core>) {
    let unasked = core.circle.unasked();
    loop {
        tokio::select! {
            () = attempt(&core) => {
                unasked.send_replace(Unasked::Never);
                core.again.notified().await;
            }
            () = core.again.notified() => {}
        }
        unasked.send_replace(Unasked::NotYet);
    }
}

async fn attempt(core: &Arc<Core>) {
    let mut last: Option<String> = None;
    let mut failed = 0;
    let mut pause = Duration::from_millis(RETRY_MS);
    while failed < ATTEMPTS {
        let first = last.is_none();
        match core.stream(last.as_deref()).await {
            Ok(mut replies) if replies.is_stream() => {
                core.circle.unasked().send_if_modified(|now| std::mem::replace(now, Unasked::Heard) != Unasked::Heard);
                let heard = follow(core, &mut replies).await;
                last = replies.last_id.or(last);
                failed = if heard { 0 } else { failed + 1 };
                pause = Duration::from_millis(replies.retry_ms.unwrap_or(RETRY_MS));
            }
            // The first answer is the server's choice.
            _ if first && failed == 0 => return,
            _ => failed += 1,
        }
        if last.is_none() || failed > 0 {
            core.circle.unasked().send_if_modified(|now| std::mem::replace(now, Unasked::NotYet) != Unasked::NotYet);
        }
        tokio::time::sleep((pause * 2u32.saturating_pow(failed)).min(LONGEST)).await;
    }
}

/// Passes on what comes; true if anything did.
async fn follow(core: &Arc<Core>, replies: &mut Replies) -> bool {
    let mut heard = false;
    loop {
        match replies.next().await {
            Step::Message(Message::Notification(notification)) => note(core, notification),
            Step::Message(Message::Request(request)) => ask(core, request),
            Step::Message(Message::Response(_)) | Step::Long(_) => {}
            Step::Over | Step::Broken(_) => return heard,
        }
        heard = true;
    }
}

fn note(core: &Core, notification: Notification) {
    let params = notification.params.unwrap_or_default();
    if !core.circle.hear(&notification.method, &params) {
        return;
    }
    core.withdraw(&notification.method, &params);
    if rewrite::about(&notification.method, &params) != About::Nobody {
        return;
    }
    match core.circle.reach(&notification.method, &params) {
        Reach::All(note) => core.circle.tell(note, None),
        Reach::Only(principal, note) => core.circle.tell(note, Some(principal)),
        Reach::Nowhere => {
            core.circle.bin.unaddressed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn ask(core: &Arc<Core>, request: Request) {
    if request.method == "ping" {
        core.question(request);
        return;
    }
    let channel = match core.circle.addressee([]) {
        Addressee::Nobody(why) => return core.refuse(&request, why),
        Addressee::Owner(_, Some(questions)) => Some(questions),
        Addressee::Owner(_, None) => core.leased.lock().clone(),
    };
    let Some(channel) = channel else { return core.refuse(&request, "no call is in flight that it could belong to") };
    if let Some(question) = core.question(request) {
        put(&channel, question);
    }
}

/// A question that finds no room is dropped, which refuses it.
fn put(channel: &tokio::sync::mpsc::Sender<Question>, question: Question) {
    let _ = channel.try_send(question);
}
