//! Whether a server that owes answers is still there.
//!
//! A server may be silent for as long as it has nothing to do; and a tool may take its time. But one that owes an
//! answer, says nothing for some beats and then does not even answer a ping has stopped or hangs. Nothing is sent
//! while nothing is in flight, and a stream at rest costs nothing: its next call wakes the one who looks.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

use super::{Core, slot::Slot};
use crate::upstream::{Call, rewrite};

/// Silent beats before a ping.
const SILENT_BEATS: u32 = 3;
/// A ping must be answered within this; anything else that comes will do.
const PING: Duration = Duration::from_secs(5);
/// How often is looked for the answer.
const LOOK: Duration = Duration::from_millis(100);

/// How a stream is looked after.
pub(in crate::upstream) struct Attention {
    /// Between two looks.
    pub beat: Duration,
    /// Method and params of a question that every server answers at once.
    pub ping: (&'static str, Bytes),
    /// Hears how it shows that the server is not there.
    pub silent: Box<dyn Fn(&str) + Send + Sync>,
    /// The stream is to be ended then; otherwise somebody else sees to the server.
    pub ends: bool,
}

impl fmt::Debug for Attention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attention").field("beat", &self.beat).finish_non_exhaustive()
    }
}

/// Looks after a stream until it ends.
pub(super) fn attend(core: Arc<Core>, attention: Attention) -> JoinHandle<()> {
    core.resting.store(true, Ordering::Relaxed);
    tokio::spawn(async move {
        let mut ended = core.circle.watch();
        tokio::select! {
            _ = ended.wait_for(Option::is_some) => {}
            () = core.attend(&attention) => {}
        }
    })
}

impl Core {
    async fn attend(&self, attention: &Attention) {
        loop {
            self.begun.notified().await;
            while self.is_silent_for(attention.beat).await {
                let since = Instant::now();
                if self.answers_ping(attention).await {
                    continue;
                }
                let silence = attention.beat * SILENT_BEATS + since.elapsed();
                let why = format!(
                    "it owes answers and has said nothing for {:.1} s, not even to a ping",
                    silence.as_secs_f64()
                );
                (attention.silent)(&why);
                if attention.ends {
                    return self.break_off(&why);
                }
                self.wait_for_news(attention.beat).await;
            }
        }
    }

    /// Waits until the server has owed an answer and said nothing for some beats; false when it owes nothing more.
    async fn is_silent_for(&self, beat: Duration) -> bool {
        let mut before = self.heard.load(Ordering::Relaxed);
        let mut silent = 0;
        while silent < SILENT_BEATS {
            sleep(beat).await;
            if !self.is_busy() {
                self.resting.store(true, Ordering::Relaxed);
                // A call that came in between has seen to it that somebody looks, or is seen here.
                if !self.is_busy() || !self.resting.swap(false, Ordering::Relaxed) {
                    return false;
                }
            }
            let now = self.heard.load(Ordering::Relaxed);
            silent = if now == before { silent + 1 } else { 0 };
            before = now;
        }
        true
    }

    /// Sends a ping; true as soon as anything comes.
    async fn answers_ping(&self, attention: &Attention) -> bool {
        let before = self.heard.load(Ordering::Relaxed);
        let Some(serial) = self.enter(&Arc::new(Slot::ours(Bytes::from_static(b"0"), false))) else { return true };
        let (method, params) = &attention.ping;
        let call = Call {
            id: Bytes::from_static(b"0"),
            method: (*method).into(),
            params: params.clone(),
            headers: Vec::new(),
            operator: false,
            idle: None,
            deadline: None,
            trace: None,
        };
        let number = self.number(serial);
        self.outlet.force(|out| {
            // Params of our own are well formed.
            let _ = rewrite::push_request(out, number, &call, None);
        });
        let until = Instant::now() + PING;
        let answered = loop {
            if self.heard.load(Ordering::Relaxed) != before {
                break true;
            }
            if Instant::now() >= until {
                break false;
            }
            sleep_until((Instant::now() + LOOK).min(until)).await;
        };
        if !answered {
            self.leave(number);
        }
        answered
    }

    async fn wait_for_news(&self, beat: Duration) {
        let before = self.heard.load(Ordering::Relaxed);
        while self.heard.load(Ordering::Relaxed) == before {
            sleep(beat).await;
        }
    }
}
