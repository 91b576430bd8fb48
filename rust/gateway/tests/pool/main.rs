//! Pools of connections against servers on real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod away;
mod cancel;
mod certificate;
mod eject;
mod http2;
mod one;
mod reuse;
mod stale;
mod turn;
mod two;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use omnimind_gateway::{
    config,
    pool::{Arriving, Errand, Lane, Origin, Pool, Terms, Trust, Unanswered},
};
use tokio::time::Instant;

/// A call that may not be sent twice.
pub(crate) const CALL: Errand = Errand { lane: Lane::Call, repeatable: false };
/// One that may.
pub(crate) const AGAIN: Errand = Errand { lane: Lane::Call, repeatable: true };

/// A pool with changed terms.
pub(crate) fn pool(url: &str, change: impl FnOnce(&mut Terms)) -> Arc<Pool> {
    let mut terms = Terms::new(config::Pool::default(), Arc::new(Trust::default()));
    terms.chance = || 0.5;
    change(&mut terms);
    Arc::new(Pool::new(Origin::of(&url.parse().unwrap()).unwrap(), terms))
}

/// A request.
pub(crate) fn request(path: &str) -> Request<Full<Bytes>> {
    let body = Full::new(Bytes::from_static(b"{}"));
    Request::post(format!("http://of.no.matter{path}")).body(body).unwrap()
}

/// Sends a request and reads the whole answer.
pub(crate) async fn call(pool: &Pool, path: &str, errand: Errand) -> Result<String, Unanswered> {
    let response = pool.send(request(path), errand).await?;
    Ok(whole(response).await.expect("a body that comes to its end"))
}

/// The whole body.
pub(crate) async fn whole(response: Response<Arriving>) -> Result<String, String> {
    let mut body = response.into_body();
    let mut text = Vec::new();
    while let Some(piece) = body.piece().await {
        text.extend_from_slice(&piece?);
    }
    Ok(String::from_utf8(text).unwrap())
}

/// Waits until something holds, at most five seconds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(Instant::now() < give_up, "{what} did not come true in time");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Some milliseconds.
pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Whether the whole bar is wanted.
pub(crate) fn full() -> bool {
    std::env::var_os("OMNIMIND_FULL").is_some()
}

/// Connections closed for this reason.
pub(crate) fn closed(pool: &Pool, reason: &str) -> u64 {
    pool.report().closed.iter().find(|(name, _)| *name == reason).expect("a reason").1
}

/// Numbers that look random and are the same in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Below this.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
